/* SPDX-License-Identifier: MIT */
/*
 * A crew of threads that begin together, one per lane, each on a CPU of its own as far as there are any.
 */
#ifndef IOGATE_TOOL_CREW_H
#define IOGATE_TOOL_CREW_H

#include <stdint.h>

#include "message.h"

/* What each does. @ctx is the crew's, @index its number. Returns 0 or a negative iogate error. */
typedef int crew_fn(void *ctx, uint32_t index);

/* CPUs that this process may use. */
uint32_t crew_cpus(void);

/*
 * Run @work in @count threads, spread over the first @cpus of the CPUs allowed. @ns: from when they were let go until the last had ended. May be NULL. Returns 0; the first error of a thread; or -IOG_EAGAIN with @problem
 * set if not all could be started, and then none has worked.
 */
int crew_run(uint32_t count, uint32_t cpus, crew_fn *work, void *ctx, uint64_t *ns, struct problem *problem);

#endif
