/* SPDX-License-Identifier: MIT */
/*
 * The chart of a benchmark: a bar per case that is a time; see plot.h.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <iogate/version.h>

#include "command.h"
#include "plot.h"

/* Of an SVG, in its pixels. Around the bars are the title, the legend and the axis. */
#define WIDTH 960
#define BAR_HEIGHT 21
#define FRAME_HEIGHT 128

struct drawing {
	const struct bench_result *results;
	uint32_t nr_results;
	const char *format;
	bool partial;
};

static void write_figures(FILE *stream, const void *ctx)
{
	const struct drawing *drawing = ctx;
	const struct bench_result *result;

	fputs("case\tbaseline\tunit\truns\tmin\tmedian\tmax\n", stream);
	for (uint32_t i = 0; i < drawing->nr_results; i++) {
		result = &drawing->results[i];
		fprintf(stream, "%s\t%s\t%s\t%" PRIu32, result->bench_case->name, result->bench_case->baseline ? result->bench_case->baseline : "",
			bench_unit(result->bench_case), result->runs);
		if (result->count)
			fprintf(stream, "\t%.3f\t%.3f\t%.3f\n", bench_min(result), bench_median(result), bench_max(result));
		else
			fputs("\t\t\t\n", stream);
	}
}

/* Counts and rates have no place on an axis of times. */
static bool is_drawn(const struct bench_result *result)
{
	return result->count && bench_is_time(result->bench_case);
}

/* What is drawn: how many bars, how long they are, and the longest name before them. */
struct extent {
	uint32_t bars;
	uint32_t runs;
	size_t name;
	double left; /* where bars begin: a power of ten below the least figure */
	double right;
};

static struct extent measure(const struct bench_result *results, uint32_t nr_results)
{
	struct extent extent = { .left = 1 };
	const struct bench_result *result;
	double least, most;
	size_t name;

	for (uint32_t i = 0; i < nr_results; i++) {
		result = &results[i];
		if (!is_drawn(result))
			continue;
		extent.bars++;
		extent.runs = result->runs > extent.runs ? result->runs : extent.runs;
		name = strlen(result->bench_case->name);
		extent.name = name > extent.name ? name : extent.name;
		least = bench_min(result);
		most = bench_max(result);
		/* A picosecond is nothing that a call could take; a clock that stands still gives 0, which no logarithm has. */
		while (extent.left >= least && extent.left > 0.001)
			extent.left /= 10;
		extent.right = most > extent.right ? most : extent.right;
	}
	if (extent.right < extent.left * 10)
		extent.right = extent.left * 10;
	return extent;
}

/* The figures as gnuplot takes them: name, min, median, max, whether it is a baseline, and the median as a reader wants it. */
static void print_figures(FILE *stream, const struct bench_result *results, uint32_t nr_results, double left)
{
	const struct bench_result *result;
	double median, least, most;

	fputs("$cases << END\n", stream);
	for (uint32_t i = 0; i < nr_results; i++) {
		result = &results[i];
		if (!is_drawn(result))
			continue;
		median = bench_median(result);
		least = bench_min(result);
		most = bench_max(result);
		fprintf(stream, "%s %.6f %.6f %.6f %d %.*f\n", result->bench_case->name, least > left ? least : left, median > left ? median : left,
			most > left ? most : left, !result->bench_case->baseline, median < 10 ? 2 : median < 1000 ? 1 : 0, median);
	}
	fputs("END\n", stream);
}

static void print_script(FILE *stream, const struct plot_terminal *terminal, const void *ctx)
{
	const struct drawing *drawing = ctx;
	struct extent extent = measure(drawing->results, drawing->nr_results);
	unsigned int version = iog_version();

	print_figures(stream, drawing->results, drawing->nr_results, extent.left);
	fprintf(stream, "set terminal %s size %.0f,%.0f background '#ffffff'\n", terminal->name, WIDTH * terminal->scale,
		(FRAME_HEIGHT + BAR_HEIGHT * (double)extent.bars) * terminal->scale);
	fprintf(stream, "set title \"iogate %u.%u.%u bench: ns per call, format %s, %" PRIu32 " run%s of each%s\" font ',%d'\n", version >> 16,
		version >> 8 & 0xff, version & 0xff, drawing->format, extent.runs, extent.runs == 1 ? "" : "s", drawing->partial ? ", partial" : "", terminal->title_size);
	fprintf(stream, "left = %g\nright = %.6f\nbars = %" PRIu32 "\n", extent.left, extent.right, extent.bars);
	fprintf(stream, "set lmargin %zu\n", extent.name + 3);
	fprintf(stream, "set format x '%s'\n", extent.left < 1 ? "%g" : "%.0f");
	fputs("set rmargin 3\n"
	      "set border 3 linecolor rgb '" PLOT_COLOUR_TEXT "'\n"
	      "set logscale x 10\n"
	      /* Behind the longest bar there is room for its figure. */
	      "set xrange [left : right * (right / left) ** 0.12]\n"
	      "set yrange [bars - 0.4 : -0.6]\n"
	      "set xlabel 'ns per call, logarithmic'\n"
	      "set tics nomirror out\n"
	      "set ytics scale 0\n"
	      "set grid xtics linetype 1 linecolor rgb '" PLOT_COLOUR_GRID "'\n"
	      "set key outside bottom center horizontal Left reverse samplen 2 height 1\n"
	      "set style fill solid noborder\n"
	      "set errorbars 0.6\n"
	      "box(baseline) = $0 + (column(5) == baseline ? 0 : NaN)\n"
	      "plot $cases using 3:(box(0)):(left):3:($0 - 0.36):($0 + 0.36) with boxxyerror linecolor rgb '" PLOT_COLOUR_FIRST "' \\\n"
	      "    title 'case (median)', \\\n"
	      "  $cases using 3:(box(1)):(left):3:($0 - 0.36):($0 + 0.36) with boxxyerror linecolor rgb '" PLOT_COLOUR_SECOND "' \\\n"
	      "    title 'baseline (median)', \\\n"
	      "  $cases using 3:0:2:4:ytic(1) with xerrorbars pointtype -1 linecolor rgb '" PLOT_COLOUR_TEXT "' title 'min to max', \\\n"
	      "  $cases using 4:0:6 with labels left offset character 0.8,0 textcolor rgb '" PLOT_COLOUR_TEXT "' notitle\n"
	      "set output\n", stream);
}

int bench_plot(const struct plot *plot, const struct bench_result *results, uint32_t nr_results, const char *format, bool partial)
{
	const struct drawing drawing = { .results = results, .nr_results = nr_results, .format = format, .partial = partial };
	const struct plot_sheet sheet = { .name = "bench", .figures = write_figures, .script = print_script, .ctx = &drawing };

	if (!measure(results, nr_results).bars) {
		message("--plot: nothing was measured, so there is nothing to draw");
		return EXIT_FOUND;
	}
	return plot_write(plot, &sheet);
}
