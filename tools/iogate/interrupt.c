/* SPDX-License-Identifier: MIT */
/*
 * See interrupt.h.
 */
#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_bool flag;

static void interrupt_arrived(int signal_number)
{
	(void)signal_number;
	atomic_store_explicit(&flag, true, memory_order_relaxed);
}

void interrupt_catch(void)
{
	/* SA_RESETHAND: who presses it twice means it. SA_RESTART: reads from a pipe go on until the loops look. */
	struct sigaction action = { .sa_handler = interrupt_arrived, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void)
{
	return atomic_load_explicit(&flag, memory_order_relaxed);
}
