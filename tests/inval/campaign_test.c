/* SPDX-License-Identifier: MIT */
/*
 * The fault campaign: whatever hardware does, at whatever step of whatever call, no call hangs, nothing is used again too early, nothing is lost, all is accounted for, and errors say what
 * happened.
 *
 * Beside mapped buffers there are reserved runs, memory that device and CPU share, and buffers of a device that is not trusted (others.c).
 *
 * each_step() goes through one sequence of calls again and again, and lets a fault strike one step later each time; campaign() does what its seed says. Seeds 0 to 9999 are a campaign;
 * IOG_TEST_SCALE (percent) is the part of them that is run, IOG_SEED one of them. What struck where is counted and printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"

/* Beside those of the simulated IOMMU. */
#define FAULT_LATE IOG_SIM_FAULT_KINDS /* now and then an answer takes longer than the deadline */
#define FAULT_MUTE (IOG_SIM_FAULT_KINDS + 1) /* a device falls silent for good */
#define FAULTS (IOG_SIM_FAULT_KINDS + 2)

static const char *const fault_names[FAULTS] = { "stall", "lost completion", "queue full", "spurious completion", "queue error", "device time-out", "late", "mute device" };

enum call {
	CALL_MAP,
	CALL_MAP_SG,
	CALL_UNMAP,
	CALL_UNMAP_RELEASE,
	CALL_UNMAP_SG,
	CALL_FLUSH,
	CALL_TICK,
	CALL_TRIM,
	CALL_SET_MODE,
	CALL_LINK,
	CALL_UNLINK,
	CALL_RELEASE,
	CALL_ALLOC,
	CALL_FREE,
	CALL_BOUNCE_MAP,
	CALL_BOUNCE_UNMAP,
	CALLS,
};

static const char *const call_names[CALLS] = {
	"map", "map_sg", "unmap", "unmap_release", "unmap_sg", "flush", "tick", "trim", "set_mode", "link", "unlink", "release", "alloc", "free", "bounce", "unbounce",
};

static int (*const more_calls[CALLS])(struct rig *rig, iog_lane_t lane) = {
	[CALL_LINK] = rig_link,   [CALL_UNLINK] = rig_unlink,	    [CALL_RELEASE] = rig_release,	  [CALL_ALLOC] = rig_alloc,
	[CALL_FREE] = rig_free, [CALL_BOUNCE_MAP] = rig_bounce_map, [CALL_BOUNCE_UNMAP] = rig_bounce_unmap,
};

static const struct iog_policy *const policies[] = { &iog_policy_window, &iog_policy_tree, &iog_policy_magazine, &iog_policy_pooled, &iog_policy_identity };
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static uint64_t strikes[FAULTS][CALLS];
static uint64_t lost_devices, refusals, failures;

static struct rig rig;
static uint64_t now_ms;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(kit_random(&rig.random) % n);
}

static uint32_t pick(uint64_t *random, uint32_t n)
{
	return (uint32_t)(kit_random(random) % n);
}

static struct mapping *some(bool list)
{
	struct mapping *mapping = rig_any(&rig);

	for (uint32_t n = 0; n < 8 && mapping && (mapping->sg[0].iova_size != 0) != list; n++)
		mapping = rig_any(&rig);
	return mapping && (mapping->sg[0].iova_size != 0) == list ? mapping : NULL;
}

/* tick and trim, whose other answers are checked here. */
static int others(enum call call, iog_lane_t lane)
{
	bool lost = rig_has_lost(&rig);
	uint64_t errors = rig.errors;
	int error;

	if (call == CALL_TICK) {
		now_ms += below(30);
		error = iog_domain_tick(rig.domain, lane, now_ms);
	} else {
		error = iog_domain_trim(rig.domain, lane);
	}
	rig_must(&rig, !error || error == -IOG_ETIMEDOUT || error == -IOG_EIO);
	rig_must(&rig, !error || rig.errors > errors || lost);
	return error;
}

/* Which error, of all, tells what the hardware in question has done? */
static void fits(uint32_t fault, int error)
{
	if (!error || error == -IOG_EAGAIN || error == -IOG_ENOSPC)
		return;
	rig_must(&rig, fault != IOG_SIM_FAULT_SPURIOUS_COMPLETION);
	rig_must(&rig, error == (fault == IOG_SIM_FAULT_QUEUE_ERROR ? -IOG_EIO : -IOG_ETIMEDOUT));
}

static uint64_t struck(uint32_t fault)
{
	struct iog_sim_stats stats;
	uint64_t nr = 0;

	if (fault == FAULT_LATE)
		return rig_timeouts(&rig);
	if (fault != FAULT_MUTE)
		return rig_struck(&rig, (enum iog_sim_fault_kind)fault);
	for (uint32_t u = 0; u < rig.config.units; u++) {
		iog_sim_stats(rig.fronts[u].sim, &stats);
		nr += stats.device_timeouts;
	}
	return nr;
}

static void step(uint32_t fault, enum call call)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED, IOG_INVAL_HELD };
	iog_lane_t lane = below(RIG_LANES);
	uint64_t before = struck(fault);
	struct mapping *mapping;
	int error = 0;

	switch (call) {
	case CALL_MAP:
		error = rig_map(&rig, lane, 1, 12, NULL);
		break;
	case CALL_MAP_SG:
		error = rig_map(&rig, lane, 2 + below(RIG_SEGMENTS - 1), 3, NULL);
		break;
	case CALL_UNMAP:
	case CALL_UNMAP_RELEASE:
	case CALL_UNMAP_SG:
		mapping = some(call == CALL_UNMAP_SG);
		if (mapping)
			error = rig_unmap(&rig, lane, mapping, call == CALL_UNMAP_RELEASE);
		break;
	case CALL_FLUSH:
		error = rig_flush(&rig, lane);
		break;
	case CALL_SET_MODE:
		error = rig_set_mode(&rig, lane, modes[below(3)]);
		break;
	default:
		error = more_calls[call] ? more_calls[call](&rig, lane) : others(call, lane);
	}
	fits(fault, error);
	failures += error != 0;
	refusals += error == -IOG_EAGAIN;
	strikes[fault][call] += struck(fault) - before;
	rig_attack(&rig, 4);
}

/* Something is always alive, and something waits. */
static enum call any_call(void)
{
	static const uint8_t weights[CALLS] = { 15, 6, 12, 6, 8, 5, 6, 3, 5, 7, 5, 4, 4, 4, 5, 5 };
	uint32_t n = below(100);

	for (uint32_t call = 0; call < CALLS; call++) {
		if (n < weights[call])
			return (enum call)call;
		n -= weights[call];
	}
	return CALL_MAP;
}

/* Costs that make it due now and then, and none where they only take time. */
static void fault_config(struct rig_config *config, uint32_t fault)
{
	if (fault == FAULT_LATE) {
		config->sim.wait_ns = 500;
		config->sim.wait_jitter_ns = 12000;
		config->sim.deadline_ns = 10000;
	}
	if (fault == IOG_SIM_FAULT_DEVICE_TIMEOUT || fault == FAULT_MUTE)
		config->ats |= 1;
	if (config->policy == &iog_policy_identity)
		config->sim.flags |= IOG_SIM_REVIVAL;
}

static void arm(uint32_t fault, uint64_t after, uint64_t count)
{
	if (fault < IOG_SIM_FAULT_KINDS)
		rig_misbehave(&rig, (enum iog_sim_fault_kind)fault, after, count);
}

static void run_end(void)
{
	lost_devices += rig_stats(&rig).devices_lost;
	for (uint32_t n = 0; n < rig.config.devices; n++)
		assert_int_equal(iog_sim_device_mute(rig.fronts[n % rig.config.units].sim, n, false), 0);
	rig_recover(&rig);
	rig_destroy(&rig);
	if (rig.failures)
		fail();
}

static void run_seed(uint64_t seed)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED, IOG_INVAL_HELD };
	uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint32_t fault = (uint32_t)(seed % FAULTS), steps, mute_at;
	struct rig_config config = { 0 };

	config.policy = policies[pick(&random, POLICIES)];
	config.others = true;
	config.mode = modes[pick(&random, 3)];
	config.units = pick(&random, 4) ? 1 : 2;
	config.devices = 1 + pick(&random, 3);
	config.ats = pick(&random, 2) ? pick(&random, 8) : 0;
	config.no_reuse = pick(&random, 8) ? 0 : 7;
	config.holds = pick(&random, 4);
	config.format = pick(&random, 8) || config.policy == &iog_policy_identity ? NULL : &iog_x86_64_counted;
	config.pgtable_flags = pick(&random, 4) ? 0 : IOG_PGTABLE_FLUSH_ON_MAP;
	config.pgtable_flags |= pick(&random, 8) ? 0 : IOG_PGTABLE_NONCOHERENT;
	config.deferred_entries = 1u << pick(&random, 8);
	config.held_max = pick(&random, 4) ? 0 : 24 * RIG_PAGE;
	config.sim.queue_entries = pick(&random, 2) ? 4 : 0;
	if (pick(&random, 2)) {
		config.sim.wait_ns = 300;
		config.sim.range_ns = 100;
		config.sim.domain_ns = 200;
		config.sim.device_ns = 100;
	}
	fault_config(&config, fault);

	rig_create(&rig, &config, seed, fault_names[fault]);
	steps = 24 + below(40);
	mute_at = below(steps);
	/* Once, a few times, or until somebody repairs it. */
	arm(fault, below(24), below(4) ? 1 + below(3) : below(2) ? 8 + below(20) : UINT64_MAX);
	for (uint32_t n = 0; n < steps; n++) {
		if (fault == FAULT_MUTE && n == mute_at)
			assert_int_equal(iog_sim_device_mute(rig.fronts[0].sim, 0, true), 0);
		step(fault, n < 6 ? (n & 1 ? CALL_MAP : CALL_MAP_SG) : any_call());
		if (rig_has_lost(&rig) && !below(8)) {
			if (fault == FAULT_MUTE)
				assert_int_equal(iog_sim_device_mute(rig.fronts[0].sim, 0, false), 0);
			rig_reset_lost(&rig);
		}
	}
	run_end();
}

static void campaign(void **state)
{
	uint64_t given = rig_seed(), seeds = kit_scaled(10000);
	uint64_t missing = 0;

	(void)state;
	if (given != UINT64_MAX) {
		print_message("IOG_SEED=%" PRIu64 "\n", given);
		run_seed(given);
		return;
	}
	/* Those of a part of the campaign are spread over all of it. */
	print_message("seeds 0 to 9999, %" PRIu64 " of them; IOG_SEED=... runs one\n", seeds);
	for (uint64_t n = 0; n < seeds; n++) {
		alarm(60);
		run_seed(seeds < 10000 ? n * 10000 / seeds / FAULTS * FAULTS + n % FAULTS : n);
	}
	alarm(0);
	print_message("%-20s", "strikes in");
	for (uint32_t call = 0; call < CALLS; call++)
		print_message(" %13s", call_names[call]);
	print_message("\n");
	for (uint32_t fault = 0; fault < FAULTS; fault++) {
		print_message("%-20s", fault_names[fault]);
		for (uint32_t call = 0; call < CALLS; call++) {
			print_message(" %13" PRIu64, strikes[fault][call]);
			missing += !strikes[fault][call];
		}
		print_message("\n");
	}
	print_message("%" PRIu64 " calls failed, %" PRIu64 " of them refused; %" PRIu64 " devices lost\n", failures, refusals, lost_devices);
	/* Each fault has struck in each call. */
	if (seeds >= 5000)
		assert_int_equal(missing, 0);
}

/* The same calls each time. */
static const enum call script[] = {
	CALL_MAP, CALL_MAP, CALL_MAP_SG, CALL_MAP, CALL_UNMAP, CALL_UNMAP_SG, CALL_MAP_SG, CALL_UNMAP_RELEASE, CALL_FLUSH, CALL_MAP, CALL_UNMAP, CALL_TICK, CALL_TICK,
	CALL_LINK, CALL_ALLOC, CALL_BOUNCE_MAP, CALL_LINK, CALL_LINK, CALL_UNLINK, CALL_BOUNCE_UNMAP, CALL_FREE, CALL_RELEASE,
	CALL_TICK, CALL_SET_MODE, CALL_UNMAP, CALL_MAP, CALL_UNMAP, CALL_UNMAP_SG, CALL_SET_MODE, CALL_MAP, CALL_UNMAP, CALL_TRIM, CALL_UNMAP_RELEASE, CALL_FLUSH,
};

/* One strike, at the nth occasion: for all n that there are. Returns whether it struck. */
static bool run_script(const struct rig_config *config, uint32_t fault, uint64_t after, uint64_t count)
{
	bool was_struck;

	rig_create(&rig, config, after, fault_names[fault]);
	/* Not the number of the step: the same calls. */
	rig.random = 1;
	arm(fault, after, count);
	for (uint32_t n = 0; n < sizeof(script) / sizeof(script[0]); n++)
		step(fault, script[n]);
	was_struck = struck(fault) != 0;
	run_end();
	return was_struck;
}

static void each_step(void **state)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_DEFERRED, IOG_INVAL_HELD };
	/* A share of the work: every nth of the ways, each with another fault. */
	uint32_t share = kit_scaled(100) >= 100 ? 1 : (uint32_t)(100 / kit_scaled(100));
	uint64_t runs = 0;

	(void)state;
	if (rig_seed() != UINT64_MAX)
		skip();
	for (uint32_t fault = 0; fault < IOG_SIM_FAULT_KINDS; fault++) {
		for (uint32_t way = 0; way < POLICIES * 3; way++) {
			struct rig_config config = { .policy = policies[way / 3], .mode = modes[way % 3], .devices = 2, .others = true, .holds = true, .deferred_entries = 4 };

			if ((way + fault) % share)
				continue;
			config.ats = 2;
			config.pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP;
			fault_config(&config, fault);
			for (uint64_t after = 0, count = 1; count < 1000; after = 0, count *= 999) {
				alarm(60);
				while (run_script(&config, fault, after, count))
					after++;
				/* There were some. */
				assert_true(after > 10);
				runs += after + 1;
			}
		}
	}
	alarm(0);
	print_message("%" PRIu64 " runs\n", runs);
}

/* ---- maps that fail ---- */

static int touch_leaf(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx)
{
	struct rig *toucher = ctx;

	(void)leaf;
	(void)iog_sim_device_translate(toucher->fronts[0].sim, 0, iova, IOG_PROT_READ, NULL);
	(void)iog_sim_device_translate(toucher->fronts[0].sim, 0, iova, IOG_PROT_WRITE, NULL);
	return 0;
}

static uint32_t times_asked;

/* A device that tries all addresses finds what is being mapped before its driver was told of it. */
static void touch(struct rig *toucher)
{
	times_asked++;
	(void)iog_pgtable_visit(iog_domain_pgtable(toucher->domain), 1, 0, UINT64_C(1) << 40, touch_leaf, toucher);
}

/*
 * The unit does not hear of a mapping, whose memory a device may have found by then: it is not its owner's again before the unit has answered, though the map has failed.
 */
static void failed_map(void **state)
{
	static const enum iog_inval_mode modes[] = { IOG_INVAL_STRICT, IOG_INVAL_HELD };

	(void)state;
	for (uint32_t way = 0; way < POLICIES * 2; way++) {
		struct rig_config config = { .policy = policies[way / 2], .mode = modes[way % 2], .holds = true, .pgtable_flags = IOG_PGTABLE_FLUSH_ON_MAP };

		for (uint32_t segments = 1; segments < 4; segments++) {
			struct mapping *mapping;
			uint32_t invalidations;

			fault_config(&config, IOG_SIM_FAULT_STALL);
			rig_create(&rig, &config, segments, "failed map");
			/* That it lands is what the test is about. */
			rig.expects_violations = true;
			rig.on_invalidate = touch;
			times_asked = 0;
			assert_int_equal(rig_map(&rig, 0, segments, 4, &mapping), 0);
			/* A list is one invalidation, or one for each part. */
			invalidations = times_asked;
			assert_in_range(invalidations, 1, segments);
			for (uint32_t n = 0; n < invalidations; n++) {
				arm(IOG_SIM_FAULT_STALL, n, UINT64_MAX);
				assert_int_not_equal(rig_map(&rig, 0, segments, 4, &mapping), 0);
				arm(IOG_SIM_FAULT_STALL, 0, 0);
			}
			rig.on_invalidate = NULL;
			assert_int_equal(rig.early_reuses, 0);
			run_end();
			assert_int_equal(rig.early_reuses, 0);
		}
	}
}

/* A unit that says it has forgotten, and has not: the judge must notice, or all of this shows nothing. */
static void control(void **state)
{
	const struct rig_config config = { .policy = &iog_policy_window, .holds = true };
	struct mapping *mapping;

	(void)state;
	rig_create(&rig, &config, 1, "control");
	rig.expects_violations = true;
	assert_int_equal(rig_map(&rig, 0, 1, 1, &mapping), 0);
	iog_sim_note_unmap(rig.fronts[0].judged, mapping->iova, mapping->size);
	rig.fronts[0].lies = 1;
	assert_int_equal(iog_dma_unmap(rig.devices[0], 0, mapping->iova, mapping->size, mapping->dir, 0), 0);
	mapping->state = MAPPING_NONE;
	assert_int_equal(rig.early_reuses, 1);
	run_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step),
		cmocka_unit_test(failed_map),
		cmocka_unit_test(control),
		cmocka_unit_test(campaign),
	};

	return cmocka_run_group_tests_name("inval campaign", tests, NULL, NULL);
}
