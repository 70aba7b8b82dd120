/* SPDX-License-Identifier: MIT */
/*
 * Printing of the history of an address. See history.h.
 */
#include <inttypes.h>

#include "internal.h"

/* Tables of one address that are followed. A walk has at most IOG_LEVELS_MAX; over time there may be more. */
#define TABLES_FOLLOWED 16

/* Events older than these are not printed. */
#define LINES_MAX 64

struct followed {
	uint64_t tables[TABLES_FOLLOWED];
	uint32_t nr;
};

static bool follows(const struct followed *followed, uint64_t table)
{
	for (uint32_t i = 0; i < followed->nr; i++) {
		if (followed->tables[i] == table)
			return true;
	}
	return false;
}

static bool concerns(const struct event *event, const struct followed *followed, uint32_t domain, iog_iova_t iova)
{
	iog_iova_t page = iova & ~(SIM_PAGE_SIZE - 1);

	switch ((enum event_kind)event->kind) {
	case EVENT_NONE:
		return false;
	case EVENT_TABLE_TAKEN:
	case EVENT_TABLE_FREED:
	case EVENT_TABLE_GONE:
		return follows(followed, event->table);
	case EVENT_MAP:
	case EVENT_UNMAP:
	case EVENT_ACCESS:
	case EVENT_QUEUED:
	case EVENT_INVALIDATED:
	case EVENT_LOST:
	case EVENT_VIOLATION:
		break;
	}
	return event->domain == domain && event->first <= (page | (SIM_PAGE_SIZE - 1)) && event->last >= page;
}

/* From the oldest to the newest event that is still there. */
static const struct event *event_at(const struct history *history, uint64_t nr)
{
	return &history->events[nr % HISTORY_EVENTS];
}

static uint64_t oldest(const struct history *history)
{
	return history->nr > HISTORY_EVENTS ? history->nr - HISTORY_EVENTS : 0;
}

static const char *prot_name(uint32_t prot)
{
	static const char *const names[] = { "none", "read", "write", "read+write" };

	return names[prot & (IOG_PROT_READ | IOG_PROT_WRITE)];
}

static void print_event(const struct event *event, uint64_t nr, FILE *stream)
{
	char words[SOURCE_WORDS];

	fprintf(stream, "  #%" PRIu64 " ", nr);
	switch ((enum event_kind)event->kind) {
	case EVENT_NONE:
		break;
	case EVENT_MAP:
		fprintf(stream, "map [0x%" PRIx64 ", 0x%" PRIx64 "] to 0x%" PRIx64 ", %s", event->first, event->last, event->paddr,
			prot_name(event->prot));
		break;
	case EVENT_UNMAP:
		fprintf(stream, "unmap [0x%" PRIx64 ", 0x%" PRIx64 "] about to begin", event->first, event->last);
		break;
	case EVENT_ACCESS:
		fprintf(stream, "%s 0x%" PRIx64 " %s: ", prot_name(event->prot), event->first, iog_sim_source_words(event->source, words));
		if (event->detail == WALK_OK)
			fprintf(stream, "landed at 0x%" PRIx64, event->paddr);
		else
			fprintf(stream, "faulted, %s", iog_sim_fault_name((enum walk_fault)event->detail));
		if (event->table)
			fprintf(stream, ", last table 0x%" PRIx64, event->table);
		break;
	case EVENT_QUEUED:
	case EVENT_INVALIDATED:
	case EVENT_LOST:
		fprintf(stream, "invalidation %sof ", event->detail & EVENT_DEVICE ? "in a device " : "");
		if (event->detail & EVENT_DOMAIN)
			fputs("the domain", stream);
		else
			fprintf(stream, "[0x%" PRIx64 ", 0x%" PRIx64 "]%s", event->first, event->last,
				event->detail & EVENT_LEAF_ONLY ? ", leaves only" : "");
		fputs(event->kind == EVENT_QUEUED ? " queued" : event->kind == EVENT_LOST ? " lost" : " completed", stream);
		break;
	case EVENT_TABLE_TAKEN:
		fprintf(stream, "table 0x%" PRIx64 " taken from stock", event->table);
		break;
	case EVENT_TABLE_FREED:
		fprintf(stream, "table 0x%" PRIx64 " given back", event->table);
		break;
	case EVENT_TABLE_GONE:
		fprintf(stream, "table 0x%" PRIx64 ": its memory went back to the host", event->table);
		break;
	case EVENT_VIOLATION:
		fprintf(stream, "violation: %s", iog_sim_violation_name((enum iog_sim_violation_kind)event->detail));
		if (event->paddr)
			fprintf(stream, ", 0x%" PRIx64, event->paddr);
		break;
	}
	fputc('\n', stream);
}

void iog_sim_history_print(const struct iog_sim *sim, uint32_t domain, iog_iova_t iova, FILE *stream)
{
	const struct history *history = &sim->history;
	struct followed followed = { .nr = 0 };
	uint64_t from = history->nr;
	uint32_t lines = 0;

	/* Tables that the address's accesses have read last, those of the newest accesses first. */
	for (uint64_t nr = history->nr; nr-- > oldest(history) && followed.nr < TABLES_FOLLOWED;) {
		const struct event *event = event_at(history, nr);

		if (event->kind == EVENT_ACCESS && event->table && concerns(event, &followed, domain, iova) &&
		    !follows(&followed, event->table))
			followed.tables[followed.nr++] = event->table;
	}
	while (from > oldest(history) && lines < LINES_MAX)
		lines += concerns(event_at(history, --from), &followed, domain, iova);

	fprintf(stream, "history of domain %" PRIu32 " iova 0x%" PRIx64 " (%" PRIu32 " of the last %" PRIu64 " events):\n", domain, iova,
		lines, history->nr - oldest(history));
	for (; from < history->nr; from++) {
		if (concerns(event_at(history, from), &followed, domain, iova))
			print_event(event_at(history, from), from, stream);
	}
}
