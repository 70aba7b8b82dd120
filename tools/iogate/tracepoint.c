/* SPDX-License-Identifier: MIT */
/*
 * See tracepoint.h.
 */
#include "tracepoint.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "size.h"

#define MARK "IOMMU:"

/* The fields of an event, as they came. */
struct fields {
	uint64_t iova;
	uint64_t end; /* exclusive; 0 for 2^64 */
	uint64_t paddr;
	uint64_t size;
	uint64_t unmapped_size;
	bool has_end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at)
{
	while (is_blank(*at))
		at++;
	return at;
}

static bool ends_with_word(const char *begin, const char *end, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(end - begin) < length || memcmp(end - length, word, length))
		return false;
	end -= length;
	return end == begin || is_blank(end[-1]) || end[-1] == ':';
}

/* Find the mark of an event: its name, a colon, and MARK. Returns where its fields begin, or NULL; @head becomes where the name ends. */
static const char *find_mark(const char *line, enum trace_kind *kind, const char **head)
{
	const char *found = NULL, *at = line, *name_end;

	while ((at = strstr(at, MARK))) {
		name_end = at;
		at += strlen(MARK);
		while (name_end > line && is_blank(name_end[-1]))
			name_end--;
		if (name_end == line || *--name_end != ':')
			continue;
		if (ends_with_word(line, name_end, "map"))
			*kind = TRACE_MAP;
		else if (ends_with_word(line, name_end, "unmap"))
			*kind = TRACE_UNMAP;
		else
			continue;
		found = at;
		*head = name_end;
	}
	return found;
}

/* What stands in front: "TASK [CPU] FLAGS SECONDS.FRACTION: [iommu:]NAME", where TASK may hold anything, and perf has no FLAGS. Read backwards from the name's end. */
static void parse_head(const char *line, const char *head, struct trace_event *event)
{
	const char *at = head, *begin;
	uint64_t fraction = 0, scale = 1000000000;

	while (at > line && !is_blank(at[-1]))
		at--;
	while (at > line && is_blank(at[-1]))
		at--;
	if (at > line && at[-1] == ':') {
		for (begin = at - 1; begin > line && (isdigit((unsigned char)begin[-1]) || begin[-1] == '.'); begin--)
			;
		for (event->ns = 0; isdigit((unsigned char)*begin); begin++)
			event->ns = event->ns * 10 + (uint64_t)(*begin - '0');
		for (begin += *begin == '.'; isdigit((unsigned char)*begin) && scale > 1; begin++) {
			scale /= 10;
			fraction += (uint64_t)(*begin - '0') * scale;
		}
		event->ns = event->ns * 1000000000 + fraction;
	}
	while (at > line && at[-1] != ']')
		at--;
	for (begin = at - (at > line); begin > line && isdigit((unsigned char)begin[-1]); begin--)
		;
	if (begin == line || begin[-1] != '[')
		return;
	for (event->cpu = 0; isdigit((unsigned char)*begin); begin++)
		event->cpu = event->cpu * 10 + (uint32_t)(*begin - '0');
}

/* A number with or without 0x. Returns where it ends, or NULL. */
static const char *parse_number(const char *at, uint64_t *number)
{
	uint64_t value = 0;
	unsigned int base = 10, digit;
	const char *begin;

	if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
		base = 16;
		at += 2;
	}
	for (begin = at; isxdigit((unsigned char)*at); at++) {
		digit = (unsigned int)(isdigit((unsigned char)*at) ? *at - '0' : tolower((unsigned char)*at) - 'a' + 10);
		if (digit >= base || __builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
			return NULL;
	}
	if (at == begin || (*at && !is_blank(*at) && *at != '\r'))
		return NULL;
	*number = value;
	return at;
}

/* NAME=NUMBER at @at. Returns where it ends; or NULL with @problem set. */
static const char *parse_field(const char *at, const char *name, uint64_t *number, struct problem *problem)
{
	size_t length = strlen(name);
	const char *end;

	at = skip_blanks(at);
	if (strncmp(at, name, length) || at[length] != '=') {
		problem_set(problem, "no %s= where it should be (found \"%.24s\")", name, at);
		return NULL;
	}
	end = parse_number(at + length + 1, number);
	if (!end)
		problem_set(problem, "%s= is not followed by a number of 64 bits (found \"%.24s\")", name, at + length + 1);
	return end;
}

/* " - END", which old kernels do not print. Returns where to go on; or NULL with @problem set. */
static const char *parse_end(const char *at, struct fields *fields, struct problem *problem)
{
	const char *next = skip_blanks(at);

	if (*next != '-')
		return at;
	next = skip_blanks(next + 1);
	at = parse_number(next, &fields->end);
	fields->has_end = true;
	if (!at)
		problem_set(problem, "the end of the range is not a number of 64 bits (found \"%.24s\")", next);
	return at;
}

static const char *parse_fields(const char *at, enum trace_kind kind, struct fields *fields, struct problem *problem)
{
	at = parse_field(at, "iova", &fields->iova, problem);
	if (at)
		at = parse_end(at, fields, problem);
	if (at && kind == TRACE_MAP)
		at = parse_field(at, "paddr", &fields->paddr, problem);
	if (at)
		at = parse_field(at, "size", &fields->size, problem);
	if (at && kind == TRACE_UNMAP)
		at = parse_field(at, "unmapped_size", &fields->unmapped_size, problem);
	return at;
}

/* What one event must obey by itself. Returns 0, or -1 with @problem set. */
static int check_fields(const struct fields *fields, enum trace_kind kind, struct problem *problem)
{
	if (!fields->size)
		return problem_set(problem, "size is 0");
	if (fields->has_end && fields->end - fields->iova != fields->size)
		return problem_set(problem, "size=%" PRIu64 " does not fit the range 0x%" PRIx64 " - 0x%" PRIx64, fields->size, fields->iova, fields->end);
	if (fields->size - 1 > UINT64_MAX - fields->iova)
		return problem_set(problem, "the range goes beyond 2^64 (iova 0x%" PRIx64 ", size %" PRIu64 ")", fields->iova, fields->size);
	if ((fields->iova | fields->size) % SIZE_4K)
		return problem_set(problem, "not aligned to 4096 (iova 0x%" PRIx64 ", size %" PRIu64 ")", fields->iova, fields->size);
	if (kind == TRACE_MAP && fields->paddr % SIZE_4K)
		return problem_set(problem, "not aligned to 4096 (paddr 0x%" PRIx64 ")", fields->paddr);
	if (kind == TRACE_MAP && fields->size - 1 > UINT64_MAX - fields->paddr)
		return problem_set(problem, "the memory goes beyond 2^64 (paddr 0x%" PRIx64 ", size %" PRIu64 ")", fields->paddr, fields->size);
	if (kind == TRACE_UNMAP && fields->unmapped_size != fields->size)
		return problem_set(problem, "size=%" PRIu64 ", but unmapped_size=%" PRIu64, fields->size, fields->unmapped_size);
	return 0;
}

static bool says_lost(const char *line)
{
	const char *lost = strstr(line, "[LOST ");

	return (lost && strstr(lost, "EVENTS]")) || strstr(line, "EVENTS DROPPED");
}

enum tracepoint tracepoint_parse(const char *line, size_t size, struct trace_event *event, struct problem *problem)
{
	struct fields fields = { 0 };
	enum trace_kind kind = TRACE_MAP;
	const char *at, *head = NULL;

	if (memchr(line, 0, size)) {
		problem_set(problem, "not text (a zero byte in column %zu)", strlen(line) + 1);
		return TRACEPOINT_MALFORMED;
	}
	at = find_mark(line, &kind, &head);
	if (!at)
		return says_lost(line) ? TRACEPOINT_LOST : TRACEPOINT_OTHER;

	at = parse_fields(at, kind, &fields, problem);
	if (!at)
		return TRACEPOINT_MALFORMED;
	while (is_blank(*at) || *at == '\r')
		at++;
	if (*at) {
		problem_set(problem, "more after the last field (found \"%.24s\")", at);
		return TRACEPOINT_MALFORMED;
	}
	if (check_fields(&fields, kind, problem))
		return TRACEPOINT_MALFORMED;
	*event = (struct trace_event){ .iova = fields.iova, .paddr = fields.paddr, .size = fields.size, .kind = kind };
	parse_head(line, head, event);
	return TRACEPOINT_EVENT;
}
