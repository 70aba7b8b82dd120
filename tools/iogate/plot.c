/* SPDX-License-Identifier: MIT */
/*
 * See plot.h. gnuplot gets its script, figures included, as standard input and draws on standard output, so that no file name has to be quoted for it
 * and what cannot be created or replaced is noticed here. Script and complaints are unnamed files rather than pipes: neither side ever waits.
 */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iogate/version.h>

#include "command.h"
#include "memory.h"
#include "message.h"

#define MEND "apt-get install gnuplot-nox"

/* Of an SVG, in its pixels; the PNG has more of them for the same. Around the bars are the title, the legend and the axis. */
#define WIDTH 960
#define BAR_HEIGHT 21
#define FRAME_HEIGHT 128
#define PNG_SCALE 1.5

#define COLOUR_CASE "#2f6f9f"
#define COLOUR_BASELINE "#c9b27c"
#define COLOUR_WHISKER "#202020"
#define COLOUR_GRID "#d8d8d8"

/* How a whole file ends, but for blank lines. */
#define PNG_TAIL "IEND\xae\x42\x60\x82"
#define SVG_TAIL "</svg>"

static const struct chart {
	const char *name;
	const char *terminal; /* before its size */
	double scale;
	int title_size;
	const char *tail;
	size_t tail_size;
} charts[] = {
	{ "bench.png", "pngcairo noenhanced font 'Sans,10' fontscale 1.5 linewidth 1.5", PNG_SCALE, 12, PNG_TAIL, sizeof(PNG_TAIL) - 1 },
	{ "bench.svg", "svg noenhanced font 'sans-serif,13'", 1, 16, SVG_TAIL, sizeof(SVG_TAIL) - 1 },
};

/* The first program of that name on PATH, or NULL. What lies in the current directory by chance is none: entries have to be absolute. */
static char *find_program(const char *name)
{
	const char *at = getenv("PATH"), *end;
	struct stat status;
	char *path;
	size_t size;

	for (; at; at = *end ? end + 1 : NULL) {
		end = at + strcspn(at, ":");
		if (*at != '/')
			continue;
		size = (size_t)(end - at) + strlen(name) + 2;
		path = memory_new(size, 1);
		snprintf(path, size, "%.*s/%s", (int)(end - at), at, name);
		if (!stat(path, &status) && S_ISREG(status.st_mode) && !access(path, X_OK))
			return path;
		free(path);
	}
	return NULL;
}

int plot_begin(const char *directory, struct plot *plot)
{
	plot->directory = directory;
	plot->gnuplot = find_program("gnuplot");
	if (!plot->gnuplot) {
		message("--plot needs gnuplot, which is not on PATH: %s", MEND);
		return EXIT_LACKING;
	}
	if (mkdir(directory, 0777) && errno != EEXIST) {
		message("--plot: cannot create the directory %s: %s", directory, strerror(errno));
		goto fail;
	}
	plot->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (plot->fd < 0) {
		message("--plot: cannot open the directory %s: %s", directory, strerror(errno));
		goto fail;
	}
	if (faccessat(plot->fd, ".", W_OK | X_OK, AT_EACCESS)) {
		message("--plot: cannot write to the directory %s: %s", directory, strerror(errno));
		close(plot->fd);
		goto fail;
	}
	return 0;
fail:
	free(plot->gnuplot);
	return EXIT_FOUND;
}

void plot_end(struct plot *plot)
{
	close(plot->fd);
	free(plot->gnuplot);
}

static int file_failed(const struct plot *plot, const char *verb, const char *name, struct problem *problem)
{
	return problem_set(problem, "cannot %s %s/%s: %s", verb, plot->directory, name, strerror(errno));
}

/* A file is written under another name and takes its own when it is whole. */
static void new_name(const char *name, char *text, size_t size)
{
	snprintf(text, size, "%s.new", name);
}

/* Returns a descriptor, or -1 with @problem set. */
static int file_create(const struct plot *plot, const char *name, struct problem *problem)
{
	char temporary[32];
	int fd;

	new_name(name, temporary, sizeof(temporary));
	fd = openat(plot->fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	return fd < 0 ? file_failed(plot, "create", temporary, problem) : fd;
}

/* Let a file that was written take its name, or remove it. @ret tells which. Returns 0, or -1 with @problem set. */
static int file_finish(const struct plot *plot, const char *name, int ret, struct problem *problem)
{
	char temporary[32];

	new_name(name, temporary, sizeof(temporary));
	if (!ret && renameat(plot->fd, temporary, plot->fd, name))
		ret = file_failed(plot, "replace", name, problem);
	if (ret)
		unlinkat(plot->fd, temporary, 0);
	return ret;
}

static int write_figures(const struct plot *plot, const struct bench_result *results, uint32_t nr_results, struct problem *problem)
{
	static const char name[] = "bench.tsv";
	int fd = file_create(plot, name, problem), ret = 0;
	const struct bench_result *result;
	FILE *stream;

	if (fd < 0)
		return -1;
	stream = fdopen(fd, "w");
	if (!stream) {
		ret = file_failed(plot, "write", name, problem);
		close(fd);
		return file_finish(plot, name, ret, problem);
	}
	fputs("case\tbaseline\tunit\truns\tmin\tmedian\tmax\n", stream);
	for (uint32_t i = 0; i < nr_results; i++) {
		result = &results[i];
		fprintf(stream, "%s\t%s\t%s\t%" PRIu32, result->bench_case->name, result->bench_case->baseline ? result->bench_case->baseline : "",
			bench_unit(result->bench_case), result->runs);
		if (result->count)
			fprintf(stream, "\t%.3f\t%.3f\t%.3f\n", bench_min(result), bench_median(result), bench_max(result));
		else
			fputs("\t\t\t\n", stream);
	}
	if (fflush(stream) || ferror(stream))
		ret = file_failed(plot, "write", name, problem);
	if (fclose(stream) && !ret)
		ret = file_failed(plot, "write", name, problem);
	return file_finish(plot, name, ret, problem);
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

static void print_script(FILE *stream, const struct chart *chart, const struct bench_result *results, uint32_t nr_results, const char *format,
			 bool partial)
{
	struct extent extent = measure(results, nr_results);
	unsigned int version = iog_version();

	print_figures(stream, results, nr_results, extent.left);
	fprintf(stream, "set terminal %s size %.0f,%.0f background '#ffffff'\n", chart->terminal, WIDTH * chart->scale,
		(FRAME_HEIGHT + BAR_HEIGHT * (double)extent.bars) * chart->scale);
	fprintf(stream, "set title \"iogate %u.%u.%u bench: ns per call, format %s, %" PRIu32 " run%s of each%s\" font ',%d'\n", version >> 16,
		version >> 8 & 0xff, version & 0xff, format, extent.runs, extent.runs == 1 ? "" : "s", partial ? ", partial" : "", chart->title_size);
	fprintf(stream, "left = %g\nright = %.6f\nbars = %" PRIu32 "\n", extent.left, extent.right, extent.bars);
	fprintf(stream, "set lmargin %zu\n", extent.name + 3);
	fprintf(stream, "set format x '%s'\n", extent.left < 1 ? "%g" : "%.0f");
	fputs("set rmargin 3\n"
	      "set border 3 linecolor rgb '" COLOUR_WHISKER "'\n"
	      "set logscale x 10\n"
	      /* Behind the longest bar there is room for its figure. */
	      "set xrange [left : right * (right / left) ** 0.12]\n"
	      "set yrange [bars - 0.4 : -0.6]\n"
	      "set xlabel 'ns per call, logarithmic'\n"
	      "set tics nomirror out\n"
	      "set ytics scale 0\n"
	      "set grid xtics linetype 1 linecolor rgb '" COLOUR_GRID "'\n"
	      "set key outside bottom center horizontal Left reverse samplen 2 height 1\n"
	      "set style fill solid noborder\n"
	      "set errorbars 0.6\n"
	      "box(baseline) = $0 + (column(5) == baseline ? 0 : NaN)\n"
	      "plot $cases using 3:(box(0)):(left):3:($0 - 0.36):($0 + 0.36) with boxxyerror linecolor rgb '" COLOUR_CASE "' \\\n"
	      "    title 'case (median)', \\\n"
	      "  $cases using 3:(box(1)):(left):3:($0 - 0.36):($0 + 0.36) with boxxyerror linecolor rgb '" COLOUR_BASELINE "' \\\n"
	      "    title 'baseline (median)', \\\n"
	      "  $cases using 3:0:2:4:ytic(1) with xerrorbars pointtype -1 linecolor rgb '" COLOUR_WHISKER "' title 'min to max', \\\n"
	      "  $cases using 4:0:6 with labels left offset character 0.8,0 textcolor rgb '" COLOUR_WHISKER "' notitle\n"
	      "set output\n", stream);
}

/* What gnuplot complained of, in one line. */
static void read_complaint(FILE *stream, char *text, size_t size)
{
	size_t used = 0;
	bool blank = false;
	int c;

	rewind(stream);
	while ((c = getc(stream)) != EOF && used + 2 < size) {
		if (c <= ' ' || c == 0x7f) {
			blank = used;
			continue;
		}
		if (blank)
			text[used++] = ' ';
		blank = false;
		text[used++] = (char)c;
	}
	text[used] = 0;
}

static int run_gnuplot(const struct plot *plot, FILE *script, FILE *complaint, int output, struct problem *problem)
{
	/* -d: charts do not depend on what the user has set for others. */
	char *argv[] = { plot->gnuplot, "-d", NULL };
	posix_spawn_file_actions_t actions;
	char text[512];
	pid_t child;
	int ret, status;

	ret = posix_spawn_file_actions_init(&actions);
	if (ret)
		return problem_set(problem, "%s cannot be run: %s", plot->gnuplot, strerror(ret));
	ret = posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&actions, fileno(complaint), STDERR_FILENO);
	if (!ret)
		ret = posix_spawn(&child, plot->gnuplot, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret)
		return problem_set(problem, "%s cannot be run: %s", plot->gnuplot, strerror(ret));
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return problem_set(problem, "%s: %s", plot->gnuplot, strerror(errno));
	}
	if (WIFSIGNALED(status))
		return problem_set(problem, "gnuplot was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (!WEXITSTATUS(status))
		return 0;
	read_complaint(complaint, text, sizeof(text));
	return problem_set(problem, "gnuplot failed with exit code %d: %s", WEXITSTATUS(status), *text ? text : "it did not say why");
}

/* gnuplot does not notice a disk that takes no more. */
static int check_whole(const struct plot *plot, const struct chart *chart, int fd, struct problem *problem)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char text[16];
	ssize_t got = size < (off_t)sizeof(text) ? 0 : pread(fd, text, sizeof(text), size - (off_t)sizeof(text));
	size_t there = got < 0 ? 0 : (size_t)got;

	while (there && text[there - 1] == '\n')
		there--;
	if (there >= chart->tail_size && !memcmp(text + there - chart->tail_size, chart->tail, chart->tail_size))
		return 0;
	return problem_set(problem, "cannot write %s/%s: gnuplot ended well, but left no whole file", plot->directory, chart->name);
}

static int draw(const struct plot *plot, const struct chart *chart, FILE *script, struct problem *problem)
{
	FILE *complaint = tmpfile();
	int fd, ret;

	if (!complaint)
		return problem_set(problem, "no temporary file: %s", strerror(errno));
	fd = file_create(plot, chart->name, problem);
	if (fd < 0) {
		fclose(complaint);
		return -1;
	}
	ret = run_gnuplot(plot, script, complaint, fd, problem);
	if (!ret)
		ret = check_whole(plot, chart, fd, problem);
	close(fd);
	fclose(complaint);
	return file_finish(plot, chart->name, ret, problem);
}

static int write_chart(const struct plot *plot, const struct chart *chart, const struct bench_result *results, uint32_t nr_results, const char *format,
		       bool partial, struct problem *problem)
{
	FILE *script = tmpfile();
	int ret;

	if (!script)
		return problem_set(problem, "no temporary file: %s", strerror(errno));
	print_script(script, chart, results, nr_results, format, partial);
	if (fflush(script) || ferror(script) || lseek(fileno(script), 0, SEEK_SET))
		ret = problem_set(problem, "a temporary file cannot be written: %s", strerror(errno));
	else
		ret = draw(plot, chart, script, problem);
	fclose(script);
	return ret;
}

int plot_write(const struct plot *plot, const struct bench_result *results, uint32_t nr_results, const char *format, bool partial)
{
	struct problem problem;
	int ret;

	if (!measure(results, nr_results).bars) {
		message("--plot: nothing was measured, so there is nothing to draw");
		return EXIT_FOUND;
	}
	ret = write_figures(plot, results, nr_results, &problem);
	for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]) && !ret; i++)
		ret = write_chart(plot, &charts[i], results, nr_results, format, partial, &problem);
	if (ret)
		message("--plot: %s", problem.text);
	return ret ? EXIT_FOUND : 0;
}
