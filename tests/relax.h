/* SPDX-License-Identifier: MIT */
/*
 * The relax() of test platforms.
 */
#ifndef TESTS_RELAX_H
#define TESTS_RELAX_H

#include <sched.h>
#include <stdint.h>

/* Who is waited for may need this CPU, so that it is given away; but not each time: on a busy machine it is long in coming back. */
static inline void kit_relax(void *ctx)
{
	static _Thread_local uint32_t turns;

	(void)ctx;
	if (!(++turns % 64))
		sched_yield();
}

#endif
