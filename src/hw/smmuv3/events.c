/* SPDX-License-Identifier: MIT */
/*
 * The event queue: refused accesses, decoded (SMMUv3 7.2, 7.3); global errors (7.5).
 *
 * Whoever takes events holds event_lock, and tells them one at a time.
 */
#include "smmuv3.h"

struct meaning {
	uint8_t event;
	uint8_t reason;
	bool address; /* the record has one */
	const char *text;
};

static const struct meaning meanings[] = {
	{ F_UUT, IOG_FAULT_REASON_OTHER, true, "a transaction of a kind that the unit does not support" },
	{ C_BAD_STREAMID, IOG_FAULT_REASON_NO_DEVICE, false, "the StreamID is beyond the stream table, or its level 1 descriptor is not valid" },
	{ F_STE_FETCH, IOG_FAULT_REASON_WALK, false, "the stream table entry could not be read" },
	{ C_BAD_STE, IOG_FAULT_REASON_MALFORMED, false, "the stream table entry is not valid" },
	{ F_BAD_ATS_TREQ, IOG_FAULT_REASON_PERMISSION, true, "a request for a translation from a stream that may not ask" },
	{ F_STREAM_DISABLED, IOG_FAULT_REASON_PERMISSION, false, "a transaction without SubstreamID, which the stream table entry terminates" },
	{ F_TRANSL_FORBIDDEN, IOG_FAULT_REASON_PERMISSION, true, "an access that claims to be translated, from a stream that may not ask for translations" },
	{ C_BAD_SUBSTREAMID, IOG_FAULT_REASON_NO_DEVICE, false, "the SubstreamID is beyond the context descriptors, or the stream has none" },
	{ F_CD_FETCH, IOG_FAULT_REASON_WALK, false, "the context descriptor could not be read" },
	{ C_BAD_CD, IOG_FAULT_REASON_MALFORMED, false, "the context descriptor is not valid" },
	{ F_WALK_EABT, IOG_FAULT_REASON_WALK, true, "a table could not be read" },
	{ F_TRANSLATION, IOG_FAULT_REASON_NOT_PRESENT, true, "nothing is mapped there" },
	{ F_ADDR_SIZE, IOG_FAULT_REASON_ADDRESS_SIZE, true, "an entry leads to an address beyond what the tables may give out" },
	{ F_ACCESS, IOG_FAULT_REASON_MALFORMED, true, "the leaf entry's access flag is 0, and the unit does not set it" },
	{ F_PERMISSION, IOG_FAULT_REASON_PERMISSION, true, "mapped, but not for this kind of access" },
	{ F_TLB_CONFLICT, IOG_FAULT_REASON_OTHER, true, "more than one translation is remembered for the address" },
	{ F_CFG_CONFLICT, IOG_FAULT_REASON_OTHER, false, "more than one configuration is remembered for the stream" },
	{ E_PAGE_REQUEST, IOG_FAULT_REASON_OTHER, true, "a hint that a page will be wanted" },
};

static const struct meaning unknown = { 0, IOG_FAULT_REASON_OTHER, false, "an event that the architecture leaves to the unit's maker, or a newer one" };

static const struct meaning *meaning_of(uint32_t event)
{
	for (size_t n = 0; n < sizeof(meanings) / sizeof(meanings[0]); n++)
		if (meanings[n].event == event)
			return &meanings[n];
	return &unknown;
}

static void tell(struct iog_smmuv3 *smmu, const uint64_t event[EVENT_WORDS])
{
	const struct meaning *meaning = meaning_of(EVENT0_ID(event[0]));
	struct iog_fault fault = {
		.device = EVENT0_STREAM(event[0]),
		.pasid = event[0] & EVENT0_SSV ? EVENT0_SUBSTREAM(event[0]) : IOG_PASID_NONE,
		.reason = (enum iog_fault_reason)meaning->reason,
		.code = EVENT0_ID(event[0]),
		.text = meaning->text,
	};

	if (meaning->address) {
		fault.iova = event[2];
		fault.access = (event[1] & EVENT1_RNW ? IOG_PROT_READ : IOG_PROT_WRITE) | (event[1] & EVENT1_IND ? IOG_PROT_EXEC : 0) |
			       (event[1] & EVENT1_PNU ? IOG_FAULT_PRIVILEGED : 0) | (event[1] & EVENT1_S2 ? IOG_FAULT_SECOND_STAGE : 0);
		if (fault.code == F_TRANSL_FORBIDDEN)
			fault.access |= IOG_FAULT_TRANSLATED;
		if (fault.code == F_BAD_ATS_TREQ)
			fault.access |= IOG_FAULT_TRANSLATION;
	} else {
		fault.access = IOG_FAULT_NO_ADDRESS;
	}
	/* An entry that nobody has set is not one that somebody has spoilt. */
	if (fault.code == C_BAD_STE && !iog_smmuv3_stream_known(smmu, fault.device)) {
		fault.reason = IOG_FAULT_REASON_NO_DEVICE;
		fault.text = "the stream has no entry: nobody has attached it";
	}
	iog_fault_log_add(smmu->faults, &smmu->unit, &fault);
}

static void event_load(struct iog_smmuv3 *smmu, uint32_t index, uint64_t event[EVENT_WORDS])
{
	uint64_t *at = smmu->events + EVENT_WORDS * (size_t)(index & ((1u << smmu->event_log2) - 1));

	if (!smmu->info.coherent)
		smmu->platform->cache_flush(smmu->platform->ctx, at, EVENT_WORDS * sizeof(*at));
	for (uint32_t n = 0; n < EVENT_WORDS; n++)
		event[n] = __atomic_load_n(&at[n], __ATOMIC_RELAXED);
}

/*
 * Transactions that wait for an answer, on units where faults cannot but wait: they are aborted. An event whose answer finds no room stays in the queue, and whoever has waited for commands, and so
 * finds room, is asked to try again; nobody waits here. Under event_lock.
 */
static void stalls_end(struct iog_smmuv3 *smmu)
{
	uint32_t mask = (2u << smmu->event_log2) - 1;
	uint64_t event[EVENT_WORDS];

	/* Before it is looked at: whoever sets it after that is heard. */
	atomic_store_explicit(&smmu->stalls_left, false, memory_order_relaxed);
	while ((smmu->event_answered ^ smmu->event_prod) & mask) {
		event_load(smmu, smmu->event_answered, event);
		if (event[1] & EVENT1_STALL && meaning_of(EVENT0_ID(event[0]))->address) {
			const struct iog_command command = { { CMD_RESUME | CMD0_RESUME_ABORT | CMD0_STREAM((uint64_t)EVENT0_STREAM(event[0])), EVENT1_STAG(event[1]) } };

			if (iog_ring_post(&smmu->ring, &command, 1, 0)) {
				atomic_store_explicit(&smmu->stalls_left, true, memory_order_relaxed);
				return;
			}
			smmu_count(&smmu->stalls_ended, 1);
			smmu_count(&smmu->commands, 1);
		}
		smmu->event_answered = (smmu->event_answered + 1) & mask;
	}
}

void iog_smmuv3_stalls_end(struct iog_smmuv3 *smmu)
{
	uintptr_t flags = spin_lock(&smmu->event_lock, smmu->platform);

	if (smmu->on)
		stalls_end(smmu);
	spin_unlock(&smmu->event_lock, smmu->platform, flags);
}

static void event_take(struct iog_smmuv3 *smmu)
{
	uint64_t event[EVENT_WORDS];

	event_load(smmu, smmu->event_cons, event);
	tell(smmu, event);
}

static void errors_take(struct iog_smmuv3 *smmu)
{
	uint32_t active;
	uintptr_t flags;

	/* GERRORN is the ring's: an error of the command queue is taken by it. */
	iog_ring_watch(&smmu->ring, true);
	flags = spin_lock(&smmu->ring.watch_lock, smmu->platform);
	active = (iog_mmio_read32(&smmu->page0, GERROR) ^ smmu->gerrorn);
	if (active & ~(uint32_t)GERROR_KNOWN)
		active = 0;
	active &= ~(uint32_t)GERROR_CMDQ;
	if (active) {
		smmu->gerrorn ^= active;
		iog_mmio_write32(&smmu->page0, GERRORN, smmu->gerrorn);
		atomic_fetch_or_explicit(&smmu->errors, active, memory_order_relaxed);
	}
	spin_unlock(&smmu->ring.watch_lock, smmu->platform, flags);
	if (active & GERROR_EVENTQ_ABT)
		iog_fault_log_overflow(smmu->faults);
}

uint32_t iog_smmuv3_interrupt(struct iog_smmuv3 *smmu)
{
	uint32_t mask = (2u << smmu->event_log2) - 1, taken = 0;
	uintptr_t flags;

	if (!smmu->on)
		return 0;
	flags = spin_lock(&smmu->event_lock, smmu->platform);
	errors_take(smmu);
	while (taken < 1u << smmu->event_log2) {
		uint32_t prod = iog_mmio_read32(&smmu->page1, EVENTQ_PROD);
		uint32_t there = ((prod & mask) - (smmu->event_cons & mask)) & mask;
		bool overflow = (prod ^ smmu->event_cons) & EVENTQ_OVERFLOW;
		uint32_t answered;

		/* More than fit, or all ones: the register of a unit that is gone. */
		if (prod == UINT32_MAX || there > 1u << smmu->event_log2 || (!there && !overflow))
			break;
		if (there > (1u << smmu->event_log2) - taken)
			there = (1u << smmu->event_log2) - taken;
		smmu->event_prod = (smmu->event_cons + there) & mask;
		stalls_end(smmu);
		answered = (smmu->event_answered - smmu->event_cons) & mask;
		if (!answered && !overflow)
			break;
		for (uint32_t n = 0; n < answered; n++) {
			event_take(smmu);
			smmu->event_cons = (smmu->event_cons & ~mask) | ((smmu->event_cons + 1) & mask);
		}
		taken += answered;
		if (overflow) {
			iog_fault_log_overflow(smmu->faults);
			smmu->event_cons ^= (uint32_t)EVENTQ_OVERFLOW;
		}
		/* What was read has been read before the unit may write there again. */
		atomic_thread_fence(memory_order_seq_cst);
		iog_mmio_publish(&smmu->page1);
		iog_mmio_write32(&smmu->page1, EVENTQ_CONS, smmu->event_cons);
	}
	spin_unlock(&smmu->event_lock, smmu->platform, flags);
	return taken;
}

void iog_smmuv3_device_faults(const struct iog_smmuv3 *smmu, uint32_t stream, struct iog_fault_counts *counts)
{
	iog_fault_log_device(smmu->faults, stream, counts);
}
