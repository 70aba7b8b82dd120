/* SPDX-License-Identifier: MIT */
/*
 * What the study prints; see study.h.
 */
#include "study.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "instrument.h"
#include "json.h"
#include "policy.h"
#include "size.h"

const char *study_ideas_name(uint32_t ideas)
{
	static char name[64];
	size_t used = 0;

	if (ideas == STUDY_ALL_IDEAS)
		return "all";
	for (uint32_t i = 0; i < 4; i++) {
		if (!(ideas & 1u << i))
			used += (size_t)snprintf(name + used, sizeof(name) - used, "%s%s", used ? ", " : "without ", study_idea_names[i]);
	}
	return name;
}

static const char *leaf_text(const struct study_case *what)
{
	return study_is_translated(what) ? study_leaf_names[what->leaf] : "-";
}

static const char *ats_text(const struct study_case *what)
{
	return study_is_translated(what) ? study_ats_names[what->ats] : "-";
}

static const char *mode_text(const struct study_case *what)
{
	return study_is_dynamic(what) ? mode_name(what->mode) : "-";
}

static uint64_t commands(const struct iog_sim_stats *stats)
{
	return stats->range_commands + stats->domain_commands;
}

static void print_result(const struct study_result *result)
{
	const struct iog_sim_stats *stats = &result->stats;
	const struct study_case *what = &result->what;
	char held[SIZE_TEXT];

	printf("  %-9s %-4s %-5s %-8s %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f %8.4f %10.2f %10.2f %8.4f %9s %8.1f\n", study_addresses_names[what->addresses], leaf_text(what),
	       ats_text(what), mode_text(what), study_per_page(stats->iotlb_misses, result->pages), study_per_page(stats->walk_level_misses[0], result->pages),
	       study_per_page(stats->walk_reads - stats->prewalk_reads, result->pages), study_per_page(stats->prewalk_reads, result->pages),
	       study_per_page(commands(stats), result->pages), study_per_page(stats->device_range_commands + stats->device_all_commands, result->pages),
	       study_per_page(stats->wait_commands, result->pages), (double)instrument_exposure_ns(&stats->exposure, 0.5) / 1e3,
	       (double)stats->exposure.max_ns / 1e3, study_per_page(stats->exposure.reuses, result->pages), size_rounded(held, result->held_bytes_most), result->ns_per_page);
}

static void print_matrix(const struct study *study)
{
	const struct study_workload *workload = NULL;

	for (uint32_t i = 0; i < study->nr_results; i++) {
		const struct study_result *result = &study->results[i];

		if (!result->done)
			continue;
		if (result->what.workload != workload) {
			workload = result->what.workload;
			printf("%s%s: %s. Per page of 4 KiB; exposure and held in all.\n\n", i ? "\n" : "", workload->name, workload->summary);
			printf("  %-28s  %8s %8s %8s %8s %8s %8s %8s %10s %10s %8s %9s %8s\n", "", "IOTLB", "table", "reads", "reads", "inval.", "device", "", "exposure",
			       "exposure", "reused", "", "ns in");
			printf("  %-9s %-4s %-5s %-8s %8s %8s %8s %8s %8s %8s %8s %10s %10s %8s %9s %8s\n", "addresses", "leaf", "ATS", "mode", "misses", "misses", "waited", "ahead",
			       "commands", "commands", "waits", "median, us", "most, us", "exposed", "held", "calls");
		}
		print_result(result);
	}
}

static void print_ideas(const struct study *study)
{
	if (study->nr_results)
		putchar('\n');
	printf("Three ideas of Fast & Safe, strict invalidation, %" PRIu32 " ns a wait: 64-page descriptors of 8 rings, and a page sent for 8 received. Per page.\n\n",
	       study->config.wait_ns);
	printf("  %-34s %12s %9s %9s %9s %9s %12s\n", "", "table misses", "walk", "commands", "of domain", "waits", "unmapping,");
	printf("  %-34s %12s %9s %9s %9s %9s %12s\n", "ideas", "(last level)", "reads", "", "", "", "simulated ns");
	for (uint32_t i = 0; i < study->nr_ideas; i++) {
		const struct study_ideas_result *result = &study->ideas[i];
		const struct iog_sim_stats *stats = &result->stats;

		if (!result->done)
			continue;
		printf("  %-34s %12.4f %9.4f %9.4f %9.4f %9.4f %12.1f\n", study_ideas_name(result->ideas), study_ideas_misses(result),
		       study_per_page(stats->walk_reads, result->pages), study_per_page(commands(stats), result->pages), study_per_page(stats->domain_commands, result->pages),
		       study_per_page(stats->wait_commands, result->pages), study_per_page(result->unmap_ns, result->pages));
	}
}

void study_print(const struct study *study)
{
	uint64_t violations = 0;

	for (uint32_t i = 0; i < study->nr_results; i++)
		violations += study->results[i].violations;
	for (uint32_t i = 0; i < study->nr_ideas; i++)
		violations += study->ideas[i].violations;
	print_matrix(study);
	if (study->nr_ideas && study->ideas[0].done)
		print_ideas(study);
	printf("\nIOTLB 256 entries, walk caches 64, 32, 16 (tables of level 0, 1, 2), 4-way; format %s; %" PRIu64 " pages received each; violations %" PRIu64 "%s.\n",
	       study->config.format, study->config.pages, violations, study->partial ? "; partial" : "");
}

static json_t *result_json(const struct study_result *result)
{
	const struct study_case *what = &result->what;
	json_t *object = json_checked(json_object());

	json_put_string(object, "workload", what->workload->name);
	json_put_string(object, "addresses", study_addresses_names[what->addresses]);
	json_put_bool(object, "bypass", !study_is_translated(what));
	if (study_is_translated(what)) {
		json_put_number(object, "leaf", study_leaf_size(what->leaf));
		json_put_string(object, "ats", study_ats_names[what->ats]);
	}
	if (study_is_dynamic(what))
		json_put_string(object, "mode", mode_name(what->mode));
	json_put_number(object, "pages", result->pages);
	instrument_json(object, &result->stats, INSTRUMENT_EXPOSURE | INSTRUMENT_REUSE);
	json_put_number(object, "bytes_held_peak", result->held_bytes_most);
	json_put_real(object, "ns_per_page", result->ns_per_page);
	json_put_number(object, "violations", result->violations);
	return object;
}

static json_t *ideas_json(const struct study_ideas_result *result)
{
	json_t *object = json_checked(json_object());

	for (uint32_t i = 0; i < 4; i++)
		json_put_bool(object, study_idea_names[i], result->ideas & 1u << i);
	json_put_number(object, "pages", result->pages);
	instrument_json(object, &result->stats, INSTRUMENT_EXPOSURE);
	json_put(object, "last_level_misses_per_page", json_checked(json_real(study_ideas_misses(result))));
	json_put_real(object, "unmap_ns_per_page", study_per_page(result->unmap_ns, result->pages));
	json_put_number(object, "violations", result->violations);
	return object;
}

static json_t *geometry_json(const struct study *study)
{
	json_t *object = json_checked(json_object()), *walk = json_checked(json_array());

	json_put_number(object, "iotlb_entries", 256);
	for (uint32_t entries = 64; entries >= 16; entries /= 2)
		json_append(walk, json_checked(json_integer((json_int_t)entries)));
	json_put(object, "walk_entries", walk);
	json_put_number(object, "ways", 4);
	json_put_number(object, "ats_entries", STUDY_ATS_ENTRIES);
	json_put_number(object, "wait_ns", study->config.wait_ns);
	json_put_number(object, "command_ns", STUDY_COMMAND_NS);
	json_put_number(object, "device_ns", STUDY_DEVICE_NS);
	json_put_number(object, "page_ns", STUDY_PAGE_NS);
	return object;
}

int study_print_json(const struct study *study, const char *error)
{
	json_t *report = json_report("study"), *rows = json_checked(json_array()), *ideas = json_checked(json_array());

	for (uint32_t i = 0; i < study->nr_results; i++) {
		if (study->results[i].done)
			json_append(rows, result_json(&study->results[i]));
	}
	for (uint32_t i = 0; i < study->nr_ideas; i++) {
		if (study->ideas[i].done)
			json_append(ideas, ideas_json(&study->ideas[i]));
	}
	json_put_string(report, "format", study->config.format);
	json_put(report, "geometry", geometry_json(study));
	json_put_end(report, study->config.seed, study->partial, error);
	json_put(report, "combinations", rows);
	json_put(report, "ideas", ideas);
	return json_print(report);
}
