/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the DMA API share: a platform whose allocations fail on request, a simulated unit that can be made to time out and judges, a domain of any policy on it, devices, and buffers.
 *
 * Every device access is made through the simulated unit by device id, so that what is seen is what the page tables' bytes say.
 */
#ifndef IOG_TESTS_DMA_KIT_H
#define IOG_TESTS_DMA_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <iogate/dma.h>
#include <iogate/domain.h>
#include <iogate/error.h>
#include <iogate/host/posix.h>
#include <iogate/host/sim.h>
#include <iogate/tablemem.h>

#include "../seed.h"

#define KIT_PAGE UINT64_C(4096)
#define KIT_MIB (UINT64_C(1) << 20)
/* Buffers come from this much memory, all of which is a device's business only where a test says so. */
#define KIT_BUFFER_BYTES (8 * KIT_MIB)
#define KIT_DEVICES 4
#define KIT_CLEANS 64

#define KIT_R IOG_PROT_READ
#define KIT_W IOG_PROT_WRITE

/* One of the ways that a domain can be made; every test that depends on none runs over all. */
struct kit_way {
	const char *name;
	const struct iog_policy *policy;
	enum iog_inval_mode mode;
	bool identity; /* addresses are physical ones where that is possible */
};

extern const struct kit_way kit_ways[];
extern const uint32_t nr_kit_ways;
/* The first of them, which need no more address space than they are given: the others map 1:1 below the middle, and elsewhere above it. */
extern const uint32_t nr_low_kit_ways;

/* Zero means default. */
struct kit_config {
	const struct kit_way *way;
	const struct iog_pgtable_ops *format; /* default VT-d second stage */
	enum iog_domain_type type;
	bool memory_mapped;                   /* static 1:1 of the buffers */
	uint32_t lanes;                       /* default 1 */
	iog_iova_t first, last;
	uint32_t deferred_entries;
	uint32_t pgtable_flags;
	/* Of device 0. */
	uint32_t flags;
	uint32_t dma_bits;
	uint64_t segment_max;
	uint64_t segment_boundary;
};

/* A call of cache_clean or cache_flush. */
struct kit_clean {
	uint64_t paddr;
	uint64_t size;
	bool flush;
};

struct kit {
	struct iog_unit unit; /* first: what the library sees, in front of the simulated one */
	struct iog_unit *behind;

	struct iog_posix *posix;
	struct iog_platform platform; /* fails on request */
	struct iog_platform observed; /* the same, seen by the judge */
	struct iog_sim *sim;
	struct iog_tablemem *tables;
	struct iog_domain *domain;
	struct iog_device *devices[KIT_DEVICES];
	struct iog_device *device; /* device 0 */
	struct kit_config config;
	uint64_t page;     /* the format's granule; KIT_PAGE unless a test chooses another format */
	bool read_implied; /* whatever may be written to may be read */

	unsigned char *buffer;
	uint64_t buffer_paddr;

	_Atomic uint64_t allocations;
	_Atomic uint64_t fail_in;   /* the nth allocation from now on finds no memory; 0: none */
	_Atomic uint64_t failed;
	_Atomic uint64_t invalidations; /* commands' calls of the unit */
	_Atomic uint64_t flushes;       /* of these, of a whole domain */
	_Atomic int inval_error;    /* what the unit answers */

	struct kit_clean cleans[KIT_CLEANS];
	uint32_t nr_cleans;

	_Atomic uint32_t violations;
	uint32_t judged; /* violations that were looked at */
	uint32_t checks; /* calls of kit_check() in deferred mode */
};

void kit_create(struct kit *kit, const struct kit_config *config);
/* Fails the test if the judge saw something, or if anything is left that was not given back. */
void kit_destroy(struct kit *kit);

/* Another device on the same unit and in the same domain. */
struct iog_device *kit_device(struct kit *kit, uint32_t id, uint32_t flags, uint32_t dma_bits);

/* Where a place of the buffer memory is, and back. */
uint64_t kit_paddr(const struct kit *kit, uint64_t offset);

/* An access of a device: 0 or -IOG_EFAULT. */
int kit_access(struct kit *kit, uint32_t device, uint64_t iova, void *bytes, uint64_t size, uint32_t prot);

/* The device can write [iova, iova + size), and what it writes is seen at @va; or read what is there. */
void kit_writes(struct kit *kit, uint64_t iova, const unsigned char *va, uint64_t size);
void kit_reads(struct kit *kit, uint64_t iova, const unsigned char *va, uint64_t size);
/* Not a byte of [iova, iova + size) can be accessed in that way; looked at at both ends. */
void kit_refused(struct kit *kit, uint64_t iova, uint64_t size, uint32_t prot);

/* A whole mapping, by its direction: accesses in it land, those that the direction forbids and those on the pages around it do not. */
void kit_check(struct kit *kit, uint64_t iova, const unsigned char *va, uint64_t size, enum iog_dma_dir dir);

/* iog_dma_map() and unmap() of device 0 that must work, and of which the judge is told. Buffers by offset. */
uint64_t kit_map(struct kit *kit, iog_lane_t lane, uint64_t offset, uint64_t size, enum iog_dma_dir dir, uint32_t attrs);
void kit_unmap(struct kit *kit, iog_lane_t lane, uint64_t iova, uint64_t size, enum iog_dma_dir dir, uint32_t attrs);

/* Tell the judge of all pages of a range that the page table maps now; that they are about to go. */
void kit_note_map(struct kit *kit, iog_lane_t lane, uint64_t iova, uint64_t size);
void kit_note_unmap(struct kit *kit, uint64_t iova, uint64_t size);

/* Nothing is mapped, no address handed out, nothing waits. */
void kit_empty(struct kit *kit);

struct iog_domain_stats kit_stats(struct kit *kit);

/* Whether cache lines of all of [paddr, paddr + size) were cleaned, or flushed, since the last kit_forget_cleans(). */
bool kit_cleaned(const struct kit *kit, uint64_t paddr, uint64_t size, bool flush);
void kit_forget_cleans(struct kit *kit);

#endif
