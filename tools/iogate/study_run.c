/* SPDX-License-Identifier: MIT */
/*
 * One combination of the study, by the DMA API; see study.h. A driver keeps rings of buffers mapped; the device fills them; each that is full is unmapped and replaced.
 */
#include "study.h"

#include <stdlib.h>
#include <string.h>

#include <iogate/dma.h>
#include <iogate/error.h>

#include "clock.h"
#include "dma_bed.h"
#include "engine.h"
#include "interrupt.h"
#include "memory.h"
#include "pace.h"
#include "policy.h"
#include "samples.h"
#include "size.h"
#include "study_memory.h"

/* Of the tree that large runs come from, and of buffers: gigabytes that lie one after the other. */
#define RECEIVE_BASE (UINT64_C(64) << 30)
#define SEND_BASE (RECEIVE_BASE + (UINT64_C(512) << 20))
#define SEND_BASE_LARGE (UINT64_C(16) << 40)
#define STATIC_SIZE SIZE_1G
/* Steps between looks at Ctrl-C; also of which times are taken together. */
#define LOOK 1024
/* Such batches that are timed. */
#define BATCHES 1024
/* How far ahead of its DMA a device asks for translations, pages. */
#define AHEAD 2

#define PROT_RECEIVE (IOG_PROT_READ | IOG_PROT_WRITE)

const struct study_workload study_workloads[STUDY_WORKLOADS] = {
	{ "descriptors", "8 rings of buffers of which a network device fills 64 pages each, and a page sent for 8 received", 64, { 128, 16, 4 }, true },
	{ "pages", "8 rings of buffers of which a device uses one page each", 1, { 32, 32, 4 }, false },
};

const char *const study_leaf_names[3] = { "4K", "2M", "1G" };
const char *const study_ats_names[3] = { "off", "on", "ahead" };
const char *const study_addresses_names[STUDY_ADDRESSES] = { "window", "tree", "static", "bypass" };

struct buffer {
	uint64_t paddr;
	iog_iova_t iova;
	struct iog_sg *sg; /* NULL: mapped in one piece */
};

struct ring {
	struct buffer *buffers;
	uint32_t at;   /* the buffer that the device fills */
	uint32_t page; /* of it */
};

struct run {
	const struct study_config *config;
	const struct study_case *what;
	struct study_result *result;
	struct dma_bed bed;
	struct study_memory receive, send;
	struct ring rings[STUDY_RINGS];
	uint32_t slots;
	uint64_t size; /* of a buffer */
	bool judged;
	struct buffer sent[STUDY_SEND_LIVE];
	uint64_t nr_sent;
	uint64_t ticked_ms;
	uint64_t tickets[STUDY_DESCRIPTOR_PAGES];
	uint64_t call_ns; /* of the batch */
	uint64_t batch_pages;
	struct samples batches; /* thousandths of ns a page */
	struct random random;
};

uint64_t study_leaf_size(uint32_t leaf)
{
	return SIZE_4K << 9 * leaf;
}

bool study_is_translated(const struct study_case *what)
{
	return what->addresses != STUDY_BYPASS;
}

bool study_is_dynamic(const struct study_case *what)
{
	return what->addresses < STUDY_STATIC;
}

struct iog_sim_config study_hardware(const struct study_config *config, uint32_t flags)
{
	bool judged = !(flags & IOG_SIM_NO_ORACLE);

	return (struct iog_sim_config){
		.flags = flags,
		.wait_ns = judged ? config->wait_ns : 0,
		.range_ns = judged ? STUDY_COMMAND_NS : 0,
		.domain_ns = judged ? STUDY_COMMAND_NS : 0,
		.device_ns = judged ? STUDY_DEVICE_NS : 0,
		.seed = config->seed,
	};
}

/* Where the device's n-th page lies in a buffer: large ones it uses evenly spread; neighbours in a descriptor of small ones are none in memory. */
static uint64_t page_offset(const struct run *run, uint32_t page)
{
	uint32_t pages = run->what->workload->pages;

	if (run->size == pages * SIZE_4K && pages > 1)
		return SIZE_4K * (page ^ 1);
	return run->size / pages * page;
}

static void release(void *ctx, iog_paddr_t paddr, uint64_t size)
{
	struct run *run = ctx;

	study_memory_give(paddr >= run->send.base ? &run->send : &run->receive, paddr, size);
}

static const struct iog_hold_ops hold_ops = { .release = release };

static void failed(struct run *run)
{
	run->result->failures++;
}

static uint32_t attrs(const struct run *run)
{
	return run->what->addresses == STUDY_BYPASS ? IOG_DMA_BYPASS : 0;
}

/* What nobody told hold_ops of. */
static bool is_let_go(const struct run *run)
{
	return study_is_dynamic(run->what);
}

/* The addresses of the pages that the device uses: of a list, in order; of one piece, by their place. */
static iog_iova_t page_iova(const struct run *run, const struct buffer *buffer, uint32_t page)
{
	return buffer->iova + (buffer->sg ? SIZE_4K * page : page_offset(run, page));
}

static bool is_noted(const struct run *run)
{
	return run->judged && is_let_go(run);
}

/* Memory that is mapped for ever belongs to whoever the device likes; elsewhere it must not be reached through what was unmapped. */
static void note_reuse(struct run *run, uint64_t paddr, uint64_t size, bool reused)
{
	if (reused && is_noted(run))
		iog_sim_note_reuse(run->bed.sim, paddr, size);
}

static void note_mapped(struct run *run, const struct buffer *buffer)
{
	for (uint32_t i = 0; i < run->what->workload->pages && is_noted(run); i++)
		iog_sim_note_map(run->bed.seen, page_iova(run, buffer, i), buffer->paddr + page_offset(run, i), SIZE_4K, PROT_RECEIVE);
}

static int map_buffer(struct run *run, struct buffer *buffer)
{
	uint32_t pages = run->what->workload->pages, pairs;
	bool reused;
	uint64_t begin;
	int ret;

	buffer->paddr = study_memory_take(&run->receive, &reused);
	for (uint32_t i = 0; i < pages; i++) {
		note_reuse(run, buffer->paddr + page_offset(run, i), SIZE_4K, reused);
		if (buffer->sg)
			buffer->sg[i] = (struct iog_sg){ .paddr = buffer->paddr + page_offset(run, i), .size = SIZE_4K };
	}
	begin = clock_ns();
	if (buffer->sg)
		ret = iog_dma_map_sg(run->bed.device, 0, buffer->sg, pages, IOG_DMA_BIDIRECTIONAL, attrs(run), &buffer->iova, &pairs);
	else
		ret = iog_dma_map(run->bed.device, 0, buffer->paddr, run->size, IOG_DMA_BIDIRECTIONAL, attrs(run), &buffer->iova);
	run->call_ns += clock_ns() - begin;
	if (!ret)
		note_mapped(run, buffer);
	return ret;
}

static int unmap_buffer(struct run *run, struct buffer *buffer)
{
	uint32_t pages = run->what->workload->pages;
	uint64_t begin;
	int ret;

	for (uint32_t i = 0; i < pages && is_noted(run); i++)
		run->tickets[i] = iog_sim_note_unmap(run->bed.seen, page_iova(run, buffer, i), SIZE_4K);
	begin = clock_ns();
	if (buffer->sg)
		ret = iog_dma_unmap_sg(run->bed.device, 0, buffer->sg, pages, IOG_DMA_BIDIRECTIONAL, attrs(run));
	else
		ret = iog_dma_unmap(run->bed.device, 0, buffer->iova, run->size, IOG_DMA_BIDIRECTIONAL, attrs(run));
	run->call_ns += clock_ns() - begin;
	for (uint32_t i = 0; i < pages && is_noted(run); i++)
		iog_sim_note_unmapped(run->bed.sim, run->tickets[i]);
	if (!ret && !is_let_go(run))
		study_memory_give(&run->receive, buffer->paddr, run->size);
	return ret;
}

/* One access of the device. */
static void access_page(struct run *run, iog_iova_t iova, uint64_t paddr, uint32_t prot)
{
	iog_paddr_t landed;

	pace_pass(STUDY_PAGE_NS);
	run->result->pages++;
	if (!study_is_translated(run->what))
		return;
	if (iog_sim_device_translate(run->bed.sim, DMA_BED_DEVICE, iova, prot, &landed) || landed != paddr)
		failed(run);
}

static void ask_ahead(struct run *run, const struct buffer *buffer, uint32_t page)
{
	uint32_t first = page ? page + AHEAD : 0;

	for (uint32_t i = first; i <= page + AHEAD && i < run->what->workload->pages; i++) {
		if (iog_sim_device_translate_request(run->bed.sim, DMA_BED_DEVICE, page_iova(run, buffer, i), SIZE_4K, IOG_PROT_WRITE))
			failed(run);
	}
}

/* A page is sent: mapped, read, and unmapped when others have followed it. */
static int send_page(struct run *run)
{
	struct buffer *buffer = &run->sent[run->nr_sent++ % STUDY_SEND_LIVE];
	uint64_t begin, ticket = 0;
	bool reused;
	int ret = 0;

	if (buffer->paddr) {
		if (is_noted(run))
			ticket = iog_sim_note_unmap(run->bed.seen, buffer->iova, SIZE_4K);
		begin = clock_ns();
		ret = iog_dma_unmap(run->bed.device, 0, buffer->iova, SIZE_4K, IOG_DMA_TO_DEVICE, attrs(run));
		run->call_ns += clock_ns() - begin;
		iog_sim_note_unmapped(run->bed.sim, ticket);
		if (!ret && !is_let_go(run))
			study_memory_give(&run->send, buffer->paddr, SIZE_4K);
	}
	if (ret)
		return ret;
	buffer->paddr = study_memory_take(&run->send, &reused);
	note_reuse(run, buffer->paddr, SIZE_4K, reused);
	begin = clock_ns();
	ret = iog_dma_map(run->bed.device, 0, buffer->paddr, SIZE_4K, IOG_DMA_TO_DEVICE, attrs(run), &buffer->iova);
	run->call_ns += clock_ns() - begin;
	if (ret)
		return ret;
	if (is_noted(run))
		iog_sim_note_map(run->bed.seen, buffer->iova, buffer->paddr, SIZE_4K, IOG_PROT_READ);
	access_page(run, buffer->iova, buffer->paddr, IOG_PROT_READ);
	return 0;
}

static int receive_page(struct run *run)
{
	struct ring *ring = &run->rings[random_below(&run->random, STUDY_RINGS)];
	struct buffer *buffer = &ring->buffers[ring->at];
	int ret;

	if (run->what->ats == STUDY_ATS_AHEAD && study_is_translated(run->what))
		ask_ahead(run, buffer, ring->page);
	access_page(run, page_iova(run, buffer, ring->page), buffer->paddr + page_offset(run, ring->page), IOG_PROT_WRITE);
	if (++ring->page < run->what->workload->pages)
		return 0;
	ring->page = 0;
	ring->at = (ring->at + 1) % run->slots;
	ret = unmap_buffer(run, buffer);
	return ret ? ret : map_buffer(run, buffer);
}

/* The timer of the driver's CPU. */
static int tick(struct run *run)
{
	uint64_t ms = pace_now(NULL) / 1000000;

	if (ms < run->ticked_ms + TICK_MS)
		return 0;
	run->ticked_ms = ms;
	return iog_domain_tick(run->bed.domain, 0, ms);
}

static void end_batch(struct run *run)
{
	uint64_t pages = run->result->pages - run->batch_pages;

	if (pages)
		samples_add(&run->batches, run->call_ns * 1000 / pages);
	run->batch_pages = run->result->pages;
	run->call_ns = 0;
}

static int steps(struct run *run, uint64_t pages)
{
	int ret = 0;

	for (uint64_t i = 0; i < pages && !ret; i++) {
		if (i % LOOK == 0) {
			end_batch(run);
			if (interrupted())
				return -IOG_EAGAIN;
		}
		ret = receive_page(run);
		if (!ret && run->what->workload->sends && i % STUDY_SEND_EVERY == 0)
			ret = send_page(run);
		if (!ret && run->what->mode != IOG_INVAL_STRICT)
			ret = tick(run);
	}
	return ret;
}

/* Static 1:1: what the device will use is there before anybody maps it. */
static void note_static(struct run *run)
{
	if (!run->judged || run->what->addresses != STUDY_STATIC)
		return;
	iog_sim_note_map(run->bed.seen, RECEIVE_BASE, RECEIVE_BASE, run->size * (STUDY_RINGS * run->slots + 1), PROT_RECEIVE);
	iog_sim_note_map(run->bed.seen, SEND_BASE, SEND_BASE, SIZE_4K * (STUDY_SEND_LIVE + 1), PROT_RECEIVE);
}

static int fill_rings(struct run *run)
{
	bool lists = run->what->workload->pages > 1 && run->size == run->what->workload->pages * SIZE_4K && is_let_go(run);
	int ret = 0;

	for (uint32_t i = 0; i < STUDY_RINGS; i++)
		run->rings[i].buffers = memory_new(run->slots, sizeof(struct buffer));
	for (uint32_t slot = 0; slot < run->slots && !ret; slot++) {
		for (uint32_t i = 0; i < STUDY_RINGS && !ret; i++) {
			if (lists)
				run->rings[i].buffers[slot].sg = memory_new(run->what->workload->pages, sizeof(struct iog_sg));
			ret = map_buffer(run, &run->rings[i].buffers[slot]);
		}
	}
	return ret;
}

static void destroy(struct run *run)
{
	for (uint32_t i = 0; i < STUDY_RINGS; i++) {
		for (uint32_t slot = 0; slot < run->slots && run->rings[i].buffers; slot++)
			free(run->rings[i].buffers[slot].sg);
		free(run->rings[i].buffers);
	}
	/* The domain lets go of what it still holds: the memory has to be there. */
	if (dma_bed_destroy(&run->bed))
		failed(run);
	study_memory_fini(&run->receive);
	study_memory_fini(&run->send);
	samples_free(&run->batches);
}

static int create_bed(struct run *run, struct problem *problem)
{
	const struct study_case *what = run->what;
	uint32_t flags = run->judged ? IOG_SIM_EXPOSURE | (what->mode == IOG_INVAL_DEFERRED ? IOG_SIM_REUSE_COUNTED : 0) : IOG_SIM_NO_ORACLE;
	struct iog_sim_config hardware = study_hardware(run->config, flags);
	struct iog_memory memory = { .paddr = RECEIVE_BASE, .size = STATIC_SIZE, .prot = PROT_RECEIVE };
	bool ats = what->ats != STUDY_ATS_OFF && study_is_translated(what);
	struct dma_bed_config bed = {
		.format = run->config->format,
		.reclaim = run->config->reclaim,
		.policy = what->addresses == STUDY_TREE ? "tree" : "window",
		.mode = what->mode,
		.simulate = true,
		.judge = run->judged,
		.paced = run->judged,
		.hardware = &hardware,
		.device_flags = (what->addresses == STUDY_BYPASS ? IOG_DEVICE_BYPASS : 0) | (ats ? IOG_DEVICE_ATS : 0),
		.ats_entries = ats ? STUDY_ATS_ENTRIES : 0,
		.memory = what->addresses == STUDY_STATIC ? &memory : NULL,
		.hold = is_let_go(run) ? &hold_ops : NULL,
		.hold_ctx = run,
		.lanes = 1,
		.memory_limit = run->config->memory_limit,
	};

	for (uint32_t leaf = 0; leaf <= what->leaf; leaf++)
		bed.page_sizes |= study_leaf_size(leaf);
	pace_begin(STUDY_LOOK_NS);
	return dma_bed_create(&bed, &run->bed, problem);
}

/* The combination once. @result gets what was counted, or when not @judged what calls took. */
static int run_once(const struct study_config *config, const struct study_case *what, bool judged, struct study_result *result, struct problem *problem)
{
	uint32_t leaf = study_is_dynamic(what) ? what->leaf : 0;
	struct run run = { .config = config, .what = what, .result = result, .judged = judged, .random = { config->seed } };
	uint64_t pages = what->workload->pages;
	struct iog_domain_stats domain;
	struct percentiles times;
	int ret;

	run.slots = what->workload->slots[leaf];
	run.size = leaf || pages == 1 ? study_leaf_size(leaf) : pages * SIZE_4K;
	ret = create_bed(&run, problem);
	if (ret)
		return ret;
	study_memory_init(&run.receive, RECEIVE_BASE, run.size);
	study_memory_init(&run.send, leaf ? SEND_BASE_LARGE : SEND_BASE, SIZE_4K);
	samples_init(&run.batches, BATCHES);
	note_static(&run);
	ret = fill_rings(&run);
	/* What the caches and the allocator make of the beginning does not count. */
	if (!ret)
		ret = steps(&run, config->pages / 4);
	iog_sim_stats_take(run.bed.sim, &result->stats);
	result->pages = run.batch_pages = run.call_ns = 0;
	run.batches.count = 0;
	if (!ret)
		ret = steps(&run, config->pages);
	iog_sim_stats_take(run.bed.sim, &result->stats);
	iog_domain_stats(run.bed.domain, &domain);
	if (judged) {
		result->held_bytes_most = domain.held_bytes_most;
		result->violations = result->stats.violations_total + result->stats.unjudged + result->failures;
	} else {
		end_batch(&run);
		samples_percentiles(&run.batches, &times);
		result->ns_per_page = (double)times.p50 / 1000;
	}
	if (ret)
		problem_set(problem, "%s, %s, %s: %s", what->workload->name, study_addresses_names[what->addresses], mode_name(what->mode), iog_strerror(ret));
	destroy(&run);
	return ret;
}

int study_run(const struct study_config *config, const struct study_case *what, struct study_result *result, struct problem *problem)
{
	struct study_result timed = { .what = *what };
	int ret;

	*result = (struct study_result){ .what = *what };
	ret = run_once(config, what, true, result, problem);
	if (!ret)
		ret = run_once(config, what, false, &timed, problem);
	result->ns_per_page = timed.ns_per_page;
	result->done = !ret;
	return ret;
}
