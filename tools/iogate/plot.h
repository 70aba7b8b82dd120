/* SPDX-License-Identifier: MIT */
/*
 * Charts: a directory with NAME.tsv, which has the figures, and NAME.png and NAME.svg, which gnuplot draws. gnuplot is a program that is looked for when charts are
 * asked for, and nothing else needs it. What is drawn is the caller's affair (struct plot_sheet).
 */
#ifndef IOGATE_TOOL_PLOT_H
#define IOGATE_TOOL_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLOT_COLOUR_FIRST "#2f6f9f"
#define PLOT_COLOUR_SECOND "#c9b27c"
#define PLOT_COLOUR_TEXT "#202020"
#define PLOT_COLOUR_GRID "#d8d8d8"

/* Of a file in the directory. */
#define PLOT_NAME_MAX 28

struct plot {
	char *gnuplot;         /* where the program is */
	const char *directory; /* for messages */
	int fd;                /* of the directory */
};

/* What a script begins with: "set terminal", the words of @name, and a size in pixels times @scale. */
struct plot_terminal {
	const char *name;
	double scale;
	int title_size;
};

struct plot_sheet {
	const char *name; /* of the files */
	/* The figures, as a table of tab-separated values. */
	void (*figures)(FILE *stream, const void *ctx);
	/* A script for gnuplot that holds its figures itself. */
	void (*script)(FILE *stream, const struct plot_terminal *terminal, const void *ctx);
	const void *ctx;
};

/*
 * Find gnuplot, make the directory if it is missing, and see that files can be put there: all that can be known before a run, which would else be for nothing. Returns 0; or says on
 * stderr what is wrong and returns EXIT_LACKING without gnuplot, or EXIT_FOUND.
 */
int plot_begin(const char *directory, struct plot *plot);

/*
 * Write the files in the place of those that are there. A file is complete under its name or not there; one that fails leaves its predecessor. Returns 0; or says on stderr what is
 * wrong and returns EXIT_FOUND.
 */
int plot_write(const struct plot *plot, const struct plot_sheet *sheet);

/* After plot_begin() that returned 0. */
void plot_end(struct plot *plot);

#endif
