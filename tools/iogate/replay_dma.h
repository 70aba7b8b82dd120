/* SPDX-License-Identifier: MIT */
/*
 * A replay by the DMA API: what its threads share, and the steps of a plan (plan.h) that they take.
 *
 * The device reads through each mapping when it is made, and tries to when it is gone. With one lane and strict invalidation that must fault; otherwise the address may be in
 * use again or not yet flushed, and the judge alone knows. The judge hears of a mapping only after it was made; so that nobody reads through one which he has not heard of,
 * maps hold @told shared until he has, and reads of what is gone hold it alone.
 */
#ifndef IOGATE_TOOL_REPLAY_DMA_H
#define IOGATE_TOOL_REPLAY_DMA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <iogate/dma.h>

#include "attacker.h"
#include "dma_bed.h"
#include "frames.h"
#include "plan.h"
#include "random.h"
#include "replay.h"
#include "samples.h"
#include "shares.h"

struct replay;

/* What a mapping of the plan has become. */
struct mapped {
	_Atomic uint32_t state; /* enum state: stored with release by who maps, loaded with acquire by who unmaps */
	_Atomic uint32_t left;  /* runs: pieces to go */
	union {
		iog_iova_t iova;        /* single */
		struct iog_sg *sg;      /* list */
		struct iog_dma_run run; /* run */
	};
};

enum state {
	STATE_NONE,
	STATE_MAPPED,
	STATE_FAILED, /* to map: nothing to undo */
	STATE_UNDONE,
};

struct worker {
	_Alignas(64) struct replay *replay;
	iog_lane_t lane;
	struct samples map_ns;
	struct samples unmap_ns;
	struct random random;
	uint64_t maps;
	uint64_t unmaps;
	uint64_t bytes_mapped;
	uint64_t ticked_ms;
	struct tickets tickets;
	struct attacker attacker;
	uint64_t nearest;         /* event that the slowest worker was at when last looked at */
	_Alignas(64) _Atomic uint64_t at; /* event; UINT64_MAX when done. Written by the worker alone */
};

struct replay {
	const struct replay_config *config;
	const struct trace *trace;
	struct replay_result *result;
	struct plan plan;
	struct mapped *mapped;
	struct dma_bed bed;
	struct shares shares;
	struct frames frames;
	pthread_rwlock_t told;
	struct worker *workers;
	_Atomic uint64_t failures;
	_Atomic bool stop;
	_Atomic bool limit_reached;
};

/* A call or an access went wrong. Running out of memory ends the run, everything else is counted. @error: 0 for an access that landed elsewhere. */
void dma_failed(struct replay *replay, uint32_t event, const char *what, int error);

/* Whether the run is to end early. */
bool dma_stopped(const struct replay *replay);

/* The device tries addresses that it has seen. */
void dma_attack(struct worker *worker);

/* Make a mapping of the plan. */
void dma_map_planned(struct worker *worker, uint32_t mapping);

/* Do what an unmap event does, once that is mapped. */
void dma_unmap_planned(struct worker *worker, uint32_t event);

/* What the trace leaves mapped goes, too: everything has to come back. The other threads have ended. */
void dma_unmap_rest(struct replay *replay);

#endif
