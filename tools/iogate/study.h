/* SPDX-License-Identifier: MIT */
/*
 * "iogate study": what leaf sizes, ATS, invalidation modes and ways to find addresses cost, each combination under the same device in a simulated IOMMU of fixed geometry; and
 * what each of three ideas (Rubin et al., "Fast & Safe", SOSP 2024) does for it.
 *
 * The hardware's figures are counted in a run that goes by a clock of its own (pace.h), in which the device moves 4 KiB in STUDY_PAGE_NS: they are the same in every run of a seed. Only the time
 * that calls take is the machine's; it is measured in a second run, without the judge, on a unit that takes no time.
 */
#ifndef IOGATE_TOOL_STUDY_H
#define IOGATE_TOOL_STUDY_H

#include <stdbool.h>
#include <stdint.h>

#include <iogate/domain.h>
#include <iogate/host/sim.h>

#include "message.h"
#include "plot.h"
#include "random.h"

/* 4 KiB at 100 Gb/s. */
#define STUDY_PAGE_NS 328
/* What the simulated unit takes, ns: a range or a domain command, one for a device's TLB; a wait is an option. */
#define STUDY_COMMAND_NS 100
#define STUDY_DEVICE_NS 500
/* Of a look at the clock, by which waiting ends. */
#define STUDY_LOOK_NS 10
/* The device's own TLB, 4-way. */
#define STUDY_ATS_ENTRIES 256
/* Rings of a network device: RINGS of them, filled at random, each in order. */
#define STUDY_RINGS 8
/* What it sends: a page each so many that it receives, unmapped when so many have been mapped since. */
#define STUDY_SEND_EVERY 8
#define STUDY_SEND_LIVE 64
/* Pages of a descriptor, and descriptors of a ring. */
#define STUDY_DESCRIPTOR_PAGES 64

enum study_ats {
	STUDY_ATS_OFF,
	STUDY_ATS_ON,
	STUDY_ATS_AHEAD, /* on, and translations are asked for before the DMA begins */
};

enum study_addresses {
	STUDY_WINDOW,
	STUDY_TREE,
	STUDY_STATIC, /* 1:1, all memory mapped once */
	STUDY_BYPASS, /* untranslated */
	STUDY_ADDRESSES,
};

/* What the device does. */
struct study_workload {
	const char *name;
	const char *summary;
	uint32_t pages;    /* of 4 KiB that it uses of each buffer, in order */
	uint32_t slots[3]; /* buffers of each ring, by leaf size */
	bool sends;
};

extern const struct study_workload study_workloads[];
#define STUDY_WORKLOADS 2

struct study_config {
	const char *format;
	enum iog_reclaim reclaim;
	uint64_t memory_limit;
	uint64_t pages; /* that are counted */
	uint32_t wait_ns;
	uint64_t seed;
};

/* A combination. */
struct study_case {
	const struct study_workload *workload;
	uint32_t leaf; /* 0: 4 KiB, 1: 2 MiB, 2: 1 GiB */
	enum study_addresses addresses;
	enum study_ats ats;
	enum iog_inval_mode mode;
};

struct study_result {
	struct study_case what;
	uint64_t pages;            /* received and sent */
	struct iog_sim_stats stats;
	uint64_t held_bytes_most;
	uint64_t failures;
	uint64_t violations;
	double ns_per_page; /* in map and unmap calls: the median of batches, of which the machine may have disturbed some */
	bool done;
};

/* The three ideas, and a fourth without which the second would be nothing. */
enum study_idea {
	STUDY_CONTIGUOUS = 1 << 0, /* a descriptor's pages have one run of addresses; else each its own, of an allocator that has been in use for long */
	STUDY_BATCHED = 1 << 1,    /* they are invalidated together; else each when it was received */
	STUDY_RANGED = 1 << 2,     /* by the addresses; else the whole domain */
	STUDY_KEPT = 1 << 3,       /* walk caches stay, unless a table was unlinked */
	STUDY_ALL_IDEAS = 15,
};

struct study_ideas_result {
	uint32_t ideas;
	uint64_t pages;
	struct iog_sim_stats stats;
	uint64_t failures;
	uint64_t violations;
	uint64_t unmap_ns; /* by the simulated clock: what the CPU waits for hardware */
	bool done;
};

extern const char *const study_idea_names[4];
extern const char *const study_leaf_names[3];
extern const char *const study_ats_names[3];
extern const char *const study_addresses_names[STUDY_ADDRESSES];

uint64_t study_leaf_size(uint32_t leaf);

/* Untranslated accesses have no leaves and no ATS, what is mapped for good no mode. */
bool study_is_translated(const struct study_case *what);
bool study_is_dynamic(const struct study_case *what);

/* The unit that all runs have. @flags: enum iog_sim_flags. */
struct iog_sim_config study_hardware(const struct study_config *config, uint32_t flags);

/* Returns 0; or a negative iogate error with @problem set; -IOG_EAGAIN after Ctrl-C. */
int study_run(const struct study_config *config, const struct study_case *what, struct study_result *result, struct problem *problem);
int study_ideas_run(const struct study_config *config, uint32_t ideas, struct study_ideas_result *result, struct problem *problem);

/* What was asked for, and what came of it. */
struct study {
	struct study_config config;
	struct study_result *results;
	uint32_t nr_results;
	struct study_ideas_result *ideas;
	uint32_t nr_ideas;
	bool partial;
};

static inline double study_per_page(uint64_t count, uint64_t pages)
{
	return pages ? (double)count / (double)pages : 0;
}

/* Last-level walk-cache misses per page. */
static inline double study_ideas_misses(const struct study_ideas_result *result)
{
	return study_per_page(result->stats.walk_level_misses[0], result->pages);
}

/* "without contiguous, batched"; valid until the next call. */
const char *study_ideas_name(uint32_t ideas);

void study_print(const struct study *study);
/* Returns 0, or -1 with a message. */
int study_print_json(const struct study *study, const char *error);
/* Charts: as plot_write(). */
int study_plot(const struct plot *plot, const struct study *study);

#endif
