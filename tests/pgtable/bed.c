/* SPDX-License-Identifier: MIT */
/*
 * See bed.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bed.h"

static void must(int error, const char *what)
{
	if (error) {
		fprintf(stderr, "test bed: %s: %s\n", what, iog_strerror(error));
		abort();
	}
}

int bed_flush(const struct iog_gather *gather, void *ctx)
{
	struct bed *bed = ctx;

	bed->flushes++;
	bed->flushed = *gather;
	if (bed->fail_flushes) {
		bed->fail_flushes--;
		bed->failed_flushes++;
		return -IOG_ETIMEDOUT;
	}
	return 0;
}

struct iog_pgtable_config bed_config(const struct bed *bed, const struct shape *shape, const struct bed_options *options)
{
	/* Where leaves are broken before they are made anew, splitting asks for a unit that does without. */
	uint32_t more = shape->geometry->breaks && options->flags & IOG_PGTABLE_SPLIT ? IOG_PGTABLE_BBM2 : 0;

	return (struct iog_pgtable_config){
		.ops = shape->ops,
		.tablemem = bed->mem,
		.ias = shape->ias,
		.oas = options->oas,
		.page_sizes = options->page_sizes ? options->page_sizes : shape->geometry->granule_shift == 12 ? CLASSIC_SIZES : 0,
		.flags = shape->flags | options->flags | more,
		.trim_batch = options->trim_batch,
	};
}

struct bed *bed_create(const struct shape *shape, const struct bed_options *options)
{
	static const struct bed_options defaults;
	const struct iog_tablemem_config lanes = { .lanes = BED_LANES, .table_size = (uint32_t)shape_granule(shape) };
	struct bed *bed = calloc(1, sizeof(*bed));
	struct iog_pgtable_config config;

	if (!bed)
		abort();
	bed->shape = shape;
	bed->options = options ? *options : defaults;
	host_create(&bed->host);
	must(iog_tablemem_create(&bed->host.platform, &lanes, &bed->mem), "table memory");
	config = bed_config(bed, shape, &bed->options);
	must(iog_pgtable_create(&config, &bed->pt), "page table");
	iog_pgtable_root(bed->pt, &bed->root);
	for (uint32_t lane = 0; lane < BED_LANES; lane++)
		for (uint32_t i = 0; i < BED_GATHERS; i++)
			must(iog_gather_init(&bed->gather[lane][i], bed->pt, lane, bed_flush, bed), "gather");
	return bed;
}

const char *bed_finish(struct bed *bed)
{
	const char *wrong = NULL;

	iog_pgtable_destroy(bed->pt, 0);
	if (iog_tablemem_destroy(bed->mem))
		wrong = "table memory could not be destroyed";
	else if (bed->host.page_bytes)
		wrong = "pages were not given back";
	else if (bed->host.object_bytes)
		wrong = "objects were not given back";
	host_destroy(&bed->host);
	hw_scan_free(&bed->memory);
	hw_scan_free(&bed->shadow);
	free(bed);
	return wrong;
}

void bed_destroy(struct bed *bed)
{
	const char *wrong = bed_finish(bed);

	if (wrong) {
		fprintf(stderr, "test bed: %s\n", wrong);
		abort();
	}
}

void bed_trim(struct bed *bed)
{
	bed->fail_flushes = 0;
	for (uint32_t lane = 0; lane < BED_LANES; lane++)
		for (uint32_t i = 0; i < BED_GATHERS; i++)
			must(iog_gather_flush(&bed->gather[lane][i]), "flush");
	for (uint32_t lane = 0; lane < BED_LANES; lane++)
		must(iog_pgtable_trim(bed->pt, &bed->gather[lane][0], NULL), "trim of the page table");
	/* A lane's list may hold marks on the other's tables until it has trimmed, too. */
	for (uint32_t lane = 0; lane < BED_LANES; lane++)
		must(iog_tablemem_trim(bed->mem, lane), "trim of table memory");
}

uint64_t bed_tables(const struct bed *bed)
{
	struct iog_pgtable_stats stats;
	uint64_t tables = 0;

	iog_pgtable_stats(bed->pt, &stats);
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++)
		tables += stats.tables[level];
	return tables;
}

static const char *check_stats(const struct bed *bed)
{
	static char text[200];
	struct iog_pgtable_stats stats;
	struct iog_tablemem_stats mem;
	uint64_t tombstones = 0, tables = 0;

	iog_pgtable_stats(bed->pt, &stats);
	iog_tablemem_stats(bed->mem, &mem);
	for (uint32_t level = 0; level < IOG_LEVELS_MAX; level++) {
		if (stats.tables[level] != bed->memory.tables[level] + bed->memory.tombstones[level]) {
			snprintf(text, sizeof(text), "level %u: %" PRIu64 " tables counted, but %" PRIu64 " linked and %" PRIu64 " unlinked are there", level,
				 stats.tables[level], bed->memory.tables[level], bed->memory.tombstones[level]);
			return text;
		}
		tombstones += bed->memory.tombstones[level];
		tables += stats.tables[level];
	}
	if (tombstones != stats.unlinked - stats.revived - stats.released) {
		snprintf(text, sizeof(text), "unlinked %" PRIu64 ", revived %" PRIu64 ", released %" PRIu64 ", but %" PRIu64 " wait", stats.unlinked,
			 stats.revived, stats.released, tombstones);
		return text;
	}
	if (stats.table_bytes != (tables - 1) * shape_granule(bed->shape) + shape_root_bytes(bed->shape) || mem.tables != tables) {
		snprintf(text, sizeof(text), "%" PRIu64 " tables are %" PRIu64 " bytes, and table memory counts %" PRIu64, tables, stats.table_bytes,
			 mem.tables);
		return text;
	}
	if (mem.bytes != bed->host.page_bytes || mem.bytes_peak < mem.bytes) {
		snprintf(text, sizeof(text), "table memory counts %" PRIu64 " bytes (peak %" PRIu64 "), the platform %" PRIu64, mem.bytes, mem.bytes_peak,
			 bed->host.page_bytes);
		return text;
	}
	return NULL;
}

static bool same_scan(const struct hw_scan *a, const struct hw_scan *b)
{
	if (memcmp(a->tables, b->tables, sizeof(a->tables)) || memcmp(a->tombstones, b->tombstones, sizeof(a->tombstones)) ||
	    a->nr_leaves != b->nr_leaves)
		return false;
	for (size_t i = 0; i < a->nr_leaves; i++)
		if (!hw_same_leaf(&a->leaves[i], &b->leaves[i]))
			return false;
	return true;
}

const char *bed_check(struct bed *bed)
{
	static char text[200];

	if (!hw_scan(&bed->host, bed->shape, &bed->root, false, &bed->memory))
		return bed->memory.error;
	if (bed->options.flags & IOG_PGTABLE_NONCOHERENT) {
		if (!hw_scan(&bed->host, bed->shape, &bed->root, true, &bed->shadow)) {
			snprintf(text, sizeof(text), "without snooping: %s", bed->shadow.error);
			return text;
		}
		if (!same_scan(&bed->memory, &bed->shadow))
			return "a walker that does not snoop sees other tables or leaves";
	}
	if (!iog_pgtable_is_valid(bed->pt))
		return "the page table's own check finds something wrong";
	return check_stats(bed);
}
