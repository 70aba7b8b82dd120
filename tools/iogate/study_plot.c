/* SPDX-License-Identifier: MIT */
/*
 * The charts of the study: walk-cache misses with each idea left out, and below what each combination of the first workload costs; see plot.h.
 */
#include "study.h"

#include <inttypes.h>
#include <stdio.h>

#include <iogate/version.h>

#include "command.h"
#include "policy.h"

#define WIDTH 960
#define BAR_HEIGHT 19
#define FRAME_HEIGHT 110

static void case_name(const struct study_case *what, char *text, size_t size)
{
	if (!study_is_translated(what))
		snprintf(text, size, "%s: bypass", what->workload->name);
	else if (!study_is_dynamic(what))
		snprintf(text, size, "%s: static %s, ATS %s", what->workload->name, study_leaf_names[what->leaf], study_ats_names[what->ats]);
	else
		snprintf(text, size, "%s: %s %s, ATS %s, %s", what->workload->name, study_addresses_names[what->addresses], study_leaf_names[what->leaf], study_ats_names[what->ats],
			 mode_name(what->mode));
}

static void write_figures(FILE *stream, const void *ctx)
{
	const struct study *study = ctx;
	char name[128];

	fputs("what\tpages\tiotlb_misses\tlast_level_misses\twalk_reads\twalk_reads_ahead\tcommands\twaits\texposure_max_ns\tns_per_page\n", stream);
	for (uint32_t i = 0; i < study->nr_ideas; i++) {
		const struct study_ideas_result *result = &study->ideas[i];
		const struct iog_sim_stats *stats = &result->stats;

		if (result->done)
			fprintf(stream, "ideas: %s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t0\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t\n",
				study_ideas_name(result->ideas), result->pages, stats->iotlb_misses, stats->walk_level_misses[0], stats->walk_reads,
				stats->range_commands + stats->domain_commands, stats->wait_commands, stats->exposure.max_ns);
	}
	for (uint32_t i = 0; i < study->nr_results; i++) {
		const struct study_result *result = &study->results[i];
		const struct iog_sim_stats *stats = &result->stats;

		case_name(&result->what, name, sizeof(name));
		if (result->done)
			fprintf(stream, "%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%.1f\n", name, result->pages,
				stats->iotlb_misses, stats->walk_level_misses[0], stats->walk_reads - stats->prewalk_reads, stats->prewalk_reads,
				stats->range_commands + stats->domain_commands, stats->wait_commands, stats->exposure.max_ns, result->ns_per_page);
	}
}

/* What is drawn of each: name, and what is put one behind the other. */
static uint32_t print_ideas(FILE *stream, const struct study *study)
{
	uint32_t bars = 0;

	fputs("$ideas << END\n", stream);
	for (uint32_t i = 0; i < study->nr_ideas; i++) {
		if (!study->ideas[i].done)
			continue;
		fprintf(stream, "\"%s\" %.6f\n", study_ideas_name(study->ideas[i].ideas), study_ideas_misses(&study->ideas[i]));
		bars++;
	}
	fputs("END\n", stream);
	return bars;
}

static uint32_t print_cases(FILE *stream, const struct study *study)
{
	uint32_t bars = 0;
	char name[128];

	fputs("$cases << END\n", stream);
	for (uint32_t i = 0; i < study->nr_results; i++) {
		const struct study_result *result = &study->results[i];
		const struct iog_sim_stats *stats = &result->stats;

		if (!result->done)
			continue;
		case_name(&result->what, name, sizeof(name));
		fprintf(stream, "\"%s\" %.6f %.6f\n", name, study_per_page(stats->walk_reads - stats->prewalk_reads, result->pages),
			study_per_page(stats->prewalk_reads, result->pages));
		bars++;
	}
	fputs("END\n", stream);
	return bars;
}

static void print_axes(FILE *stream, uint32_t bars, const char *right, const char *label)
{
	fprintf(stream, "set yrange [%" PRIu32 " - 0.4 : -0.6]\nset xrange [0 : %s]\nset xlabel '%s'\n", bars, right, label);
	fputs("set lmargin 48\nset rmargin 6\nset border 3 linecolor rgb '" PLOT_COLOUR_TEXT "'\nset tics nomirror out\nset ytics scale 0\n"
	      "set grid xtics linetype 1 linecolor rgb '" PLOT_COLOUR_GRID "'\nset key outside bottom center horizontal Left reverse samplen 2 height 1\n"
	      "set style fill solid noborder\n", stream);
}

static void print_script(FILE *stream, const struct plot_terminal *terminal, const void *ctx)
{
	const struct study *study = ctx;
	uint32_t ideas = print_ideas(stream, study), cases = print_cases(stream, study);
	double height = (ideas ? FRAME_HEIGHT + BAR_HEIGHT * (double)ideas : 0) + (cases ? FRAME_HEIGHT + BAR_HEIGHT * (double)cases : 0);
	double upper = ideas ? (FRAME_HEIGHT + BAR_HEIGHT * (double)ideas) / height : 0;
	unsigned int version = iog_version();

	fprintf(stream, "set terminal %s size %.0f,%.0f background '#ffffff'\nset multiplot\n", terminal->name, WIDTH * terminal->scale, height * terminal->scale);
	fprintf(stream, "set title \"iogate %u.%u.%u study, format %s%s\" font ',%d'\n", version >> 16, version >> 8 & 0xff, version & 0xff, study->config.format,
		study->partial ? ", partial" : "", terminal->title_size);
	if (ideas) {
		fprintf(stream, "set origin 0,%.6f\nset size 1,%.6f\n", 1 - upper, upper);
		print_axes(stream, ideas, "1.12", "last-level walk-cache misses per page");
		fputs("set arrow 1 from 0.05, graph 0 to 0.05, graph 1 nohead dashtype 2 linecolor rgb '" PLOT_COLOUR_TEXT "'\n"
		      "plot $ideas using ($2 / 2):0:($2 / 2):(0.36):ytic(1) with boxxyerror linecolor rgb '" PLOT_COLOUR_FIRST "' title 'strict, ideas left out (dashed: 0.05)', \\\n"
		      "  $ideas using 2:0:(sprintf('%.4f', $2)) with labels left offset character 0.8,0 notitle\n"
		      "unset arrow 1\nunset title\n", stream);
	}
	if (cases) {
		fprintf(stream, "set origin 0,0\nset size 1,%.6f\n", 1 - upper);
		print_axes(stream, cases, "*", "reads of page tables per page of DMA");
		fputs("plot $cases using ($2 / 2):0:($2 / 2):(0.36):ytic(1) with boxxyerror linecolor rgb '" PLOT_COLOUR_FIRST "' title 'the DMA waits for', \\\n"
		      "  $cases using ($2 + $3 / 2):0:($3 / 2):(0.36) with boxxyerror linecolor rgb '" PLOT_COLOUR_SECOND "' title 'ahead of the DMA'\n", stream);
	}
	fputs("unset multiplot\nset output\n", stream);
}

int study_plot(const struct plot *plot, const struct study *study)
{
	const struct plot_sheet sheet = { .name = "study", .figures = write_figures, .script = print_script, .ctx = study };
	bool any = false;

	for (uint32_t i = 0; i < study->nr_ideas; i++)
		any |= study->ideas[i].done;
	for (uint32_t i = 0; i < study->nr_results; i++)
		any |= study->results[i].done;
	if (any)
		return plot_write(plot, &sheet);
	message("--plot: nothing was counted, so there is nothing to draw");
	return EXIT_FOUND;
}
