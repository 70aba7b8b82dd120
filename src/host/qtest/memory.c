/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory: a file without a name that QEMU maps, too. Pieces of it are handed out naturally aligned, by guest-physical address.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define PAGE UINT64_C(4096)
#define ALIGNMENT (UINT64_C(1) << 30)

/* Pieces are aligned to their size where the guest sees them and where we do, so the whole is aligned to more than there is of it. */
static int memory_map(struct qtest_memory *memory)
{
	uint8_t *aligned;

	memory->reserved_size = 2 * ALIGNMENT;
	memory->reserved = mmap(NULL, memory->reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->reserved == MAP_FAILED) {
		memory->reserved = NULL;
		return -IOG_ENOMEM;
	}
	aligned = (uint8_t *)(((uintptr_t)memory->reserved + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
	if (mmap(aligned, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory->file, 0) == MAP_FAILED)
		return -IOG_ENOMEM;
	memory->base = aligned;
	return 0;
}

int iog_qtest_memory_init(struct qtest_memory *memory, const struct qtest_machine *machine, uint64_t size)
{
	uint64_t pages = size / PAGE;

	memory->paddr = machine->memory_base;
	memory->size = size;
	memory->used = calloc(pages / 64, sizeof(*memory->used));
	memory->file = memfd_create("iogate-guest", MFD_CLOEXEC);
	if (!memory->used || memory->file < 0 || ftruncate(memory->file, (off_t)size))
		return -IOG_ENOMEM;
	if (memory_map(memory))
		return -IOG_ENOMEM;
	for (uint64_t page = 0; page < pages; page++)
		if (page < machine->memory_low / PAGE || page >= pages - machine->memory_high / PAGE)
			memory->used[page / 64] |= UINT64_C(1) << page % 64;
	return 0;
}

void iog_qtest_memory_fini(struct qtest_memory *memory)
{
	if (memory->reserved)
		munmap(memory->reserved, memory->reserved_size);
	if (memory->file >= 0)
		close(memory->file);
	free(memory->used);
}

static bool is_used(const struct qtest_memory *memory, uint64_t page)
{
	return memory->used[page / 64] >> page % 64 & 1;
}

static void mark(struct qtest_memory *memory, uint64_t page, uint64_t count, bool used)
{
	for (uint64_t n = page; n < page + count; n++) {
		uint64_t bit = UINT64_C(1) << n % 64;

		memory->used[n / 64] = used ? memory->used[n / 64] | bit : memory->used[n / 64] & ~bit;
	}
}

void *iog_qtest_pages_alloc(void *ctx, size_t size)
{
	struct iog_qtest *qtest = ctx;
	struct qtest_memory *memory = &qtest->memory;
	uint64_t pages = memory->size / PAGE, count = size / PAGE;
	void *result = NULL;

	if (!count || size & (size - 1))
		return NULL;
	pthread_mutex_lock(&qtest->lock);
	for (uint64_t page = 0; page + count <= pages && !result; page += count) {
		uint64_t n = 0;

		while (n < count && !is_used(memory, page + n))
			n++;
		if (n < count)
			continue;
		mark(memory, page, count, true);
		memory->used_bytes += size;
		result = memory->base + page * PAGE;
	}
	pthread_mutex_unlock(&qtest->lock);
	return result;
}

void iog_qtest_pages_free(void *ctx, void *pages, size_t size)
{
	struct iog_qtest *qtest = ctx;

	pthread_mutex_lock(&qtest->lock);
	mark(&qtest->memory, (uint64_t)((uint8_t *)pages - qtest->memory.base) / PAGE, size / PAGE, false);
	qtest->memory.used_bytes -= size;
	pthread_mutex_unlock(&qtest->lock);
}

void *iog_qtest_memory(const struct iog_qtest *qtest, iog_paddr_t paddr, uint64_t size)
{
	const struct qtest_memory *memory = &qtest->memory;

	if (paddr < memory->paddr || size > memory->size || paddr - memory->paddr > memory->size - size)
		return NULL;
	return memory->base + (paddr - memory->paddr);
}
