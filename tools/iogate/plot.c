/* SPDX-License-Identifier: MIT */
/*
 * See plot.h. gnuplot gets its script, figures included, as standard input and draws on standard output, so that no file name has to be quoted for it
 * and what cannot be created or replaced is noticed here. Script and complaints are unnamed files rather than pipes: neither side ever waits.
 */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "memory.h"
#include "message.h"

#define MEND "apt-get install gnuplot-nox"

#define PNG_SCALE 1.5

/* How a whole file ends, but for blank lines. */
#define PNG_TAIL "IEND\xae\x42\x60\x82"
#define SVG_TAIL "</svg>"

static const struct chart {
	const char *suffix;
	struct plot_terminal terminal;
	const char *tail;
	size_t tail_size;
} charts[] = {
	{ "png", { "pngcairo noenhanced font 'Sans,10' fontscale 1.5 linewidth 1.5", PNG_SCALE, 12 }, PNG_TAIL, sizeof(PNG_TAIL) - 1 },
	{ "svg", { "svg noenhanced font 'sans-serif,13'", 1, 16 }, SVG_TAIL, sizeof(SVG_TAIL) - 1 },
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
	char temporary[PLOT_NAME_MAX + 4];
	int fd;

	new_name(name, temporary, sizeof(temporary));
	fd = openat(plot->fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	return fd < 0 ? file_failed(plot, "create", temporary, problem) : fd;
}

/* Let a file that was written take its name, or remove it. @ret tells which. Returns 0, or -1 with @problem set. */
static int file_finish(const struct plot *plot, const char *name, int ret, struct problem *problem)
{
	char temporary[PLOT_NAME_MAX + 4];

	new_name(name, temporary, sizeof(temporary));
	if (!ret && renameat(plot->fd, temporary, plot->fd, name))
		ret = file_failed(plot, "replace", name, problem);
	if (ret)
		unlinkat(plot->fd, temporary, 0);
	return ret;
}

static int write_figures(const struct plot *plot, const struct plot_sheet *sheet, struct problem *problem)
{
	char name[PLOT_NAME_MAX];
	int fd, ret = 0;
	FILE *stream;

	snprintf(name, sizeof(name), "%s.tsv", sheet->name);
	fd = file_create(plot, name, problem);
	if (fd < 0)
		return -1;
	stream = fdopen(fd, "w");
	if (!stream) {
		ret = file_failed(plot, "write", name, problem);
		close(fd);
		return file_finish(plot, name, ret, problem);
	}
	sheet->figures(stream, sheet->ctx);
	if (fflush(stream) || ferror(stream))
		ret = file_failed(plot, "write", name, problem);
	if (fclose(stream) && !ret)
		ret = file_failed(plot, "write", name, problem);
	return file_finish(plot, name, ret, problem);
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
static int check_whole(const struct plot *plot, const struct chart *chart, const char *name, int fd, struct problem *problem)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char text[16];
	ssize_t got = size < (off_t)sizeof(text) ? 0 : pread(fd, text, sizeof(text), size - (off_t)sizeof(text));
	size_t there = got < 0 ? 0 : (size_t)got;

	while (there && text[there - 1] == '\n')
		there--;
	if (there >= chart->tail_size && !memcmp(text + there - chart->tail_size, chart->tail, chart->tail_size))
		return 0;
	return problem_set(problem, "cannot write %s/%s: gnuplot ended well, but left no whole file", plot->directory, name);
}

static int draw(const struct plot *plot, const struct chart *chart, const char *name, FILE *script, struct problem *problem)
{
	FILE *complaint = tmpfile();
	int fd, ret;

	if (!complaint)
		return problem_set(problem, "no temporary file: %s", strerror(errno));
	fd = file_create(plot, name, problem);
	if (fd < 0) {
		fclose(complaint);
		return -1;
	}
	ret = run_gnuplot(plot, script, complaint, fd, problem);
	if (!ret)
		ret = check_whole(plot, chart, name, fd, problem);
	close(fd);
	fclose(complaint);
	return file_finish(plot, name, ret, problem);
}

static int write_chart(const struct plot *plot, const struct chart *chart, const struct plot_sheet *sheet, struct problem *problem)
{
	char name[PLOT_NAME_MAX];
	FILE *script = tmpfile();
	int ret;

	if (!script)
		return problem_set(problem, "no temporary file: %s", strerror(errno));
	snprintf(name, sizeof(name), "%s.%s", sheet->name, chart->suffix);
	sheet->script(script, &chart->terminal, sheet->ctx);
	if (fflush(script) || ferror(script) || lseek(fileno(script), 0, SEEK_SET))
		ret = problem_set(problem, "a temporary file cannot be written: %s", strerror(errno));
	else
		ret = draw(plot, chart, name, script, problem);
	fclose(script);
	return ret;
}

int plot_write(const struct plot *plot, const struct plot_sheet *sheet)
{
	struct problem problem;
	int ret = write_figures(plot, sheet, &problem);

	for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]) && !ret; i++)
		ret = write_chart(plot, &charts[i], sheet, &problem);
	if (ret)
		message("--plot: %s", problem.text);
	return ret ? EXIT_FOUND : 0;
}
