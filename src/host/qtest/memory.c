/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory: a file without a name that QEMU maps, too. Pieces of it are handed out naturally aligned, by guest-physical address.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define PAGE UINT64_C(4096)

int iog_qtest_memory_init(struct qtest_memory *memory, const struct qtest_machine *machine, uint64_t size)
{
	uint64_t pages = size / PAGE;

	memory->paddr = machine->memory_base;
	memory->size = size;
	memory->used = calloc(pages / 64, sizeof(*memory->used));
	memory->file = memfd_create("iogate-guest", MFD_CLOEXEC);
	if (!memory->used || memory->file < 0 || ftruncate(memory->file, (off_t)size))
		return -IOG_ENOMEM;
	memory->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->file, 0);
	if (memory->base == MAP_FAILED) {
		memory->base = NULL;
		return -IOG_ENOMEM;
	}
	for (uint64_t page = 0; page < pages; page++)
		if (page < machine->memory_low / PAGE || page >= pages - machine->memory_high / PAGE)
			memory->used[page / 64] |= UINT64_C(1) << page % 64;
	return 0;
}

void iog_qtest_memory_fini(struct qtest_memory *memory)
{
	if (memory->base)
		munmap(memory->base, memory->size);
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

	/* The base is aligned to more than there is memory. */
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
