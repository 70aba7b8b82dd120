/* SPDX-License-Identifier: MIT */
/*
 * Counters as they are shown: what is counted where it happens, and what follows from it.
 *
 * Locking: the unit's lock.
 */
#include <string.h>

#include "internal.h"

#define STATS_WORDS (sizeof(struct iog_sim_stats) / sizeof(uint64_t))

_Static_assert(sizeof(struct iog_sim_stats) % sizeof(uint64_t) == 0, "counters and nothing else");

/* A walk looks into the caches of all levels below the one where it starts. */
static void level_misses(const struct iog_sim *sim, struct iog_sim_stats *stats)
{
	stats->walk_misses = 0;
	for (uint32_t levels = 0; levels <= IOG_LEVELS_MAX; levels++) {
		stats->walk_misses += sim->root_walks[levels];
		for (uint32_t n = 0; n + 1 < levels; n++)
			stats->walk_level_misses[n] += sim->root_walks[levels];
	}
	for (uint32_t hit = 1; hit < WALK_CACHE_LEVELS; hit++) {
		for (uint32_t n = 0; n < hit; n++)
			stats->walk_level_misses[n] += stats->walk_hits[hit];
	}
}

static void stats_now(const struct iog_sim *sim, struct iog_sim_stats *stats)
{
	*stats = sim->stats;
	level_misses(sim, stats);
	stats->walk_ns = stats->walk_reads * sim->as_unit.walk_read_ns;
	stats->prewalk_ns = stats->prewalk_reads * sim->as_unit.walk_read_ns;
}

void iog_sim_stats(struct iog_sim *sim, struct iog_sim_stats *stats)
{
	sim_lock(sim);
	stats_now(sim, stats);
	sim_unlock(sim);
}

void iog_sim_stats_take(struct iog_sim *sim, struct iog_sim_stats *stats)
{
	uint64_t now[STATS_WORDS], before[STATS_WORDS];
	struct iog_sim_stats total;

	sim_lock(sim);
	stats_now(sim, &total);
	memcpy(now, &total, sizeof(now));
	memcpy(before, &sim->taken, sizeof(before));
	for (size_t n = 0; n < STATS_WORDS; n++)
		now[n] -= before[n];
	memcpy(stats, now, sizeof(now));
	stats->exposure.max_ns = sim->exposure.period_max;
	stats->exposure.incomplete = total.exposure.incomplete;
	sim->exposure.period_max = 0;
	sim->taken = total;
	sim_unlock(sim);
}
