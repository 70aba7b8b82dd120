/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C (SIGINT) and SIGTERM end a run cleanly: the loops look at this flag, and the report says that it is partial. A second one kills.
 */
#ifndef IOGATE_TOOL_INTERRUPT_H
#define IOGATE_TOOL_INTERRUPT_H

#include <stdbool.h>

/* Start catching the signals. */
void interrupt_catch(void);

/* Whether one has arrived. */
bool interrupted(void);

#endif
