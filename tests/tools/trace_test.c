/* SPDX-License-Identifier: MIT */
/*
 * The command's reader: lines, ranges, the live set against a reference model, sizes, and the shipped excerpts.
 *
 * The random test prints its seed; IOG_SEED=... repeats it. IOG_TEST_DATA names the directory of the excerpts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <iogate/error.h>

#include "../seed.h"
#include "input.h"
#include "live.h"
#include "memory.h"
#include "random.h"
#include "ranges.h"
#include "samples.h"
#include "size.h"
#include "trace.h"
#include "tracepoint.h"

#define PREFIX "   kworker/u16:0-12      [002] .....     7.593994: "

static enum tracepoint parse(const char *line, struct trace_event *event, struct problem *problem)
{
	memset(event, 0, sizeof(*event));
	problem->text[0] = 0;
	return tracepoint_parse(line, strlen(line), event, problem);
}

static void assert_event(const char *line, enum trace_kind kind, uint64_t iova, uint64_t paddr, uint64_t size)
{
	struct trace_event event;
	struct problem problem;

	assert_int_equal(parse(line, &event, &problem), TRACEPOINT_EVENT);
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.iova, iova);
	assert_int_equal(event.paddr, paddr);
	assert_int_equal(event.size, size);
}

static void assert_malformed(const char *line, const char *reason)
{
	struct trace_event event;
	struct problem problem;

	assert_int_equal(parse(line, &event, &problem), TRACEPOINT_MALFORMED);
	if (!strstr(problem.text, reason))
		fail_msg("\"%s\" does not say \"%s\"", problem.text, reason);
}

static void assert_other(const char *line)
{
	struct trace_event event;
	struct problem problem;

	assert_int_equal(parse(line, &event, &problem), TRACEPOINT_OTHER);
}

static void test_line_spellings(void **state)
{
	(void)state;
	/* The tracing ring, trace-cmd, perf; a range without end, as old kernels have it; a carriage return. */
	assert_event(PREFIX "map: IOMMU: iova=0x00000000ffffd000 - 0x00000000ffffe000 paddr=0x000000010258f000 size=4096", TRACE_MAP, 0xffffd000,
		     0x10258f000, 4096);
	assert_event(PREFIX "unmap: IOMMU: iova=0x00000000ffffd000 - 0x00000000ffffe000 size=4096 unmapped_size=4096", TRACE_UNMAP, 0xffffd000, 0, 4096);
	assert_event(PREFIX "map:                  IOMMU: iova=0x1000 - 0x3000 paddr=0x5000 size=8192", TRACE_MAP, 0x1000, 0x5000, 8192);
	assert_event("iow 196 [002]    14.7:   iommu:unmap: IOMMU: iova=0x1000 - 0x3000 size=8192 unmapped_size=8192", TRACE_UNMAP, 0x1000, 0, 8192);
	assert_event("iommu:map: IOMMU: iova=0x1000 - 0x3000 paddr=0x5000 size=0x2000", TRACE_MAP, 0x1000, 0x5000, 8192);
	assert_event(PREFIX "map: IOMMU: iova=0x1000 paddr=0x5000 size=4096", TRACE_MAP, 0x1000, 0x5000, 4096);
	assert_event(PREFIX "unmap: IOMMU: iova=0x1000 size=4096 unmapped_size=4096", TRACE_UNMAP, 0x1000, 0, 4096);
	assert_event(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x5000 size=4096 \r", TRACE_MAP, 0x1000, 0x5000, 4096);
	/* Task names may hold anything, the mark itself included. */
	assert_event(" x: map: IOMMU:-9 [0] ..... 1.0: unmap: IOMMU: iova=0x1000 - 0x2000 size=4096 unmapped_size=4096", TRACE_UNMAP, 0x1000, 0, 4096);
	assert_event(" a>b/c:<.-9 [0] ..... 1.0: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=4096", TRACE_MAP, 0x1000, 0, 4096);
	/* The last page there is. */
	assert_event(PREFIX "map: IOMMU: iova=0xfffffffffffff000 - 0x0000000000000000 paddr=0x0 size=4096", TRACE_MAP, 0xfffffffffffff000, 0, 4096);
}

static void assert_head(const char *head, uint32_t cpu, uint64_t ns)
{
	struct trace_event event;
	struct problem problem;
	char line[256];

	snprintf(line, sizeof(line), "%smap: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=4096", head);
	assert_int_equal(parse(line, &event, &problem), TRACEPOINT_EVENT);
	assert_int_equal(event.cpu, cpu);
	assert_int_equal(event.ns, ns);
}

/* CPU and time. */
static void test_line_head(void **state)
{
	(void)state;
	assert_head(PREFIX, 2, 7593994000);
	assert_head("          <idle>-0       [001] ..s1.     7.595476: ", 1, 7595476000);
	assert_head("iow 196 [012]    14.7:   iommu:", 12, 14700000000);
	assert_head("x-1 [127] 3.123456789: ", 127, 3123456789);
	assert_head("task [9]-1 [003] ..... 1.000001: ", 3, 1000001000);
	assert_head("a[5 b]-1 [004] d.... 20: ", 4, 20000000000);
	/* Lines that do not say. */
	assert_head("", 0, 0);
	assert_head("task-1 ", 0, 0);
	assert_head("task-1 [] : ", 0, 0);
	assert_head("5.0: ", 0, 5000000000);
	assert_head("[003] ", 3, 0);
}

static void test_line_other(void **state)
{
	struct trace_event event;
	struct problem problem;

	(void)state;
	assert_other("");
	assert_other("# tracer: nop");
	assert_other(PREFIX "attach_device_to_domain: IOMMU: device=0000:00:03.0");
	assert_other(PREFIX "io_page_fault: IOMMU:vfio 0000:00:03.0 iova=0x1000 flags=0x0");
	assert_other(PREFIX "remap: IOMMU: iova=0x1000");
	assert_other("map IOMMU: iova=0x1000");
	assert_other("IOMMU: iova=0x1000");
	assert_int_equal(parse("CPU:2 [LOST 112 EVENTS]", &event, &problem), TRACEPOINT_LOST);
	assert_int_equal(parse("CPU 2: 112 EVENTS DROPPED", &event, &problem), TRACEPOINT_LOST);
}

static void test_line_malformed(void **state)
{
	struct trace_event event;
	struct problem problem;

	(void)state;
	assert_malformed(PREFIX "map: IOMMU:", "no iova=");
	assert_malformed(PREFIX "map: IOMMU: iova=zz - 0x2000 paddr=0x0 size=4096", "iova= is not followed by a number");
	assert_malformed(PREFIX "map: IOMMU: iova=0x10000000000000000 - 0x2000 paddr=0x0 size=4096", "iova= is not followed by a number of 64 bits");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - paddr=0x0 size=4096", "end of the range");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 size=4096", "no paddr=");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0", "no size=");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=409a", "size= is not followed by a number");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=8192", "does not fit the range");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x1000 paddr=0x0 size=0", "size is 0");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1800 - 0x2800 paddr=0x0 size=4096", "not aligned");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x10 size=4096", "not aligned to 4096 (paddr");
	assert_malformed(PREFIX "map: IOMMU: iova=0xfffffffffffff000 - 0x1000 paddr=0x0 size=8192", "beyond 2^64");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x3000 paddr=0xfffffffffffff000 size=8192", "beyond 2^64");
	assert_malformed(PREFIX "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=4096 x", "more after");
	assert_malformed(PREFIX "unmap: IOMMU: iova=0x1000 - 0x2000 size=4096", "no unmapped_size=");
	assert_malformed(PREFIX "unmap: IOMMU: iova=0x1000 - 0x3000 size=8192 unmapped_size=4096", "unmapped_size=4096");
	assert_int_equal(tracepoint_parse("a\0b", 3, &event, &problem), TRACEPOINT_MALFORMED);
}

static void test_sizes(void **state)
{
	char text[SIZE_TEXT];
	uint64_t size = 7;

	(void)state;
	assert_int_equal(size_parse("16", SIZE_1T, &size), 0);
	assert_int_equal(size, 16 * SIZE_1T);
	assert_int_equal(size_parse("4K", 1, &size), 0);
	assert_int_equal(size, 4096);
	assert_int_equal(size_parse("2MiB", 1, &size), 0);
	assert_int_equal(size, SIZE_2M);
	assert_int_equal(size_parse("15E", 1, &size), 0);
	assert_int_equal(size, UINT64_C(15) << 60);
	for (size_t i = 0; i < 9; i++) {
		static const char *const bad[] = { "", "K", "4X", "4KB", "-4K", "4 K", "16E", "18446744073709551616", "0x10" };

		size = 7;
		assert_int_equal(size_parse(bad[i], 1, &size), -1);
		assert_int_equal(size, 7);
	}
	assert_string_equal(size_exact(text, 16 * SIZE_1T), "16T");
	assert_string_equal(size_exact(text, 4097), "4097");
	assert_string_equal(size_exact(text, 1536 << 20), "1536M");
	assert_string_equal(size_rounded(text, 1536 << 20), "1.5 GiB");
	assert_string_equal(size_rounded(text, 152 << 10), "152 KiB");
	assert_string_equal(size_rounded(text, 12), "12 bytes");
}

static void test_percentiles(void **state)
{
	struct percentiles percentiles;
	struct samples samples;

	(void)state;
	samples_init(&samples, 1000);
	samples_percentiles(&samples, &percentiles);
	assert_int_equal(percentiles.max, 0);
	for (uint32_t i = 0; i < 1000; i++)
		samples_add(&samples, (i * 7) % 1000 + 1);
	samples_percentiles(&samples, &percentiles);
	assert_int_equal(percentiles.p50, 500);
	assert_int_equal(percentiles.p99, 990);
	assert_int_equal(percentiles.p999, 999);
	assert_int_equal(percentiles.max, 1000);
	samples_free(&samples);
}

static void test_ranges_edges(void **state)
{
	struct ranges ranges;
	struct range piece;
	uint64_t hole;

	(void)state;
	ranges_init(&ranges);
	assert_false(ranges_find(&ranges, 0, UINT64_MAX, &piece));
	assert_int_equal(ranges_fill(&ranges, 10, 19), 10);
	assert_int_equal(ranges_fill(&ranges, 30, 39), 10);
	assert_int_equal(ranges_fill(&ranges, 15, 34), 10);
	assert_true(ranges_find(&ranges, 0, UINT64_MAX, &piece));
	assert_int_equal(piece.first, 10);
	assert_int_equal(piece.last, 39);
	assert_int_equal(ranges_fill(&ranges, 12, 13), 0);
	assert_int_equal(ranges_fill(&ranges, UINT64_MAX, UINT64_MAX), 1);
	assert_int_equal(ranges_fill(&ranges, 0, 0), 1);
	assert_false(ranges_cover(&ranges, 39, 40, &hole));
	assert_int_equal(hole, 40);
	ranges_remove(&ranges, 0, UINT64_MAX, NULL, NULL);
	assert_false(ranges_find(&ranges, 0, UINT64_MAX, &piece));
	ranges_insert(&ranges, UINT64_MAX - 4095, UINT64_MAX, 1);
	assert_true(ranges_cover(&ranges, UINT64_MAX - 5, UINT64_MAX, &hole));
	ranges_clear(&ranges);
	assert_false(ranges_find(&ranges, 0, UINT64_MAX, &piece));
	ranges_free(&ranges);
}

/* The reference: which map each page belongs to, 0 for none. */
#define MODEL_PAGES 2048

struct model {
	uint32_t owner[MODEL_PAGES];
	bool touched[MODEL_PAGES / 512];
	uint32_t pages_of[1 << 16];
	struct live_figures figures;
};

static bool model_map(struct model *model, uint64_t first, uint64_t last, uint32_t id)
{
	for (uint64_t page = first; page <= last; page++) {
		if (model->owner[page])
			return false;
	}
	for (uint64_t page = first; page <= last; page++) {
		model->owner[page] = id;
		model->figures.regions_2m += !model->touched[page / 512];
		model->touched[page / 512] = true;
	}
	model->pages_of[id] = (uint32_t)(last - first + 1);
	model->figures.maps++;
	model->figures.pages += last - first + 1;
	if (model->figures.maps > model->figures.peak_maps)
		model->figures.peak_maps = model->figures.maps;
	if (model->figures.pages > model->figures.peak_pages)
		model->figures.peak_pages = model->figures.pages;
	return true;
}

static bool model_unmap(struct model *model, uint64_t first, uint64_t last)
{
	uint64_t maps = 0;

	for (uint64_t page = first; page <= last; page++) {
		if (!model->owner[page])
			return false;
	}
	for (uint64_t page = first; page <= last; page++) {
		bool seen = false;

		for (uint64_t before = first; before < page; before++)
			seen |= model->owner[before] == model->owner[page];
		maps += !seen;
	}
	for (uint64_t page = first; page <= last; page++) {
		model->figures.maps -= !--model->pages_of[model->owner[page]];
		model->figures.pages--;
		model->owner[page] = 0;
	}
	model->figures.unmaps_of_several += maps > 1;
	if (maps > 1 && maps > model->figures.unmap_most_maps)
		model->figures.unmap_most_maps = maps;
	return true;
}

/* Shorten [first, *last] to the pages that are like the first: all mapped, or none. */
static void shorten(const struct model *model, uint64_t first, uint64_t *last)
{
	for (uint64_t page = first; page < *last; page++) {
		if (!model->owner[page] != !model->owner[page + 1])
			*last = page;
	}
}

static void test_live_against_model(void **state)
{
	static struct model model;
	struct random random = { kit_seed("trace") };
	struct live_conflict conflict;
	struct live live;
	uint64_t first, last, page;
	uint32_t succeeded = 0;

	(void)state;
	live_init(&live);
	for (uint32_t step = 1; step < 40000; step++) {
		first = random_below(&random, MODEL_PAGES);
		last = first + random_below(&random, random_below(&random, 8) ? 6 : 700);
		last = last < MODEL_PAGES ? last : MODEL_PAGES - 1;
		/* Mostly what can succeed, and now and then anything. */
		if (random_below(&random, 8))
			shorten(&model, first, &last);
		if (random_below(&random, 8) ? !model.owner[first] : model.owner[first]) {
			bool expected = model_map(&model, first, last, step);
			int ret = live_map(&live, first * SIZE_4K, last * SIZE_4K + 4095, step, &conflict);

			assert_int_equal(ret, expected ? 0 : -IOG_EEXIST);
			succeeded += expected;
			for (page = first; ret && !model.owner[page]; page++)
				;
			/* The page that the conflict names is the lowest, and its line the map's. */
			if (ret) {
				assert_true(conflict.piece.first / SIZE_4K <= page && page <= conflict.piece.last / SIZE_4K);
				assert_int_equal(conflict.line, model.owner[page]);
			}
		} else {
			bool expected = model_unmap(&model, first, last);
			int ret = live_unmap(&live, first * SIZE_4K, last * SIZE_4K + 4095, &conflict);

			assert_int_equal(ret, expected ? 0 : -IOG_ENOENT);
			succeeded += expected;
			for (page = first; ret && model.owner[page]; page++)
				;
			if (ret)
				assert_int_equal(conflict.hole, page * SIZE_4K);
		}
		assert_memory_equal(&live.figures, &model.figures, sizeof(model.figures));
	}
	/* A test of failures only would be none. */
	assert_true(succeeded > 20000);
	live_free(&live);
}

static const char *data_path(const char *name)
{
	static char path[4096];
	const char *directory = getenv("IOG_TEST_DATA");

	snprintf(path, sizeof(path), "%s/%s", directory ? directory : "tests/data", name);
	return path;
}

static const struct trace_options options = { .iova_limit = UINT64_C(1) << 48, .paddr_limit = UINT64_C(1) << 52, .format = "vtdss" };

static void test_excerpts(void **state)
{
	static const char *const names[] = { "nvme-seqwrite.trace", "nvme-seqwrite.trace.gz", "nvme-seqwrite.trace.xz", "nvme-seqwrite.trace.zst" };
	struct problem problem;
	struct trace trace;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (trace_load(data_path(names[i]), &options, &trace, &problem))
			fail_msg("%s", problem.text);
		assert_int_equal(trace.count, 374);
		assert_int_equal(trace.maps, 343);
		assert_int_equal(trace.unmaps, 31);
		assert_int_equal(trace.lines, 374 + 13);
		assert_int_equal(trace.skipped_lines, 13);
		assert_int_equal(trace.live.peak_maps, 215);
		assert_int_equal(trace.live.peak_pages, 480);
		assert_int_equal(trace.live.maps, 0);
		assert_int_equal(trace.live.pages, 0);
		assert_int_equal(trace.live.regions_2m, 6);
		assert_int_equal(trace.live.unmaps_of_several, 14);
		assert_int_equal(trace.live.unmap_most_maps, 32);
		trace_free(&trace);
	}
}

/* Read lines of a file with the given contents. */
static struct input *input_of(const char *contents, size_t size)
{
	char path[] = "/tmp/iogate-test-XXXXXX";
	struct problem problem;
	struct input *input;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, contents, size), (ssize_t)size);
	close(fd);
	input = input_open(path, &problem);
	unlink(path);
	return input;
}

static void test_lines(void **state)
{
	/* Lengths around the limit and around the size of a read, with and without a last newline. */
	static const size_t lengths[] = { 0, 1, 65534, 65535, 65536, 65537, 65538, 131070, 131071, 131072, 131073, 200000, 0, 5 };
	const size_t count = sizeof(lengths) / sizeof(lengths[0]);
	size_t used = 0, size;
	char *contents = memory_new(1, 2000000), *line;
	struct problem problem;
	struct input *input;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		memset(contents + used, 'a' + (int)i, lengths[i]);
		used += lengths[i];
		contents[used++] = '\n';
	}
	for (int last_newline = 0; last_newline < 2; last_newline++) {
		input = input_of(contents, used - !last_newline);
		assert_non_null(input);
		for (size_t i = 0; i < count; i++) {
			enum input_result result = input_next(input, &line, &size, &problem);

			assert_int_equal(result, lengths[i] > INPUT_LINE_MAX ? INPUT_LONG : INPUT_LINE);
			if (result != INPUT_LINE)
				continue;
			assert_int_equal(size, lengths[i]);
			assert_int_equal(strlen(line), size);
			assert_true(!size || (line[0] == 'a' + (int)i && line[size - 1] == line[0]));
		}
		assert_int_equal(input_next(input, &line, &size, &problem), INPUT_END);
		input_close(input);
	}
	/* A long line that ends with the file. */
	for (size_t length = 131060; length < 131080; length++) {
		memset(contents, 'x', length);
		input = input_of(contents, length);
		assert_int_equal(input_next(input, &line, &size, &problem), INPUT_LONG);
		assert_int_equal(input_next(input, &line, &size, &problem), INPUT_END);
		input_close(input);
	}
	free(contents);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_spellings),
		cmocka_unit_test(test_line_head),
		cmocka_unit_test(test_line_other),
		cmocka_unit_test(test_line_malformed),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_ranges_edges),
		cmocka_unit_test(test_live_against_model),
		cmocka_unit_test(test_excerpts),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
