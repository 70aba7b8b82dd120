/* SPDX-License-Identifier: MIT */
/*
 * The contract between a format and the template. A format is a .c file that includes pgtable.h, defines what follows, and includes variants.h. docs/formats.md is the
 * recipe.
 *
 * Words. A leaf of the size that one entry of its level covers is plain. A group is a larger leaf made of 2^n neighbouring entries of one table, aligned to its size
 * (the contiguous bit of Armv8, Svnapot of RISC-V, the encoded page sizes of AMD).
 *
 * Constants:
 *
 *   PT_FORMAT           its name, as in iog_format_find()
 *   FMT_GRANULE_SHIFT   log2 of the bytes of a table, and of a level-0 leaf
 *   FMT_LEVEL_BITS      log2 of the entries of a table
 *   FMT_PAGE_SIZES      leaf sizes, groups included, a bit per size
 *   FMT_OAS_MAX         most output address bits
 *   FMT_IAS_ALLOWED     input address bits that may be asked for, IAS(n) each
 *   FMT_SIGN_EXTENDS    knows IOG_PGTABLE_SIGN_EXTENDED
 *   FMT_PROT            bits of enum iog_prot that it takes
 *
 * Functions, of an entry as it was read:
 *
 *   fmt_present(entry)               hardware would use it
 *   fmt_is_leaf(entry, level)        it is a leaf, plain or of a group
 *   fmt_is_table(entry)              it leads to a table; asked above level 0 only
 *   fmt_paddr(entry)                 its address; of a member of a group, correct down to the group's size
 *   fmt_prot(entry)                  what a leaf allows
 *
 * and to make one:
 *
 *   fmt_table(paddr, level)          at @level, leads to a table of the level below
 *   fmt_leaf_bits(prot, level)       everything of a plain leaf but its address
 *   fmt_leaf_below(entry, level)     a plain leaf of @level, as the first plain leaf of the level below with the same address
 *
 * Dirty bits, of leaves:
 *
 *   FMT_RWX             bits that READ, WRITE and EXEC decide
 *   FMT_DIRTY_PRESET    fmt_leaf_bits() makes leaves that are dirty, so that hardware has no reason to write to them
 *   fmt_is_dirty(entry), fmt_clean(entry), fmt_soil(entry)
 *
 * A leaf that was made clean still allows what it did (fmt_prot()). fmt_soil() makes it what fmt_leaf_bits() would have.
 *
 * EMPTY is 0 in every format. An entry whose low bits are 0x8 (a tombstone) or IOG_TABLE_POISON_LOW is not present in any.
 */
#ifndef IOG_PGTABLE_FORMAT_H
#define IOG_PGTABLE_FORMAT_H

#define IAS(bits) (UINT64_C(1) << ((bits) & 63)) /* 64 bits take the place of none */

/* Entries hold addresses where they are, or elsewhere: fmt_address(paddr) is an address in an entry's place, and the inverse of fmt_paddr(). */
#ifndef fmt_address
#define fmt_address(paddr) (paddr)
#endif

/* Bits of an entry below any address that fmt_address() makes of a table's. */
#ifndef FMT_LOW_BITS
#define FMT_LOW_BITS UINT64_C(0xfff)
#endif

/*
 * Physical addresses of neighbouring entries differ in the bits below this one only as a sum of entries says: an entry that holds upper address bits apart from the others
 * has this at the first of them.
 */
#ifndef FMT_CARRY_SHIFT
#define FMT_CARRY_SHIFT 64
#endif

/* Bits by which a root's index may be wider than that of other tables: roots of 2^n tables side by side. Used where it saves a level. */
#ifndef FMT_ROOT_BITS
#define FMT_ROOT_BITS 0
#endif

/* The least number of levels: 1 or 2. */
#ifndef FMT_LEVELS_MIN
#define FMT_LEVELS_MIN 2
#endif

/* Leaves in use may change their size only where the unit says so, IOG_PGTABLE_BBM2. */
#ifndef FMT_BREAKS
#define FMT_BREAKS false
#endif

/* IOG_PROT_COHERENT makes a bit that some units take for malformed: IOG_PGTABLE_NO_SNOOP_CONTROL. */
#ifndef FMT_SNOOP_CONTROL
#define FMT_SNOOP_CONTROL false
#endif

/* A root may become a table below a larger root while the page table is in use: iog_pgtable_grow(). */
#ifndef FMT_GROWS
#define FMT_GROWS false
#endif

/*
 * FMT_USERS_SHIFT, FMT_USERS_BITS: at least two bits of a present leaf that hardware ignores at every level, if there are: software's. Level 0 counts the users of a 1:1 page
 * there (template/identity.h); without them there are no 1:1 pages.
 */

/*
 * Groups. A format that has them defines
 *
 *   FMT_GROUP_MIN                    bytes of the smallest group
 *   FMT_GROUP_STEPS                  the members' addresses differ (Armv8), or all members are the same
 *   fmt_leaf_shift(entry, level)     log2 of the bytes of the leaf that this entry belongs to
 *   fmt_group(entry, level, shift)   the first member of a group of 2^shift bytes that begins where this plain leaf does
 *   fmt_ungroup(entry, level, index) the member at @index of a group as a plain leaf
 */
#ifdef fmt_group
#define FMT_GROUPS true
#else
#define FMT_GROUPS false
#define FMT_GROUP_MIN UINT64_MAX
#define FMT_GROUP_STEPS true
#define fmt_leaf_shift(entry, level) ((void)(entry), FMT_GRANULE_SHIFT + FMT_LEVEL_BITS * (level))
#define fmt_group(entry, level, shift) ((void)(level), (void)(shift), (entry))
#define fmt_ungroup(entry, level, index) ((void)(level), (void)(index), (entry))
#endif

#endif
