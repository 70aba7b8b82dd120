/* SPDX-License-Identifier: MIT */
/*
 * See progress.h.
 */
#include "progress.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

#define SHOW_AFTER_NS UINT64_C(1000000000)
#define REDRAW_NS UINT64_C(200000000)

static struct {
	char what[160];
	bool active;
	uint64_t begin_ns;
	uint64_t drawn_ns;
	atomic_bool visible;
} progress;

void progress_begin(const char *what)
{
	snprintf(progress.what, sizeof(progress.what), "%s", what);
	progress.active = isatty(STDERR_FILENO) == 1;
	progress.begin_ns = clock_ns();
	progress.drawn_ns = 0;
}

void progress_update(uint64_t done, uint64_t total)
{
	uint64_t now, elapsed;

	if (!progress.active)
		return;
	now = clock_ns();
	elapsed = now - progress.begin_ns;
	if (elapsed < SHOW_AFTER_NS || now - progress.drawn_ns < REDRAW_NS)
		return;
	progress.drawn_ns = now;
	atomic_store(&progress.visible, true);
	fprintf(stderr, "\r\033[K%s: ", progress.what);
	if (total)
		fprintf(stderr, "%.0f %%, ", 100.0 * (double)done / (double)total);
	fprintf(stderr, "%.0f s", (double)elapsed / 1e9);
	fflush(stderr);
}

void progress_clear(void)
{
	if (atomic_exchange(&progress.visible, false)) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}

void progress_end(void)
{
	progress_clear();
	progress.active = false;
}
