/* SPDX-License-Identifier: MIT */
/*
 * In the place of lines.c where the compiler or the linker cannot make an instrumented core; see lines.h.
 */
#include "lines.h"

#include <iogate/error.h>

int lines_measure(const struct lines_config *config, uint32_t *writes, struct problem *problem)
{
	(void)config;
	(void)writes;
	problem_set(problem, "this build has no instrumented core: that takes a compiler with -fsanitize=thread, and objcopy");
	return -IOG_EOPNOTSUPP;
}
