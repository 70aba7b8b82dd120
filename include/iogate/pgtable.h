/* SPDX-License-Identifier: MIT */
/*
 * I/O page tables.
 *
 * Contract of every call: no two calls that run at the same time touch the same IOVA. Neighbours may share tables; that is the library's business.
 * iog_pgtable_lookup() and iog_pgtable_visit() count as touching what they look at. With IOG_PGTABLE_SINGLE_WRITER the caller also serialises all calls that change the
 * page table (map*, unmap*, trim, gather flush and complete).
 *
 * A table whose last entry is unmapped is given back (reclaim = counted, rwlock): it is unlinked by a later unmap of the same lane, in batches, and reused once the
 * gather that recorded it has been flushed.
 */
#ifndef IOGATE_PGTABLE_H
#define IOGATE_PGTABLE_H

#include <stdbool.h>

#include <iogate/types.h>
#include <iogate/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iog_gather;
struct iog_pgtable;
struct iog_tablemem;

/*
 * A format compiled with one reclaim scheme. Opaque; name the one you want, and a static link holds no other.
 *
 *   counted         tables are counted per entry and given back; no lock
 *   rwlock          the same behind one reader-writer lock per page table (Tatashin, "Free empty page tables on unmaps", 2023), as a baseline
 *   none            tables stay until the page table is destroyed; with several writers and with one
 *   counted_single  for callers that serialise their writers: no atomic read-modify-write
 */
struct iog_pgtable_ops;

#define IOG_PGTABLE_OPS(format) \
	IOG_API extern const struct iog_pgtable_ops iog_##format##_counted; \
	IOG_API extern const struct iog_pgtable_ops iog_##format##_counted_single; \
	IOG_API extern const struct iog_pgtable_ops iog_##format##_rwlock; \
	IOG_API extern const struct iog_pgtable_ops iog_##format##_none

/* VT-d second stage (VT-d 3.7, 9.8): 39, 48 or 57 address bits. */
IOG_PGTABLE_OPS(vtdss);

/* x86-64 long mode: VT-d first stage (VT-d 9.7) and AMD v2 (AMD IOMMU 2.2.6): 48 or 57 address bits, sign-extended on request. READ is implied. */
IOG_PGTABLE_OPS(x86_64);

/* AMD v1 (AMD IOMMU 2.2.3): 21 to 64 address bits, 1 to 6 levels; leaves of any power of two from 4 KiB. iog_pgtable_grow() adds levels. */
IOG_PGTABLE_OPS(amdv1);

/*
 * Armv8 long descriptors (Arm ARM D8.3), stages 1 and 2, by granule, which is the table size (iog_tablemem_config). 32 to 48 address bits in and out; to 52 with the granule
 * of 64 KiB, and with the descriptors of FEAT_LPA2. Stage 1: READ is implied. Stage 2: roots are concatenated where that saves a level. The memory types that the
 * unit's registers must hold stand in src/pgtable/fmt_arm.h.
 */
IOG_PGTABLE_OPS(arm_s1_4k);
IOG_PGTABLE_OPS(arm_s1_16k);
IOG_PGTABLE_OPS(arm_s1_64k);
IOG_PGTABLE_OPS(arm_s1_4k_lpa2);
IOG_PGTABLE_OPS(arm_s1_16k_lpa2);
IOG_PGTABLE_OPS(arm_s2_4k);
IOG_PGTABLE_OPS(arm_s2_16k);
IOG_PGTABLE_OPS(arm_s2_64k);
IOG_PGTABLE_OPS(arm_s2_4k_lpa2);
IOG_PGTABLE_OPS(arm_s2_16k_lpa2);

/* RISC-V Sv39, Sv48, Sv57 (first stage): 39, 48 or 57 address bits, sign-extended on request. READ is implied. */
IOG_PGTABLE_OPS(riscv);

/* RISC-V Sv39x4, Sv48x4, Sv57x4 (second stage): 41, 50 or 59 address bits. READ is implied. */
IOG_PGTABLE_OPS(riscv_x4);

enum iog_reclaim {
	IOG_RECLAIM_COUNTED = 0,
	IOG_RECLAIM_RWLOCK,
	IOG_RECLAIM_NONE,
};

enum iog_pgtable_flags {
	/* All calls that change the page table are serialised by the caller. */
	IOG_PGTABLE_SINGLE_WRITER = 1 << 0,
	/* Addresses are sign-extended from @ias bits: [0, 2^(ias-1)) and [2^64 - 2^(ias-1), 2^64). x86_64 and riscv only. */
	IOG_PGTABLE_SIGN_EXTENDED = 1 << 1,
	/* The unit's walker does not snoop: lines are cleaned (platform.h, cache_clean) before hardware may depend on them. */
	IOG_PGTABLE_NONCOHERENT = 1 << 2,
	/* The unit caches not-present entries (VT-d caching mode, AMD NpCache): a map flushes its gather before it returns. */
	IOG_PGTABLE_FLUSH_ON_MAP = 1 << 3,
	/* Unmapping a part of a large leaf replaces it by a table of the next smaller size, instead of -IOG_EINVAL. */
	IOG_PGTABLE_SPLIT = 1 << 4,
	/*
	 * The unit lets leaves change their size while it uses them (Armv8 FEAT_BBM level 2, SMMU_IDR3.BBML = 2). Without it, the Armv8 formats refuse to split a leaf
	 * (-IOG_EINVAL) that was not declared quiet. Other formats do not need it.
	 */
	IOG_PGTABLE_BBM2 = 1 << 5,
	/* The unit cannot be told to snoop whatever a request says (VT-d ECAP.SC = 0), and takes the bit for malformed: IOG_PROT_COHERENT is accepted and left out. Other formats ignore it. */
	IOG_PGTABLE_NO_SNOOP_CONTROL = 1 << 6,
};

enum iog_range_flags {
	/* No device uses the range until the gather has been flushed. */
	IOG_RANGE_QUIET = 1 << 0,
};

enum iog_dirty_flags {
	/* Only look. */
	IOG_DIRTY_NO_CLEAR = 1 << 0,
};

/**
 * struct iog_pgtable_config - zero means default.
 */
struct iog_pgtable_config {
	/* Mandatory: format and scheme, see above. */
	const struct iog_pgtable_ops *ops;
	/* Mandatory: where tables come from. Its lanes are this page table's lanes. */
	struct iog_tablemem *tablemem;
	/* Input address bits. One of the format's; default 48, or the next it has. */
	uint32_t ias;
	/* Output address bits, from 32. Default: the format's most. */
	uint32_t oas;
	/* Leaf sizes that may be used, a bit per size (0x1000 | 0x200000 | ...). Default: all of the format's. The granule must be in it. */
	uint64_t page_sizes;
	/* enum iog_pgtable_flags. IOG_PGTABLE_SINGLE_WRITER wants the ops counted_single or none, and counted_single wants it. */
	uint32_t flags;
	/* Empty tables that a lane keeps linked before it unlinks them all: 1 (at once) to IOG_GATHER_TABLES. Default 80; for rwlock 1, as it was posted. */
	uint32_t trim_batch;
};

/**
 * struct iog_leaf - a translation.
 */
struct iog_leaf {
	iog_paddr_t paddr;  /* what the IOVA that was asked for translates to, offset within the page included */
	uint64_t page_size; /* bytes the leaf entry covers */
	uint32_t prot;      /* enum iog_prot */
};

/**
 * struct iog_pgtable_stats - exact when no call is running.
 */
struct iog_pgtable_stats {
	uint64_t tables[IOG_LEVELS_MAX]; /* tables of each level, the root included, unlinked but unflushed ones included */
	uint64_t table_bytes;            /* the same in bytes */
	uint64_t unlinked;               /* tables unlinked, ever */
	uint64_t revived;                /* unlinked tables that a map took back before their flush, ever */
	uint64_t released;               /* tables given back to the stock, ever */
};

/**
 * struct iog_pgtable_root - what hardware has to be told.
 */
struct iog_pgtable_root {
	iog_paddr_t paddr;  /* the root table */
	const char *format; /* "vtdss", ...: see iog_format_name() */
	uint32_t levels;    /* levels, 1 to IOG_LEVELS_MAX */
	uint32_t ias;       /* input address bits */
	uint32_t oas;       /* output address bits */
	uint32_t flags;     /* as created */
	struct iog_pgtable *pgtable; /* all of it, for units that walk no tables and have to be told what stands in them; NULL: not known */
};

/**
 * iog_format_find() - operations by name, for programs that choose at run time.
 * @name: one of iog_format_name().
 * @reclaim: the scheme.
 * @flags: IOG_PGTABLE_SINGLE_WRITER or 0; other flags are ignored.
 *
 * Links every format and variant in.
 *
 * Context: any.
 * Return: the operations, or NULL if there is no such format or variant (rwlock with a single writer).
 */
IOG_API const struct iog_pgtable_ops *iog_format_find(const char *name, enum iog_reclaim reclaim, uint32_t flags);

/**
 * iog_format_name() - the names that iog_format_find() knows.
 * @index: from 0.
 *
 * Context: any.
 * Return: a name, or NULL past the last.
 */
IOG_API const char *iog_format_name(uint32_t index);

/**
 * struct iog_format - what a format can do.
 */
struct iog_format {
	const char *name;
	uint64_t page_sizes;  /* leaf sizes, a bit per size; the smallest is the granule */
	uint64_t ias_allowed; /* input address bits, bit n for n; 64 is bit 0 */
	uint32_t oas_max;     /* output address bits, at most */
	uint32_t table_size;  /* bytes of a table: struct iog_tablemem_config */
};

/**
 * iog_format_describe() - what the page tables of some operations can do.
 * @ops: the operations.
 * @format: result.
 *
 * Context: any.
 */
IOG_API void iog_format_describe(const struct iog_pgtable_ops *ops, struct iog_format *format);

/**
 * iog_pgtable_create() - an empty page table.
 * @config: kept by value.
 * @pgtable: result.
 *
 * Context: any; allocates.
 * Return: 0; -IOG_EINVAL for a malformed @config; -IOG_ERANGE for address bits or page sizes that the format has not; -IOG_ENOMEM.
 */
IOG_API int iog_pgtable_create(const struct iog_pgtable_config *config, struct iog_pgtable **pgtable);

/**
 * iog_pgtable_destroy() - give back all tables, whatever is mapped.
 * @pgtable: no hardware may use it or remember anything of it any more; NULL is allowed. Its gathers are void afterwards, whatever they hold;
 *           a table that only such a gather still knows is not used again before iog_tablemem_destroy(), so flush them first where that is possible.
 * @lane: the caller's lane, one of those that the page table was made for.
 *
 * Context: @lane; no other call on @pgtable running.
 */
IOG_API void iog_pgtable_destroy(struct iog_pgtable *pgtable, iog_lane_t lane);

/**
 * iog_pgtable_root() - where hardware starts to walk.
 * @pgtable: the page table.
 * @root: result.
 *
 * Context: any.
 */
IOG_API void iog_pgtable_root(const struct iog_pgtable *pgtable, struct iog_pgtable_root *root);

/**
 * iog_pgtable_grow() - more input address bits, while the page table is in use.
 * @pgtable: the page table.
 * @ias: the new number, one of the format's, not below the present one.
 *
 * The root becomes a table below a larger one; what is mapped stays as it is, and calls that run meanwhile are undisturbed. Hardware that walks from the old root goes on to
 * do so, for the old addresses, until it is told of the new one: iog_pgtable_root(), then the unit's own procedure.
 *
 * Context: any lane, one call at a time; may take tables from the platform.
 * Return: 0; -IOG_EOPNOTSUPP if the format cannot (all but AMD v1); -IOG_ERANGE for a number of bits that the format has not, or fewer than there are; -IOG_ENOMEM.
 */
IOG_API int iog_pgtable_grow(struct iog_pgtable *pgtable, uint32_t ias);

/**
 * iog_pgtable_map_pages() - map pages of one size.
 * @pgtable: the page table.
 * @iova: first address, a multiple of @pgsize.
 * @paddr: what it shall translate to, a multiple of @pgsize.
 * @pgsize: bytes per page, one of the page table's sizes.
 * @pgcount: pages, at least 1.
 * @prot: enum iog_prot; at least READ or WRITE.
 * @gather: of this page table; its lane is the caller's. Used where a table makes way for a leaf, and flushed then.
 * @mapped: bytes mapped, from @iova on, whatever is returned. May be NULL.
 *
 * Stops at the first page that cannot be mapped; those before it stay mapped, and the caller decides.
 *
 * Context: the gather's lane; may take tables from the platform; waits for hardware only where a table makes way for a leaf or with IOG_PGTABLE_FLUSH_ON_MAP.
 * Return: 0 if all was mapped; -IOG_EINVAL (misaligned, zero, unknown @prot) or -IOG_ERANGE (addresses beyond ias, oas, or 2^64) with nothing touched;
 *         -IOG_EEXIST if something is mapped where the first unmapped page should go; -IOG_ENOMEM; what the flush returned.
 */
IOG_API int iog_pgtable_map_pages(struct iog_pgtable *pgtable, iog_iova_t iova, iog_paddr_t paddr, uint64_t pgsize, uint64_t pgcount, uint32_t prot,
				  struct iog_gather *gather, uint64_t *mapped);

/**
 * iog_pgtable_unmap_pages() - the counterpart of iog_pgtable_map_pages().
 * @pgtable: the page table.
 * @iova: first address, a multiple of @pgsize.
 * @pgsize: bytes per page, one of the page table's sizes.
 * @pgcount: pages, at least 1.
 * @gather: of this page table; receives what has to be invalidated.
 * @unmapped: bytes that were mapped and no longer are, whatever is returned. May be NULL.
 *
 * Leaves of any size that lie in the range go, and holes are passed over.
 *
 * Context: as iog_pgtable_unmap().
 * Return: as iog_pgtable_unmap().
 */
IOG_API int iog_pgtable_unmap_pages(struct iog_pgtable *pgtable, iog_iova_t iova, uint64_t pgsize, uint64_t pgcount, struct iog_gather *gather,
				    uint64_t *unmapped);

/**
 * iog_pgtable_map() - map a range with the best page sizes, all or nothing.
 * @pgtable: the page table.
 * @iova: first address, a multiple of the granule.
 * @paddr: what it shall translate to, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 * @prot: enum iog_prot; at least READ or WRITE.
 * @gather: of this page table. After an error it may hold the ranges and tables of what was mapped and undone: flush it as after an unmap.
 *
 * Context: as iog_pgtable_map_pages().
 * Return: 0; or an error of iog_pgtable_map_pages(), and then nothing of the range is mapped that was not before.
 */
IOG_API int iog_pgtable_map(struct iog_pgtable *pgtable, iog_iova_t iova, iog_paddr_t paddr, uint64_t size, uint32_t prot, struct iog_gather *gather);

/**
 * iog_pgtable_unmap() - unmap whatever is mapped in a range.
 * @pgtable: the page table.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0. iova + size may be 2^64.
 * @gather: of this page table; receives the ranges, and the tables that this call unlinked. Pages, addresses and tables may be reused after its flush.
 * @unmapped: bytes that were mapped and no longer are, whatever is returned. May be NULL.
 *
 * Holes are passed over; empty tables under them go too.
 *
 * Context: the gather's lane; allocates only to split; flushes the gather when it has no room for another table.
 * Return: 0; -IOG_EINVAL (misaligned, zero, or the range cuts a large leaf and the page table was not created with IOG_PGTABLE_SPLIT) with nothing touched; -IOG_ERANGE with nothing
 *         touched; -IOG_ENOMEM when a leaf could not be split, with nothing unmapped; what the flush returned, with @unmapped telling how far it came.
 */
IOG_API int iog_pgtable_unmap(struct iog_pgtable *pgtable, iog_iova_t iova, uint64_t size, struct iog_gather *gather, uint64_t *unmapped);

/**
 * iog_pgtable_protect() - other permissions for whatever is mapped in a range.
 * @pgtable: the page table.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 * @prot: READ, WRITE, EXEC; at least one of the first two. What else a leaf says (COHERENT, memory type) stays.
 * @flags: enum iog_range_flags.
 * @gather: of this page table; receives the ranges. Devices may have the old permissions until it is flushed.
 * @changed: bytes that now have @prot, whatever is returned. May be NULL.
 *
 * Holes are passed over. Leaves that reach across an edge are split as by an unmap.
 *
 * Context: as iog_pgtable_unmap().
 * Return: 0; -IOG_EINVAL (malformed; an edge cuts a leaf that may not be split; a group of an Armv8 format without BBM2 that is not quiet); -IOG_ERANGE; -IOG_ENOMEM. Permissions are
 *         as they were then.
 */
IOG_API int iog_pgtable_protect(struct iog_pgtable *pgtable, iog_iova_t iova, uint64_t size, uint32_t prot, uint32_t flags, struct iog_gather *gather,
				uint64_t *changed);

/**
 * iog_pgtable_split() - no leaf that touches a range is larger than a page size.
 * @pgtable: the page table.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 * @page_size: one of the page table's sizes.
 * @flags: enum iog_range_flags.
 * @gather: of this page table; receives the ranges.
 *
 * Translations stay what they are at every moment. Does not ask for IOG_PGTABLE_SPLIT, which is about the other calls.
 *
 * Context: as iog_pgtable_unmap().
 * Return: 0; -IOG_EINVAL (malformed; a leaf has no smaller size to be split into; an Armv8 format without BBM2, and the range is not quiet); -IOG_ERANGE; -IOG_ENOMEM. What was split
 *         before stays so.
 */
IOG_API int iog_pgtable_split(struct iog_pgtable *pgtable, iog_iova_t iova, uint64_t size, uint64_t page_size, uint32_t flags, struct iog_gather *gather);

/**
 * iog_pgtable_merge() - tables that say no more than one leaf would become that leaf.
 * @pgtable: the page table.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0. Tables that lie in the range whole are looked at.
 * @flags: enum iog_range_flags.
 * @gather: of this page table; flushed once for each table that goes.
 * @tables: tables that went. May be NULL.
 *
 * Context: the gather's lane; waits for hardware.
 * Return: 0; -IOG_EINVAL (malformed; an Armv8 format without BBM2, and the range is not quiet); -IOG_ERANGE; -IOG_EBUSY while dirty bits are tracked; what the flush
 *         returned. What was merged before stays so.
 */
IOG_API int iog_pgtable_merge(struct iog_pgtable *pgtable, iog_iova_t iova, uint64_t size, uint32_t flags, struct iog_gather *gather, uint64_t *tables);

/**
 * iog_pgtable_track_dirty() - have devices' writes show in the entries, or no longer.
 * @pgtable: the page table, which may be in use by devices.
 * @on: whether.
 * @gather: of this page table; receives everything that is mapped. Writes are seen, and reported, from its flush on.
 *
 * The unit must be told to update dirty bits (VT-d: SLADE of the PASID entry; AMD: HAD of the device table entry; Armv8: HD of the context descriptor or S2HD;
 * RISC-V: GADE, SADE) before it is turned on, and may be told not to after it was turned off and the gather flushed. While it is on, unmapping and taking WRITE
 * away set @gather->dirty where that forgets that a page was dirty, and tables are not merged.
 *
 * Context: the gather's lane; no other call that changes the page table running.
 * Return: 0; -IOG_EINVAL for another page table's gather; -IOG_EBUSY when turned on while windows of the DMA API hold tables of it, which fill entries
 *         without telling (domain.h: the policies tree, magazine and pooled hold none).
 */
IOG_API int iog_pgtable_track_dirty(struct iog_pgtable *pgtable, bool on, struct iog_gather *gather);

/**
 * iog_pgtable_read_dirty() - which pages devices have written to.
 * @pgtable: the page table, which tracks.
 * @iova: first address, a multiple of the granule.
 * @size: bytes, a multiple of the granule, not 0.
 * @page_size: bytes per bit of @bitmap, a power of two.
 * @bitmap: bit n % 64 of word n / 64 is set if something in page n from @iova on is dirty; others stay as they are. A leaf is dirty as a whole.
 * @flags: enum iog_dirty_flags. Without NO_CLEAR, pages become clean as they are read, and a write is seen again from the flush of @gather on.
 * @gather: of this page table; receives the ranges that became clean: flush it before what was read is relied upon.
 *
 * Context: the gather's lane; does not allocate or wait for hardware.
 * Return: 0; -IOG_EINVAL (malformed; not tracking; the range cuts a leaf, which could not be cleared in part) or -IOG_ERANGE, with nothing read.
 */
IOG_API int iog_pgtable_read_dirty(struct iog_pgtable *pgtable, iog_iova_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap, uint32_t flags,
				   struct iog_gather *gather);

/**
 * iog_pgtable_lookup() - what an address translates to.
 * @pgtable: the page table.
 * @lane: the caller's lane: a reader, too, must be seen outside calls before memory goes back to the host.
 * @iova: any address.
 * @leaf: result; unchanged on error.
 *
 * Context: @lane; does not allocate or wait for hardware.
 * Return: 0; -IOG_ENOENT if nothing is mapped there; -IOG_ERANGE if nothing could be.
 */
IOG_API int iog_pgtable_lookup(struct iog_pgtable *pgtable, iog_lane_t lane, iog_iova_t iova, struct iog_leaf *leaf);

/**
 * typedef iog_visit_fn - called for each leaf entry.
 * @iova: first address of the leaf.
 * @leaf: its translation.
 * @ctx: from iog_pgtable_visit().
 *
 * Return: 0 to go on; anything else ends the visit.
 */
typedef int iog_visit_fn(iog_iova_t iova, const struct iog_leaf *leaf, void *ctx);

/**
 * iog_pgtable_visit() - every leaf entry that touches a range, in ascending order.
 * @pgtable: the page table.
 * @lane: the caller's lane.
 * @first: first address.
 * @last: last address, inclusive. Parts of the range that the page table cannot express are passed over.
 * @visit: called for each leaf, inside the lane: it may not call into iogate with the same lane.
 * @ctx: handed to @visit.
 *
 * Context: @lane; does not allocate or wait for hardware.
 * Return: 0, what @visit returned if that was not 0, or -IOG_EINVAL if @last is below @first.
 */
IOG_API int iog_pgtable_visit(struct iog_pgtable *pgtable, iog_lane_t lane, iog_iova_t first, iog_iova_t last, iog_visit_fn *visit, void *ctx);

/**
 * iog_pgtable_trim() - give back every empty table now, whichever lane emptied it.
 * @pgtable: the page table.
 * @gather: of this page table; flushed as often as needed, at least once per level that has empty tables.
 * @tables: tables given back by this call. May be NULL.
 *
 * Does nothing with reclaim = none.
 *
 * Context: the gather's lane; waits for hardware.
 * Return: 0, or what the flush returned; what was unlinked then stays in the gather.
 */
IOG_API int iog_pgtable_trim(struct iog_pgtable *pgtable, struct iog_gather *gather, uint64_t *tables);

/**
 * iog_pgtable_stats() - counts.
 * @pgtable: the page table.
 * @stats: result.
 *
 * Context: any; does not wait.
 */
IOG_API void iog_pgtable_stats(const struct iog_pgtable *pgtable, struct iog_pgtable_stats *stats);

/**
 * iog_pgtable_is_valid() - execute the invariants: every table is where its descriptor says, and counts what is in it.
 * @pgtable: the page table.
 *
 * For tests and debugging; reads every entry.
 *
 * Context: any; no other call on @pgtable running.
 * Return: true unless the library is wrong, or somebody wrote into its memory.
 */
IOG_API bool iog_pgtable_is_valid(struct iog_pgtable *pgtable);

#ifdef __cplusplus
}
#endif

#endif
