/* SPDX-License-Identifier: MIT */
/*
 * Charts of a benchmark: a directory with bench.tsv, which has the figures, and bench.png and bench.svg, which gnuplot draws. gnuplot is a program that
 * is looked for when charts are asked for, and nothing else needs it.
 */
#ifndef IOGATE_TOOL_PLOT_H
#define IOGATE_TOOL_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench.h"

struct plot {
	char *gnuplot;         /* where the program is */
	const char *directory; /* for messages */
	int fd;                /* of the directory */
};

/*
 * Find gnuplot, make the directory if it is missing, and see that files can be put there: all that can be known before a benchmark, which would else
 * be for nothing. Returns 0; or says on stderr what is wrong and returns EXIT_LACKING without gnuplot, or EXIT_FOUND.
 */
int plot_begin(const char *directory, struct plot *plot);

/*
 * Write the files in the place of those that are there. A file is complete under its name or not there; one that fails leaves its predecessor.
 * @results are sorted; those without a run are no bars. Returns 0; or says on stderr what is wrong and returns EXIT_FOUND.
 */
int plot_write(const struct plot *plot, const struct bench_result *results, uint32_t nr_results, const char *format, bool partial);

/* After plot_begin() that returned 0. */
void plot_end(struct plot *plot);

#endif
