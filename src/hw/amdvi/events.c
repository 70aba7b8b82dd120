/* SPDX-License-Identifier: MIT */
/*
 * The event log (AMD IOMMU 2.5): a ring in memory, which hardware stops filling when it is full, until it is turned off and on again.
 */
#include "amdvi.h"

#define TAKEN_MAX 64
/* Looks at an event that hardware has announced and not yet stored, and calls that look so, before it is given up. */
#define LOOKS 100
#define CALLS 8

#define EVENT_CODE(low) ((uint32_t)((low) >> 60))
#define EVENT_DEVICE(low) ((uint32_t)((low) & 0xffff))
#define EVENT_PASID(low) ((uint32_t)((low) >> 32 & 0xffff) | (uint32_t)((low) >> 16 & 0xf) << 16)
#define EVENT_GN (UINT64_C(1) << 48) /* the request was by guest tables, and has a PASID where others have a domain */
#define EVENT_NX (UINT64_C(1) << 49)
#define EVENT_US (UINT64_C(1) << 50) /* a user's */
#define EVENT_I (UINT64_C(1) << 51)  /* a request for an interrupt */
#define EVENT_PR (UINT64_C(1) << 52) /* the entry was present */
#define EVENT_RW (UINT64_C(1) << 53) /* a write */
#define EVENT_PE (UINT64_C(1) << 54) /* not permitted */
#define EVENT_RZ (UINT64_C(1) << 55) /* a reserved bit was set */
#define EVENT_TR (UINT64_C(1) << 56) /* a request for a translation */
#define EVENT_TYPE(low) ((uint32_t)((low) >> 57 & 7)) /* of INVALID_DEVICE_REQUEST */
#define TYPE_INTERRUPT_READ 0
#define TYPE_INTERRUPT_REFUSED 5
#define TYPE_INTERRUPT_RESERVED 6

#define ILLEGAL_DEV_TABLE_ENTRY 1
#define IO_PAGE_FAULT 2
#define DEV_TAB_HARDWARE_ERROR 3
#define PAGE_TAB_HARDWARE_ERROR 4
#define ILLEGAL_COMMAND_ERROR 5
#define COMMAND_HARDWARE_ERROR 6
#define IOTLB_INV_TIMEOUT 7
#define INVALID_DEVICE_REQUEST 8
#define INVALID_PPR_REQUEST 9
#define EVENT_COUNTER_ZERO 10

/* What the unit says of a message, rather than of an access to memory; NULL if it does not. */
static const char *interrupt_text(uint64_t low)
{
	if (EVENT_CODE(low) == INVALID_DEVICE_REQUEST && !(low & EVENT_TR)) {
		switch (EVENT_TYPE(low)) {
		case TYPE_INTERRUPT_READ:
			return "a read, or a write with an answer, where interrupt messages are";
		case TYPE_INTERRUPT_REFUSED:
			return "an interrupt of a device without a table of interrupts";
		case TYPE_INTERRUPT_RESERVED:
			return "a write to where interrupt messages are that is none";
		default:
			return NULL;
		}
	}
	if (!(low & EVENT_I))
		return NULL;
	switch (EVENT_CODE(low)) {
	case ILLEGAL_DEV_TABLE_ENTRY:
		return "what the device's entry says of interrupts is malformed, or the device table ends before it";
	case IO_PAGE_FAULT:
		return low & EVENT_RZ ? "a reserved bit is set in the interrupt's entry" : low & EVENT_PR ? "refused although the interrupt's entry is enabled" :
													    "the interrupt's entry is not enabled, or beyond the table";
	case DEV_TAB_HARDWARE_ERROR:
		return "the unit could not read the device table for an interrupt";
	case PAGE_TAB_HARDWARE_ERROR:
		return "the unit could not read the interrupt's entry";
	default:
		return NULL;
	}
}

static void page_fault(uint64_t low, struct iog_fault *fault)
{
	if (low & EVENT_RZ) {
		fault->reason = IOG_FAULT_REASON_MALFORMED;
		fault->text = "a reserved bit is set in an entry of the page table";
	} else if (low & EVENT_PE) {
		fault->reason = IOG_FAULT_REASON_PERMISSION;
		fault->text = "the page, or the device's entry, does not permit such an access";
	} else if (low & EVENT_PR) {
		fault->reason = IOG_FAULT_REASON_OTHER;
		fault->text = "refused although the entry is present";
	} else {
		fault->reason = IOG_FAULT_REASON_NOT_PRESENT;
		fault->text = "nothing is mapped at the address";
	}
}

/* 2.5.3 to 2.5.12. */
static void decode_reason(uint64_t low, struct iog_fault *fault)
{
	fault->text = interrupt_text(low);
	if (fault->text) {
		fault->reason = IOG_FAULT_REASON_INTERRUPT;
		return;
	}
	switch (fault->code) {
	case ILLEGAL_DEV_TABLE_ENTRY:
		fault->reason = low & EVENT_RZ ? IOG_FAULT_REASON_MALFORMED : IOG_FAULT_REASON_NO_DEVICE;
		fault->text = low & EVENT_RZ ? "a reserved bit is set in the device's entry" : "the device's entry holds what is not allowed, or the device table ends before it";
		break;
	case IO_PAGE_FAULT:
		page_fault(low, fault);
		break;
	case DEV_TAB_HARDWARE_ERROR:
		fault->reason = IOG_FAULT_REASON_WALK;
		fault->text = "the unit could not read the device table";
		break;
	case PAGE_TAB_HARDWARE_ERROR:
		fault->reason = IOG_FAULT_REASON_WALK;
		fault->text = "the unit could not read a page table";
		break;
	case ILLEGAL_COMMAND_ERROR:
		fault->reason = IOG_FAULT_REASON_MALFORMED;
		fault->text = "a command that the unit does not understand";
		break;
	case COMMAND_HARDWARE_ERROR:
		fault->reason = IOG_FAULT_REASON_WALK;
		fault->text = "the unit could not read a command";
		break;
	case IOTLB_INV_TIMEOUT:
		fault->text = "the device's TLB did not answer an invalidation in time";
		break;
	case INVALID_DEVICE_REQUEST:
		fault->reason = IOG_FAULT_REASON_PERMISSION;
		fault->text = "a request of a kind that the device may not make";
		break;
	case INVALID_PPR_REQUEST:
		fault->text = "a page request that the device may not make";
		break;
	case EVENT_COUNTER_ZERO:
		fault->text = "an event counter has reached zero";
		break;
	default:
		fault->text = "an event of unknown kind";
	}
}

static void decode(const struct iog_amdvi *amdvi, uint64_t low, uint64_t high, struct iog_fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	fault->code = EVENT_CODE(low);
	fault->device = amdvi->config.segment << 16 | EVENT_DEVICE(low);
	fault->pasid = low & EVENT_GN && fault->code == IO_PAGE_FAULT ? EVENT_PASID(low) : IOG_PASID_NONE;
	fault->iova = high;
	decode_reason(low, fault);
	if (fault->code != IO_PAGE_FAULT || low & EVENT_I) {
		/* The address is that of a table, a command, or an interrupt's message. */
		fault->access = fault->code == IO_PAGE_FAULT ? 0 : IOG_FAULT_NO_ADDRESS;
		fault->iova = fault->code == IO_PAGE_FAULT ? high : 0;
		return;
	}
	/* RW means something only where the entry was present, or translation was not asked for. */
	fault->access = low & EVENT_RW ? IOG_PROT_WRITE : IOG_PROT_READ;
	if (low & EVENT_TR)
		fault->access |= IOG_FAULT_TRANSLATION;
	if (low & EVENT_GN)
		fault->access |= (low & EVENT_US ? 0 : IOG_FAULT_PRIVILEGED) | (low & EVENT_NX ? IOG_PROT_EXEC : 0);
}

static void tlb_timeout_note(struct iog_amdvi *amdvi, uint32_t device)
{
	atomic_store_explicit(&amdvi->tlb_device, device, memory_order_relaxed);
	/* Release: the device; pairs with the acquire in iog_amdvi_tlb_answer(). */
	atomic_fetch_add_explicit(&amdvi->tlb_timeouts, 1, memory_order_release);
}

/* The event at @index, once it is there. */
static bool event_load(struct iog_amdvi *amdvi, uint32_t index, uint64_t *low, uint64_t *high)
{
	uint64_t *at = amdvi->events + 2 * (size_t)index;

	for (uint32_t n = 0; n < LOOKS; n++) {
		/* Acquire: its second word, which hardware stores no later; pairs with the release in take(), too. */
		*low = __atomic_load_n(&at[0], __ATOMIC_ACQUIRE);
		*high = __atomic_load_n(&at[1], __ATOMIC_RELAXED);
		if (EVENT_CODE(*low))
			return true;
		iog_relax(amdvi->platform);
	}
	return false;
}

/* False: it is not there yet. */
static bool take(struct iog_amdvi *amdvi, uint32_t index)
{
	uint64_t *at = amdvi->events + 2 * (size_t)index, low, high;
	struct iog_fault fault;

	if (!event_load(amdvi, index, &low, &high))
		return false;
	decode(amdvi, low, high, &fault);
	if (fault.code == IOTLB_INV_TIMEOUT)
		tlb_timeout_note(amdvi, fault.device);
	/*
	 * So that the next in this place is not taken for there before it is. Release: whoever looks for a timeout and does not find it here any more finds it noted; pairs with the acquire in
	 * event_load().
	 */
	__atomic_store_n(&at[1], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&at[0], 0, __ATOMIC_RELEASE);
	iog_fault_log_add(amdvi->faults, &amdvi->unit, &fault);
	return true;
}

/* Under event_lock: some were lost, and nobody knows which. Release: before what would tell; pairs with the acquire in iog_amdvi_log_lost(). */
static void losses_note(struct iog_amdvi *amdvi)
{
	iog_fault_log_overflow(amdvi->faults);
	atomic_fetch_add_explicit(&amdvi->log_losses, 1, memory_order_release);
}

/* Under event_lock. 2.5.2: a full log stops, and says so. */
static void overflow(struct iog_amdvi *amdvi, uint32_t status)
{
	if (status & AMDVI_EVENT_OVERFLOW) {
		losses_note(amdvi);
		iog_amdvi_control(amdvi, AMDVI_EVENT_LOG_EN, 0);
		iog_mmio_write32(&amdvi->mmio, AMDVI_STATUS, AMDVI_EVENT_OVERFLOW);
		iog_amdvi_control(amdvi, 0, AMDVI_EVENT_LOG_EN);
	}
}

/* Under event_lock. */
static uint32_t drain(struct iog_amdvi *amdvi)
{
	uint32_t status = iog_mmio_read32(&amdvi->mmio, AMDVI_STATUS), tail, taken = 0;
	bool passed = false;

	if (status == UINT32_MAX)
		return 0;
	/* Before the log is looked at: what comes after interrupts again. */
	if (status & AMDVI_EVENT_LOG_INT)
		iog_mmio_write32(&amdvi->mmio, AMDVI_STATUS, AMDVI_EVENT_LOG_INT);
	tail = iog_mmio_read32(&amdvi->mmio, AMDVI_EVT_TAIL) >> 4 & (amdvi->config.events - 1);
	while (amdvi->event_next != tail && taken < TAKEN_MAX) {
		bool there = take(amdvi, amdvi->event_next);

		/* It may be on its way, and those behind it wait for it: for some calls. Then it was lost, as what is stored behind it shows, or that nothing is. */
		if (!there && ++amdvi->event_calls < CALLS)
			break;
		if (!there)
			losses_note(amdvi);
		amdvi->event_calls = 0;
		amdvi->event_next = (amdvi->event_next + 1) & (amdvi->config.events - 1);
		passed = true;
		taken += there;
	}
	if (passed)
		iog_mmio_write32(&amdvi->mmio, AMDVI_EVT_HEAD, amdvi->event_next << 4);
	overflow(amdvi, status);
	return taken;
}

uint32_t iog_amdvi_interrupt(struct iog_amdvi *amdvi)
{
	uintptr_t flags;
	uint32_t taken = 0;

	/* Acquire: pairs with the release in iog_amdvi_enable(), before which the log is not on. */
	if (!atomic_load_explicit(&amdvi->running, memory_order_acquire))
		return 0;
	flags = amdvi->platform->irq_save ? amdvi->platform->irq_save(amdvi->platform->ctx) : 0;
	/* Acquire: what others have taken; pairs with the release in lock_give(). */
	if (!atomic_exchange_explicit(&amdvi->event_lock.taken, 1, memory_order_acquire)) {
		taken = drain(amdvi);
		lock_give(&amdvi->event_lock);
	}
	if (amdvi->platform->irq_restore)
		amdvi->platform->irq_restore(amdvi->platform->ctx, flags);
	iog_amdvi_queue_errors(amdvi);
	return taken;
}

/*
 * Whoever drains the log tells of what it held; what nobody has drained yet is looked at here and stays. A timeout of another device in between is taken for this one's: it is rare, and a device that is blocked for nothing is better than
 * memory that is used again too soon. What is announced and not there yet may be anything: that is to be asked again.
 */
int iog_amdvi_tlb_answer(struct iog_amdvi *amdvi, uint32_t device, uint32_t before)
{
	uint32_t mask = amdvi->config.events - 1, head, tail, now;
	bool unknown = false;
	uint64_t low, high;

	head = iog_mmio_read32(&amdvi->mmio, AMDVI_EVT_HEAD) >> 4 & mask;
	tail = iog_mmio_read32(&amdvi->mmio, AMDVI_EVT_TAIL) >> 4 & mask;
	for (; head != tail; head = (head + 1) & mask) {
		if (!event_load(amdvi, head, &low, &high))
			unknown = true;
		else if (EVENT_CODE(low) == IOTLB_INV_TIMEOUT && EVENT_DEVICE(low) == (device & 0xffff))
			return -IOG_ETIMEDOUT;
	}
	/* Acquire: pairs with the release in tlb_timeout_note(). After the log: what was drained meanwhile is counted by now. */
	now = atomic_load_explicit(&amdvi->tlb_timeouts, memory_order_acquire);
	if (now - before > 1 || (now != before && atomic_load_explicit(&amdvi->tlb_device, memory_order_relaxed) == device))
		return -IOG_ETIMEDOUT;
	return unknown ? -IOG_EAGAIN : 0;
}

bool iog_amdvi_log_lost(struct iog_amdvi *amdvi, uint32_t before)
{
	/* The status first: whoever clears it has counted before. */
	if (iog_mmio_read32(&amdvi->mmio, AMDVI_STATUS) & AMDVI_EVENT_OVERFLOW)
		return true;
	/* Acquire: pairs with the release in losses_note(). */
	return atomic_load_explicit(&amdvi->log_losses, memory_order_acquire) != before;
}

void iog_amdvi_events_reset(struct iog_amdvi *amdvi)
{
	uint64_t order = 0;

	while (UINT32_C(1) << order < amdvi->config.events)
		order++;
	memset(amdvi->events, 0, (size_t)amdvi->config.events * 16);
	amdvi->event_next = 0;
	amdvi->event_calls = 0;
	iog_mmio_publish(&amdvi->mmio);
	iog_mmio_write64(&amdvi->mmio, AMDVI_EVTLOG, amdvi_paddr(amdvi, amdvi->events) | order << AMDVI_LENGTH_SHIFT);
	iog_mmio_write32(&amdvi->mmio, AMDVI_EVT_HEAD, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_EVT_TAIL, 0);
	iog_mmio_write32(&amdvi->mmio, AMDVI_STATUS, AMDVI_EVENT_OVERFLOW | AMDVI_EVENT_LOG_INT | AMDVI_COM_WAIT_INT);
}

void iog_amdvi_device_faults(const struct iog_amdvi *amdvi, uint32_t device, struct iog_fault_counts *counts)
{
	iog_fault_log_device(amdvi->faults, device, counts);
}
