/* SPDX-License-Identifier: MIT */
/*
 * The stretch is reserved without access and made accessible chunk by chunk, in ascending order, so that the kernel sees one mapping that grows and
 * not thousands. A chunk serves one size at a time. Its free pieces are bits beside the arena, not links in the pages: a page that
 * was given back is not written to, and a stray write by its last owner cannot corrupt the allocator.
 *
 * A chunk all of whose pieces are free goes back to the kernel, except for one spare per size: without it an owner that
 * allocates and frees one page in turn would pay for a huge page each time.
 *
 * Locking: none here, see arena.h.
 */
#include "arena.h"

#include <string.h>
#include <sys/mman.h>

#include <iogate/error.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

#define PIECES_MAX (1u << (ARENA_CHUNK_SHIFT - ARENA_PIECE_SHIFT))

/* Address space reserved beyond the limit: sizes that do not share chunks, and room to align large runs. Untouched, so it costs nothing. */
#define SLACK (ARENA_SIZE_MAX + 64 * ARENA_CHUNK_SIZE)
/* More than this no user address space offers. */
#define RESERVE_MAX (UINT64_C(1) << 46)

enum chunk_state {
	CHUNK_IDLE = 0, /* no memory of the kernel's; on the idle list */
	CHUNK_CUT,      /* into pieces of one order */
	CHUNK_RUN,      /* first chunk of a run that was handed out whole */
	CHUNK_RUN_TAIL, /* the others */
};

/*
 * CHUNK_CUT: nr_free = bits set in free[] <= pieces; on partial[order] exactly while nr_free != 0.
 */
struct arena_chunk {
	uint8_t state;
	uint8_t order;
	uint16_t nr_free;
	uint32_t next, prev; /* index plus one */
	uint32_t run;        /* CHUNK_RUN: chunks in the run */
	uint64_t free[PIECES_MAX / 64];
};

static uint32_t pieces_of(uint32_t order)
{
	return PIECES_MAX >> order;
}

static void list_unlink(struct arena *arena, struct arena_list *list, uint32_t index)
{
	struct arena_chunk *chunk = &arena->chunks[index];

	if (chunk->prev)
		arena->chunks[chunk->prev - 1].next = chunk->next;
	else
		list->head = chunk->next;
	if (chunk->next)
		arena->chunks[chunk->next - 1].prev = chunk->prev;
	else
		list->tail = chunk->prev;
	chunk->next = 0;
	chunk->prev = 0;
}

static void list_push_head(struct arena *arena, struct arena_list *list, uint32_t index)
{
	struct arena_chunk *chunk = &arena->chunks[index];

	chunk->prev = 0;
	chunk->next = list->head;
	if (list->head)
		arena->chunks[list->head - 1].prev = index + 1;
	else
		list->tail = index + 1;
	list->head = index + 1;
}

static void list_push_tail(struct arena *arena, struct arena_list *list, uint32_t index)
{
	struct arena_chunk *chunk = &arena->chunks[index];

	chunk->next = 0;
	chunk->prev = list->tail;
	if (list->tail)
		arena->chunks[list->tail - 1].next = index + 1;
	else
		list->head = index + 1;
	list->tail = index + 1;
}

static uint8_t *chunk_address(const struct arena *arena, uint32_t index)
{
	return arena->base + ((uint64_t)index << ARENA_CHUNK_SHIFT);
}

/* Make chunks below @end accessible; those that were not yet join the idle list. */
static bool chunks_ready(struct arena *arena, uint32_t end)
{
	uint32_t index;

	if (end <= arena->nr_ready)
		return true;
	if (end > arena->nr_chunks)
		return false;
	if (mprotect(chunk_address(arena, arena->nr_ready), (size_t)(end - arena->nr_ready) << ARENA_CHUNK_SHIFT, PROT_READ | PROT_WRITE))
		return false;
	for (index = arena->nr_ready; index < end; index++)
		list_push_tail(arena, &arena->idle, index);
	arena->nr_ready = end;
	return true;
}

static void chunks_give_back(struct arena *arena, uint32_t index, uint32_t count)
{
	size_t size = (size_t)count << ARENA_CHUNK_SHIFT;

	/* What fails here only keeps memory that would be reused anyway. */
	(void)madvise(chunk_address(arena, index), size, MADV_DONTNEED);
	arena->taken_bytes -= size;
	for (; count; count--, index++) {
		arena->chunks[index].state = CHUNK_IDLE;
		list_push_head(arena, &arena->idle, index);
	}
}

/* An idle chunk cut into pieces, all free. */
static bool chunk_cut(struct arena *arena, uint32_t order)
{
	struct arena_chunk *chunk;
	uint32_t pieces = pieces_of(order);
	uint32_t index;

	if (!arena->idle.head && !chunks_ready(arena, arena->nr_ready + 1))
		return false;
	index = arena->idle.head - 1;
	list_unlink(arena, &arena->idle, index);

	chunk = &arena->chunks[index];
	chunk->state = CHUNK_CUT;
	chunk->order = (uint8_t)order;
	chunk->nr_free = (uint16_t)pieces;
	memset(chunk->free, 0, sizeof(chunk->free));
	if (pieces < 64)
		chunk->free[0] = (UINT64_C(1) << pieces) - 1;
	else
		memset(chunk->free, 0xff, pieces / 8);
	list_push_tail(arena, &arena->partial[order], index);
	arena->spare[order] = index + 1;
	arena->taken_bytes += ARENA_CHUNK_SIZE;
	return true;
}

static void *piece_alloc(struct arena *arena, uint32_t order)
{
	struct arena_list *partial = &arena->partial[order];
	struct arena_chunk *chunk;
	uint32_t index, word, bit;

	if (!partial->head && !chunk_cut(arena, order))
		return NULL;
	index = partial->head - 1;
	chunk = &arena->chunks[index];
	if (arena->spare[order] == index + 1)
		arena->spare[order] = 0;

	for (word = 0; !chunk->free[word]; word++)
		;
	bit = (uint32_t)__builtin_ctzll(chunk->free[word]);
	chunk->free[word] &= chunk->free[word] - 1;
	if (!--chunk->nr_free)
		list_unlink(arena, partial, index);
	return chunk_address(arena, index) + ((uint64_t)(word * 64 + bit) << (order + ARENA_PIECE_SHIFT));
}

static bool piece_free(struct arena *arena, uint32_t index, uint64_t offset, uint32_t order)
{
	struct arena_chunk *chunk = &arena->chunks[index];
	struct arena_list *partial = &arena->partial[order];
	uint32_t piece = (uint32_t)(offset >> (order + ARENA_PIECE_SHIFT));
	uint64_t mask = UINT64_C(1) << (piece % 64);

	if (chunk->state != CHUNK_CUT || chunk->order != order || (chunk->free[piece / 64] & mask))
		return false;
	chunk->free[piece / 64] |= mask;
	if (!chunk->nr_free++)
		list_push_head(arena, partial, index);
	if (chunk->nr_free < pieces_of(order))
		return true;

	list_unlink(arena, partial, index);
	if (arena->spare[order]) {
		chunks_give_back(arena, index, 1);
	} else {
		list_push_tail(arena, partial, index);
		arena->spare[order] = index + 1;
	}
	return true;
}

/* Rare and large: a linear search is good enough. */
static void *run_alloc(struct arena *arena, uint32_t count)
{
	uint32_t first, index;

	for (first = 0; first + count <= arena->nr_chunks; first += count) {
		for (index = first; index < first + count && index < arena->nr_ready; index++) {
			if (arena->chunks[index].state != CHUNK_IDLE)
				break;
		}
		if (index < first + count && index < arena->nr_ready)
			continue;
		if (!chunks_ready(arena, first + count))
			return NULL;
		for (index = first; index < first + count; index++) {
			list_unlink(arena, &arena->idle, index);
			arena->chunks[index].state = CHUNK_RUN_TAIL;
		}
		arena->chunks[first].state = CHUNK_RUN;
		arena->chunks[first].run = count;
		arena->taken_bytes += (uint64_t)count << ARENA_CHUNK_SHIFT;
		return chunk_address(arena, first);
	}
	return NULL;
}

static bool run_free(struct arena *arena, uint32_t index, uint64_t offset, uint32_t count)
{
	struct arena_chunk *chunk = &arena->chunks[index];

	if (chunk->state != CHUNK_RUN || chunk->run != count || offset)
		return false;
	chunks_give_back(arena, index, count);
	return true;
}

static bool size_is_valid(size_t size)
{
	return size >= (size_t)1 << ARENA_PIECE_SHIFT && size <= ARENA_SIZE_MAX && !(size & (size - 1));
}

static uint32_t size_order(size_t size)
{
	return (uint32_t)__builtin_ctzll(size) - ARENA_PIECE_SHIFT;
}

int iog_arena_init(struct arena *arena, uint64_t limit, bool huge_pages)
{
	uint64_t factor, reserved;
	void *mapping = MAP_FAILED;
	void *chunks;

	memset(arena, 0, sizeof(*arena));
	arena->limit = limit;
	if (limit > RESERVE_MAX)
		return -IOG_ENOMEM;

	/* Sizes do not share chunks, so the worst owner spreads its bytes over more address space than it may hold. Take less where that is scarce. */
	for (factor = 4; factor && mapping == MAP_FAILED; factor /= 2) {
		reserved = ((limit * factor + ARENA_CHUNK_SIZE - 1) & ~(ARENA_CHUNK_SIZE - 1)) + SLACK;
		arena->reserved = reserved;
		arena->mapping_size = reserved + ARENA_SIZE_MAX;
		mapping = mmap(NULL, arena->mapping_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	}
	if (mapping == MAP_FAILED)
		return -IOG_ENOMEM;
	arena->mapping = mapping;
	arena->base = (uint8_t *)(((uintptr_t)mapping + ARENA_SIZE_MAX - 1) & ~(uintptr_t)(ARENA_SIZE_MAX - 1));
	arena->nr_chunks = (uint32_t)(arena->reserved >> ARENA_CHUNK_SHIFT);

	arena->chunks_size = arena->nr_chunks * sizeof(*arena->chunks);
	chunks = mmap(NULL, arena->chunks_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chunks == MAP_FAILED) {
		munmap(arena->mapping, arena->mapping_size);
		return -IOG_ENOMEM;
	}
	arena->chunks = chunks;

	/* A wish: kernels without huge pages refuse, and small pages do as well. */
	(void)madvise(arena->base, arena->reserved, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return 0;
}

void iog_arena_fini(struct arena *arena)
{
	if (arena->nr_ready)
		ASAN_UNPOISON_MEMORY_REGION(arena->base, (size_t)arena->nr_ready << ARENA_CHUNK_SHIFT);
	munmap(arena->chunks, arena->chunks_size);
	munmap(arena->mapping, arena->mapping_size);
}

void *iog_arena_alloc(struct arena *arena, size_t size)
{
	void *pages;

	if (!size_is_valid(size) || size > arena->limit - arena->used_bytes)
		return NULL;
	if (size <= ARENA_CHUNK_SIZE)
		pages = piece_alloc(arena, size_order(size));
	else
		pages = run_alloc(arena, (uint32_t)(size >> ARENA_CHUNK_SHIFT));
	if (!pages)
		return NULL;
	arena->used_bytes += size;
	if (arena->used_bytes > arena->used_bytes_peak)
		arena->used_bytes_peak = arena->used_bytes;
	ASAN_UNPOISON_MEMORY_REGION(pages, size);
	return pages;
}

bool iog_arena_free(struct arena *arena, void *pages, size_t size)
{
	uint64_t offset = (uint64_t)((uintptr_t)pages - (uintptr_t)arena->base);
	uint64_t in_chunk = offset & (ARENA_CHUNK_SIZE - 1);
	uint32_t index = (uint32_t)(offset >> ARENA_CHUNK_SHIFT);
	bool freed;

	if (!size_is_valid(size) || offset >= (uint64_t)arena->nr_ready << ARENA_CHUNK_SHIFT || (offset & (size - 1)))
		return false;
	if (size <= ARENA_CHUNK_SIZE)
		freed = piece_free(arena, index, in_chunk, size_order(size));
	else
		freed = run_free(arena, index, in_chunk, (uint32_t)(size >> ARENA_CHUNK_SHIFT));
	if (!freed)
		return false;
	arena->used_bytes -= size;
	ASAN_POISON_MEMORY_REGION(pages, size);
	return true;
}
