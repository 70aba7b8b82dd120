/* SPDX-License-Identifier: MIT */
/*
 * Verdicts. See judge.h.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

/* The default callback prints this many violations with their history, and lets the counters tell of more. */
#define PRINTED_MAX 8
#define DETAIL_SIZE 320

/* Its address tells threads apart. */
static _Thread_local char thread_mark;

const char *iog_sim_violation_name(enum iog_sim_violation_kind kind)
{
	static const char *const names[IOG_SIM_VIOLATION_KINDS] = {
		[IOG_SIM_STALE_ACCESS] = "stale access", [IOG_SIM_FREED_TABLE] = "freed table",       [IOG_SIM_EARLY_REUSE] = "early reuse",
		[IOG_SIM_LOST_ACCESS] = "lost access",   [IOG_SIM_BAD_PERMISSION] = "bad permission",
		[IOG_SIM_UNCLEAN_TABLE] = "unclean table",
	};

	return (unsigned int)kind < IOG_SIM_VIOLATION_KINDS ? names[kind] : "unknown violation";
}

const char *iog_sim_fault_name(enum walk_fault fault)
{
	static const char *const names[] = {
		[WALK_OK] = "no fault",
		[WALK_FAULT_ADDRESS] = "address beyond the table's width",
		[WALK_FAULT_NOT_PRESENT] = "not present",
		[WALK_FAULT_RESERVED] = "reserved bit set",
		[WALK_FAULT_PERMISSION] = "permission",
		[WALK_FAULT_SUPERVISOR] = "user bit clear",
		[WALK_FAULT_UNCLEAN] = "line never written back",
		[WALK_FAULT_FREED_TABLE] = "table given back",
	};

	return (unsigned int)fault < sizeof(names) / sizeof(names[0]) ? names[fault] : "unknown fault";
}

const char *iog_sim_source_words(uint32_t source, char *words)
{
	if (source == SOURCE_ROOT)
		return "through the live tables";
	if (source == SOURCE_IOTLB)
		return "through an IOTLB entry";
	if (source == SOURCE_DEVICE_TLB)
		return "through an entry of the device's TLB";
	snprintf(words, SOURCE_WORDS, "through a cached pointer to a table of level %" PRIu32, source - SOURCE_WALK_CACHE);
	return words;
}

uintptr_t iog_sim_thread(void)
{
	return (uintptr_t)&thread_mark;
}

bool iog_sim_reporting(struct iog_sim *sim)
{
	/* Relaxed: only this thread ever stores this thread's mark. */
	return atomic_load_explicit(&sim->reporter, memory_order_relaxed) == iog_sim_thread();
}

static void print_violation(struct iog_sim *sim, const struct iog_sim_violation *violation)
{
	if (sim->printed++ >= PRINTED_MAX)
		return;
	fprintf(stderr, "iogate: simulated IOMMU: %s: domain %" PRIu32 " iova 0x%" PRIx64 " paddr 0x%" PRIx64 ": %s\n",
		iog_sim_violation_name(violation->kind), violation->domain, violation->iova, violation->paddr, violation->detail);
	iog_sim_history_print(sim, violation->domain, violation->iova, stderr);
	if (sim->printed == PRINTED_MAX)
		fprintf(stderr, "iogate: simulated IOMMU: further violations are counted only\n");
}

void iog_sim_violation(struct iog_sim *sim, enum iog_sim_violation_kind kind, uint32_t domain, iog_iova_t iova, iog_paddr_t paddr,
		       const char *format, ...)
{
	char detail[DETAIL_SIZE];
	struct iog_sim_violation violation = { kind, domain, iova, paddr, detail };
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);

	sim->stats.violations[kind]++;
	sim->stats.violations_total++;
	*history_next(&sim->history) = (struct event){
		.first = iova,
		.last = iova,
		.paddr = paddr,
		.domain = domain,
		.kind = EVENT_VIOLATION,
		.detail = (uint8_t)kind,
	};
	if (!sim->violation) {
		print_violation(sim, &violation);
		return;
	}
	atomic_store_explicit(&sim->reporter, iog_sim_thread(), memory_order_relaxed);
	sim->violation(sim->violation_ctx, &violation);
	atomic_store_explicit(&sim->reporter, 0, memory_order_relaxed);
}

/* An access that should have landed at @paddr did not. Why: what do the tables in memory say now? */
static void judge_lost(struct iog_sim_domain *domain, iog_iova_t iova, iog_paddr_t paddr, const struct walk *walk)
{
	char words[SOURCE_WORDS], happened[96], why[128];
	const char *source = iog_sim_source_words(walk->source, words);
	struct walk memory;

	if (walk->fault == WALK_OK)
		snprintf(happened, sizeof(happened), "landed at 0x%" PRIx64, walk->paddr);
	else
		snprintf(happened, sizeof(happened), "faulted (%s, level %" PRIu32 ")", iog_sim_fault_name(walk->fault), walk->level);

	iog_sim_walk_memory(domain, iova, &memory);
	if (memory.fault != WALK_OK)
		snprintf(why, sizeof(why), "the live tables do not map it (%s, level %" PRIu32 ")", iog_sim_fault_name(memory.fault),
			 memory.level);
	else if (memory.paddr != paddr)
		snprintf(why, sizeof(why), "the live tables lead to 0x%" PRIx64, memory.paddr);
	else if (walk->source >= SOURCE_WALK_CACHE && memory.table != walk->table)
		snprintf(why, sizeof(why), "walk cache held a replaced table: 0x%" PRIx64 ", not 0x%" PRIx64, walk->table, memory.table);
	else if (walk->source == SOURCE_IOTLB)
		snprintf(why, sizeof(why), "the IOTLB held a replaced mapping");
	else if (walk->source == SOURCE_DEVICE_TLB)
		snprintf(why, sizeof(why), "the device's TLB held a replaced mapping");
	else
		snprintf(why, sizeof(why), "the live tables have it by now");

	iog_sim_violation(domain->sim, IOG_SIM_LOST_ACCESS, domain->id, iova, walk->fault == WALK_OK ? walk->paddr : 0,
			  "%s %s instead of landing at 0x%" PRIx64 "; %s", happened, source, paddr, why);
}

static void judge_stale(struct iog_sim_domain *domain, iog_iova_t iova, const struct walk *walk)
{
	char words[SOURCE_WORDS];
	struct walk memory;

	iog_sim_walk_memory(domain, iova, &memory);
	iog_sim_violation(domain->sim, IOG_SIM_STALE_ACCESS, domain->id, iova, walk->paddr,
			  "landed %s, where nothing is mapped; the live tables %s", iog_sim_source_words(walk->source, words),
			  memory.fault == WALK_OK && memory.paddr == walk->paddr ? "lead there" : "do not lead there");
}

void iog_sim_judge_access(struct iog_sim_domain *domain, iog_iova_t iova, uint32_t size, uint32_t prot, const struct walk *walk)
{
	struct iog_sim *sim = domain->sim;
	bool landed = walk->fault == WALK_OK;
	char words[SOURCE_WORDS];
	const uint64_t *page;
	enum page_state state;
	iog_paddr_t paddr;

	if (walk->fault == WALK_FAULT_FREED_TABLE) {
		iog_sim_violation(sim, IOG_SIM_FREED_TABLE, domain->id, iova, walk->table,
				  "the walk %s came to a table of level %" PRIu32 " that %s", iog_sim_source_words(walk->source, words),
				  walk->level,
				  iog_sim_table_known(sim, walk->table) ? "has been given back" : "table memory never handed out");
		return;
	}
	if (walk->fault == WALK_FAULT_UNCLEAN) {
		iog_sim_violation(sim, IOG_SIM_UNCLEAN_TABLE, domain->id, iova, walk->table,
				  "the walk %s read a line of a table of level %" PRIu32 " that was never written back to memory",
				  iog_sim_source_words(walk->source, words), walk->level);
		return;
	}
	if (domain->expected.blind) {
		sim->stats.unjudged++;
		return;
	}

	page = pagemap_find(&domain->expected.pages, iova >> SIM_PAGE_SHIFT);
	state = page ? page_state(*page) : PAGE_ABSENT;
	if (state == PAGE_ABSENT) {
		if (landed)
			judge_stale(domain, iova, walk);
		return;
	}

	paddr = page_paddr(*page) + (iova & (SIM_PAGE_SIZE - 1));
	if (!landed) {
		if (state != PAGE_MAPPED || prot & ~page_prot(*page))
			return;
		if (walk->fault == WALK_FAULT_PERMISSION || walk->fault == WALK_FAULT_SUPERVISOR)
			iog_sim_violation(sim, IOG_SIM_BAD_PERMISSION, domain->id, iova, 0, "refused %s (%s), which the mapping allows",
					  iog_sim_source_words(walk->source, words), iog_sim_fault_name(walk->fault));
		else
			judge_lost(domain, iova, paddr, walk);
		return;
	}

	if (walk->paddr != paddr) {
		if (state == PAGE_MAPPED)
			judge_lost(domain, iova, paddr, walk);
		else
			iog_sim_violation(sim, IOG_SIM_STALE_ACCESS, domain->id, iova, walk->paddr,
					  "landed %s; the mapping that is being removed led to 0x%" PRIx64,
					  iog_sim_source_words(walk->source, words), paddr);
	} else if (prot & ~page_prot(*page)) {
		iog_sim_violation(sim, IOG_SIM_BAD_PERMISSION, domain->id, iova, walk->paddr, "landed %s, which the mapping does not allow",
				  iog_sim_source_words(walk->source, words));
	} else if (state == PAGE_UNMAPPING && sim->exposure.measuring) {
		iog_sim_exposure_access(domain, iova >> SIM_PAGE_SHIFT, paddr >> SIM_PAGE_SHIFT, size);
	}
}

/* A page of any domain that leads into [first, last] of memory; NULL if none. */
static const struct pagemap_slot *find_frame(const struct iog_sim *sim, iog_paddr_t first, iog_paddr_t last,
					     const struct iog_sim_domain **domain)
{
	for (*domain = sim->domains; *domain; *domain = (*domain)->next) {
		const struct pagemap *pages = &(*domain)->expected.pages;

		for (size_t i = 0; i <= pages->mask; i++) {
			if (pages->slots[i].value && page_paddr(pages->slots[i].value) >= first &&
			    page_paddr(pages->slots[i].value) <= last)
				return &pages->slots[i];
		}
	}
	return NULL;
}

static bool frames_maybe_mapped(const struct iog_sim *sim, iog_paddr_t first, iog_paddr_t last)
{
	uint64_t from = first >> SIM_PAGE_SHIFT;
	uint64_t to = last >> SIM_PAGE_SHIFT;

	if (to - from >= FRAME_FILTER_SIZE)
		return true;
	for (; from <= to; from++) {
		if (sim->frames.nr[from % FRAME_FILTER_SIZE])
			return true;
	}
	return false;
}

/* @mapped: whether a page may lead there. */
static void judge_reuse(struct iog_sim *sim, iog_paddr_t first, iog_paddr_t last, bool mapped)
{
	const struct cache_entry *cached;
	const struct iog_sim_domain *domain;
	const struct pagemap_slot *slot;

	if (mapped) {
		slot = find_frame(sim, first, last, &domain);
		if (slot) {
			iog_sim_violation(sim, IOG_SIM_EARLY_REUSE, domain->id, slot->page << SIM_PAGE_SHIFT, page_paddr(slot->value),
					  "memory reused while %s",
					  page_state(slot->value) == PAGE_MAPPED ? "a device may access it"
										 : "the invalidation of its mapping has not completed");
			return;
		}
	}
	cached = iog_sim_iotlb_find_paddr(&sim->caches, first, last);
	if (cached)
		iog_sim_violation(sim, IOG_SIM_EARLY_REUSE, cached->domain, iotlb_entry_iova(cached), cached->paddr,
				  "memory reused while an IOTLB entry still leads to it");
	for (uint32_t n = 0; n < ATS_DEVICES_MAX && !cached; n++) {
		if (!sim->devices.ats[n])
			continue;
		cached = iog_sim_iotlb_find_paddr(&sim->devices.ats[n]->tlb->caches, first, last);
		if (cached)
			iog_sim_violation(sim, IOG_SIM_EARLY_REUSE, cached->domain, iotlb_entry_iova(cached), cached->paddr,
					  "memory reused while the TLB of device %" PRIu32 " still leads to it", sim->devices.ats[n]->id);
	}
}

static bool is_cached(const struct iog_sim *sim, iog_paddr_t first, iog_paddr_t last)
{
	bool cached = iog_sim_iotlb_find_paddr(&sim->caches, first, last);

	for (uint32_t n = 0; n < ATS_DEVICES_MAX && !cached; n++)
		cached = sim->devices.ats[n] && iog_sim_iotlb_find_paddr(&sim->devices.ats[n]->tlb->caches, first, last);
	return cached;
}

void iog_sim_judge_reuse(struct iog_sim *sim, iog_paddr_t first, iog_paddr_t last)
{
	bool cached;

	first &= ~(SIM_PAGE_SIZE - 1);
	if (!sim->exposure.measuring || sim->exposure.incomplete) {
		judge_reuse(sim, first, last, frames_maybe_mapped(sim, first, last));
		return;
	}
	/* Caches are looked through once, not for each page. */
	cached = is_cached(sim, first, last);
	for (uint64_t frame = first >> SIM_PAGE_SHIFT; frame <= last >> SIM_PAGE_SHIFT; frame++) {
		struct exposed exposed = iog_sim_exposure_reused(sim, frame);

		/* Nobody has it mapped, and that somebody waits for it is in the counters. */
		if (sim->exposure.reuse_counted && exposed.waiting && !exposed.mapped)
			continue;
		if (!cached && !exposed.mapped && !exposed.waiting)
			continue;
		judge_reuse(sim, frame << SIM_PAGE_SHIFT, frame << SIM_PAGE_SHIFT | (SIM_PAGE_SIZE - 1), exposed.mapped || exposed.waiting);
	}
}
