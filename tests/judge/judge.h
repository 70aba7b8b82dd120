/* SPDX-License-Identifier: MIT */
/*
 * What judges share: claims that are checked and counted, parts that are skipped for want of a QEMU, and the verdict.
 *
 * A judge prints a line per claim that fails, and one with the count at the end. It exits 0 when all claims hold, 1 when one does not, 77 when nothing could be judged.
 */
#ifndef TESTS_JUDGE_JUDGE_H
#define TESTS_JUDGE_JUDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <iogate/error.h>
#include <iogate/host/qtest.h>

static unsigned int judge_held, judge_failed, judge_skipped;

/* A claim, and in printf's words what it says. */
#define JUDGE(claim, ...)                                                     \
	do {                                                                  \
		if (claim) {                                                  \
			judge_held++;                                         \
		} else {                                                      \
			judge_failed++;                                       \
			printf("%s:%d: does not hold: ", __FILE__, __LINE__); \
			printf(__VA_ARGS__);                                  \
			putchar('\n');                                        \
			fflush(stdout);                                       \
		}                                                             \
	} while (0)

static inline void judge_skip(const char *part, const char *why)
{
	printf("skipped: %s%s%s\n", part, *part ? ": " : "", why);
	fflush(stdout);
	judge_skipped++;
}

/* NULL when it could not be: skipped without the QEMU that is wanted, failed for any other reason. */
static inline struct iog_qtest *judge_start(const struct iog_qtest_config *config)
{
	struct iog_qtest *qtest = NULL;
	char why[256] = "";
	int error = iog_qtest_create(config, &qtest, why, sizeof(why));

	if (error == -IOG_ENOENT)
		judge_skip("", why);
	else
		JUDGE(!error, "QEMU starts: %s", why);
	return error ? NULL : qtest;
}

static inline int judge_end(void)
{
	printf("%u held, %u failed, %u skipped\n", judge_held, judge_failed, judge_skipped);
	if (judge_failed)
		return 1;
	return judge_held ? 0 : 77;
}

#endif
