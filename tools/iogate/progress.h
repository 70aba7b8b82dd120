/* SPDX-License-Identifier: MIT */
/*
 * A line on the terminal that says how far a long run has come. Shown on stderr only when that is a terminal, and only once the run has
 * taken a second; redrawn a few times a second. One run at a time, from one thread; progress_clear() from any.
 */
#ifndef IOGATE_TOOL_PROGRESS_H
#define IOGATE_TOOL_PROGRESS_H

#include <stdint.h>

/* Start measuring a run. @what leads the line; copied. */
void progress_begin(const char *what);

/* The run has done @done of @total. Cheap enough to call some thousand times a second. */
void progress_update(uint64_t done, uint64_t total);

/* The run is over; wipe the line. */
void progress_end(void);

/* Wipe the line for other output; the next update draws it again. */
void progress_clear(void);

#endif
