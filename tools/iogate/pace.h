/* SPDX-License-Identifier: MIT */
/*
 * A clock that the command sets: that of a trace, or of a device that moves so many bytes a second. Simulated hardware that goes by it takes and measures the same times in
 * every run. There is one, for the run that goes on.
 */
#ifndef IOGATE_TOOL_PACE_H
#define IOGATE_TOOL_PACE_H

#include <stdint.h>

/* Begin at 0. @look_ns: what each look takes, so that whoever waits by this clock sees it move. */
void pace_begin(uint64_t look_ns);

/* It is @ns now, unless it was later already. */
void pace_reach(uint64_t ns);

/* It is @ns later. */
void pace_pass(uint64_t ns);

/* As struct iog_platform has it (now_ns). */
uint64_t pace_now(void *ctx);

#endif
