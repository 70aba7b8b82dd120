/* SPDX-License-Identifier: MIT */
/*
 * The platform of a Linux process: alignment, addresses, limit, accounts, memory that goes back, threads, and what happens when the kernel refuses.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <iogate/error.h>
#include <iogate/host/posix.h>

#include "seed.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define CHUNK (2 * MIB)
/* 4 KiB to 2 MiB. */
#define SIZES 10

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static uint64_t seed;

static struct iog_posix *create(uint64_t limit, uint32_t flags)
{
	const struct iog_posix_config config = { .limit = limit, .flags = flags };
	struct iog_posix *posix;

	assert_int_equal(iog_posix_create(&config, &posix), 0);
	return posix;
}

static void *pages_alloc(struct iog_posix *posix, size_t size)
{
	const struct iog_platform *platform = iog_posix_platform(posix);

	return platform->pages_alloc(platform->ctx, size);
}

static void pages_free(struct iog_posix *posix, void *pages, size_t size)
{
	const struct iog_platform *platform = iog_posix_platform(posix);

	platform->pages_free(platform->ctx, pages, size);
}

static struct iog_posix_stats stats_of(struct iog_posix *posix)
{
	struct iog_posix_stats stats;

	memset(&stats, 0xff, sizeof(stats));
	iog_posix_stats(posix, &stats);
	return stats;
}

static void test_config(void **state)
{
	const struct iog_posix_config unknown_flags = { .flags = 1u << 31 };
	const struct iog_posix_config too_much = { .limit = UINT64_MAX };
	struct iog_posix *posix = NULL;
	const struct iog_platform *platform;

	(void)state;
	assert_int_equal(iog_posix_create(&unknown_flags, &posix), -IOG_EINVAL);
	assert_int_equal(iog_posix_create(&too_much, &posix), -IOG_ENOMEM);
	assert_null(posix);
	iog_posix_destroy(NULL);

	assert_int_equal(iog_posix_create(NULL, &posix), 0);
	assert_true(stats_of(posix).limit > 0);
	assert_int_equal(stats_of(posix).page_bytes, 0);
	assert_int_equal(stats_of(posix).arena_bytes, 0);
	platform = iog_posix_platform(posix);
	assert_non_null(platform->pages_alloc);
	assert_non_null(platform->pages_free);
	assert_non_null(platform->object_alloc);
	assert_non_null(platform->object_free);
	assert_null(platform->cache_clean);
	iog_posix_destroy(posix);
}

static void test_default_limit_is_half_of_what_is_available(void **state)
{
	struct iog_posix *posix;
	FILE *meminfo = fopen("/proc/meminfo", "r");
	char line[128];
	uint64_t kib = 0;

	(void)state;
	if (!meminfo)
		skip();
	while (!kib && fgets(line, sizeof(line), meminfo))
		(void)sscanf(line, "MemAvailable: %" SCNu64, &kib);
	fclose(meminfo);
	assert_int_equal(iog_posix_create(NULL, &posix), 0);
	/* Others allocate meanwhile, and a control group may lower it. */
	assert_true(stats_of(posix).limit <= kib * 1024 / 2 + 256 * MIB);
	iog_posix_destroy(posix);
}

static void test_alignment_and_addresses(void **state)
{
	struct iog_posix *posix = create(2 * GIB + 64 * MIB, 0);
	const struct iog_platform *platform = iog_posix_platform(posix);
	size_t size;

	(void)state;
	for (size = 4096; size <= GIB; size *= 2) {
		uint8_t *pages = pages_alloc(posix, size);
		uint64_t paddr;

		assert_non_null(pages);
		assert_int_equal((uintptr_t)pages % size, 0);
		paddr = (uint64_t)(uintptr_t)pages - platform->direct_map_offset;
		assert_true(paddr >= IOG_POSIX_PADDR_BASE);
		assert_int_equal(paddr % size, 0);
		pages[0] = 1;
		pages[size - 1] = 1;
	}
	iog_posix_destroy(posix);
}

static void test_sizes_that_do_not_exist(void **state)
{
	struct iog_posix *posix = create(8 * GIB, 0);
	const size_t sizes[] = { 0, 1, 2048, 4095, 4097, 3 * 4096, CHUNK + 4096, 3 * CHUNK, 2 * GIB, SIZE_MAX, SIZE_MAX - 4095 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_null(pages_alloc(posix, sizes[i]));
	assert_int_equal(stats_of(posix).page_bytes, 0);
	assert_int_equal(stats_of(posix).arena_bytes, 0);
	iog_posix_destroy(posix);
}

static void test_limit_is_exact(void **state)
{
	enum { COUNT = 1000 };
	struct iog_posix *posix = create(COUNT * 4096 + 100, 0);
	void *pages[COUNT];
	int i;

	(void)state;
	assert_int_equal(stats_of(posix).limit, COUNT * 4096 + 100);
	for (i = 0; i < COUNT; i++) {
		pages[i] = pages_alloc(posix, 4096);
		assert_non_null(pages[i]);
	}
	assert_null(pages_alloc(posix, 4096));
	assert_null(pages_alloc(posix, 8192));
	assert_int_equal(stats_of(posix).page_bytes, COUNT * 4096);
	pages_free(posix, pages[7], 4096);
	assert_null(pages_alloc(posix, 8192));
	pages[7] = pages_alloc(posix, 4096);
	assert_non_null(pages[7]);
	for (i = 0; i < COUNT; i++)
		pages_free(posix, pages[i], 4096);
	assert_int_equal(stats_of(posix).page_bytes, 0);
	assert_int_equal(stats_of(posix).page_bytes_peak, COUNT * 4096);
	iog_posix_destroy(posix);
}

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	uint64_t total, resident;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%" SCNu64 " %" SCNu64, &total, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void memory_goes_back(size_t size, uint32_t flags)
{
	enum { TOTAL = 64 << 20 };
	size_t count = TOTAL / size;
	struct iog_posix *posix = create(TOTAL, flags);
	void **pages = calloc(count, sizeof(*pages));
	uint64_t before, full, after;
	size_t i;

	before = resident_bytes();
	for (i = 0; i < count; i++) {
		pages[i] = pages_alloc(posix, size);
		assert_non_null(pages[i]);
		memset(pages[i], 0x5a, size);
	}
	full = resident_bytes();
	assert_int_equal(stats_of(posix).arena_bytes, TOTAL);
	for (i = 0; i < count; i++)
		pages_free(posix, pages[i], size);
	after = resident_bytes();

	assert_int_equal(stats_of(posix).page_bytes, 0);
	assert_int_equal(stats_of(posix).page_bytes_peak, TOTAL);
	/* One spare. */
	assert_int_equal(stats_of(posix).arena_bytes, size <= CHUNK ? CHUNK : 0);
	assert_true(full - before >= TOTAL - 4 * MIB);
	assert_true(full - after >= TOTAL - 8 * MIB);
	free(pages);
	iog_posix_destroy(posix);
}

static void test_memory_goes_back(void **state)
{
	(void)state;
	memory_goes_back(4096, 0);
	memory_goes_back(4096, IOG_POSIX_SMALL_PAGES);
	memory_goes_back(64 << 10, 0);
	memory_goes_back(CHUNK, 0);
	memory_goes_back(8 * CHUNK, IOG_POSIX_SMALL_PAGES);
}

/* One page up and down must not cost a huge page each time. */
static void test_spare_is_kept(void **state)
{
	struct iog_posix *posix = create(64 * MIB, 0);
	void *first = pages_alloc(posix, 4096);
	int i;

	(void)state;
	pages_free(posix, first, 4096);
	for (i = 0; i < 100; i++) {
		void *again = pages_alloc(posix, 4096);

		assert_ptr_equal(again, first);
		assert_int_equal(stats_of(posix).arena_bytes, CHUNK);
		pages_free(posix, again, 4096);
		assert_int_equal(stats_of(posix).arena_bytes, CHUNK);
	}
	iog_posix_destroy(posix);
}

/* The spare is drawn on last, so that what is in use gathers in few chunks and the rest can go back. */
static void test_spare_is_used_last(void **state)
{
	struct iog_posix *posix = create(64 * MIB, 0);
	void *first[512], *second[512];
	int i;

	(void)state;
	for (i = 0; i < 512; i++)
		first[i] = pages_alloc(posix, 4096);
	for (i = 0; i < 512; i++)
		second[i] = pages_alloc(posix, 4096);
	pages_free(posix, first[0], 4096);
	for (i = 0; i < 512; i++)
		pages_free(posix, second[i], 4096);
	assert_ptr_equal(pages_alloc(posix, 4096), first[0]);
	iog_posix_destroy(posix);
}

/* Chunks that served one size serve another, and runs of chunks fit between them. */
static void test_chunks_change_their_size(void **state)
{
	struct iog_posix *posix = create(64 * MIB, 0);
	void *pages[32];
	size_t size;
	int i, round;

	(void)state;
	for (round = 0; round < 20; round++) {
		for (size = 4096; size <= 16 * MIB; size *= 2) {
			int count = (int)(64 * MIB / size < 32 ? 64 * MIB / size : 32);

			for (i = 0; i < count; i++) {
				pages[i] = pages_alloc(posix, size);
				assert_non_null(pages[i]);
				memset(pages[i], i, 64);
			}
			for (i = 0; i < count; i++)
				pages_free(posix, pages[i], size);
		}
	}
	assert_int_equal(stats_of(posix).page_bytes, 0);
	assert_true(stats_of(posix).arena_bytes <= SIZES * CHUNK);
	iog_posix_destroy(posix);
}

struct piece {
	uint64_t *pages;
	size_t size;
	uint64_t stamp;
};

static void piece_stamp(struct piece *piece, uint64_t stamp)
{
	size_t offset;

	piece->stamp = stamp;
	for (offset = 0; offset < piece->size; offset += 4096)
		piece->pages[offset / 8] = stamp + offset;
	piece->pages[piece->size / 8 - 1] = ~stamp;
}

/* Nobody else was given any of these pages. */
static void piece_check(const struct piece *piece)
{
	size_t offset;

	for (offset = 0; offset < piece->size; offset += 4096)
		assert_int_equal(piece->pages[offset / 8], piece->stamp + offset);
	assert_int_equal(piece->pages[piece->size / 8 - 1], ~piece->stamp);
}

static void test_random_against_a_list(void **state)
{
	enum { PIECES = 600 };
	static struct piece pieces[PIECES];
	const uint64_t limit = 256 * MIB;
	struct iog_posix *posix = create(limit, 0);
	uint64_t random = seed, used = 0, peak = 0;
	int operations = (int)kit_scaled(20000), operation, i;

	(void)state;
	memset(pieces, 0, sizeof(pieces));
	for (operation = 0; operation < operations; operation++) {
		struct piece *piece = &pieces[kit_random(&random) % PIECES];
		struct iog_posix_stats stats;

		if (piece->pages) {
			piece_check(piece);
			pages_free(posix, piece->pages, piece->size);
			used -= piece->size;
			piece->pages = NULL;
		} else {
			/* Small ones often, up to 16 MiB seldom. */
			uint64_t choice = kit_random(&random);

			piece->size = (size_t)4096 << (choice % 64 ? choice / 64 % 8 : choice / 64 % 13);
			piece->pages = pages_alloc(posix, piece->size);
			if (used + piece->size > limit) {
				assert_null(piece->pages);
			} else {
				assert_non_null(piece->pages);
				assert_int_equal((uintptr_t)piece->pages % piece->size, 0);
				used += piece->size;
				piece_stamp(piece, kit_random(&random));
			}
			if (used > peak)
				peak = used;
		}
		stats = stats_of(posix);
		assert_int_equal(stats.page_bytes, used);
		assert_int_equal(stats.page_bytes_peak, peak);
		assert_true(stats.arena_bytes >= used);
		assert_int_equal(stats.arena_bytes % CHUNK, 0);
	}
	for (i = 0; i < PIECES; i++) {
		if (!pieces[i].pages)
			continue;
		piece_check(&pieces[i]);
		pages_free(posix, pieces[i].pages, pieces[i].size);
	}
	assert_int_equal(stats_of(posix).page_bytes, 0);
	assert_true(stats_of(posix).arena_bytes <= SIZES * CHUNK);
	iog_posix_destroy(posix);
}

static void *hammer(void *argument)
{
	enum { PIECES = 64 };
	struct iog_posix *posix = argument;
	struct piece pieces[PIECES];
	uint64_t random = seed ^ (uint64_t)(uintptr_t)pieces;
	int operations = (int)kit_scaled(20000), operation, i;

	memset(pieces, 0, sizeof(pieces));
	for (operation = 0; operation < operations; operation++) {
		struct piece *piece = &pieces[kit_random(&random) % PIECES];

		if (piece->pages) {
			/* Not piece_check(): an assertion of cmocka's must not leave another thread. */
			if (piece->pages[0] != piece->stamp || piece->pages[piece->size / 8 - 1] != ~piece->stamp)
				return "a page was handed out twice";
			pages_free(posix, piece->pages, piece->size);
			piece->pages = NULL;
		} else {
			piece->size = (size_t)4096 << (kit_random(&random) % 4);
			piece->pages = pages_alloc(posix, piece->size);
			if (!piece->pages)
				return "no memory";
			piece_stamp(piece, kit_random(&random));
		}
	}
	for (i = 0; i < PIECES; i++) {
		if (pieces[i].pages)
			pages_free(posix, pieces[i].pages, pieces[i].size);
	}
	return NULL;
}

static void test_threads(void **state)
{
	enum { THREADS = 4 };
	struct iog_posix *posix = create(256 * MIB, 0);
	pthread_t threads[THREADS];
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, posix), 0);
	for (i = 0; i < THREADS; i++) {
		void *complaint;

		assert_int_equal(pthread_join(threads[i], &complaint), 0);
		if (complaint)
			fail_msg("%s", (const char *)complaint);
	}
	assert_int_equal(stats_of(posix).page_bytes, 0);
	iog_posix_destroy(posix);
}

static void test_objects(void **state)
{
	struct iog_posix *posix = create(MIB, 0);
	const struct iog_platform *platform = iog_posix_platform(posix);
	const size_t sizes[] = { 1, 64, 65, 4000, 100000, 3 * MIB };
	uint8_t *objects[6];
	uint64_t total = 0;
	size_t i, byte;
	int round;

	(void)state;
	assert_null(platform->object_alloc(platform->ctx, 0));
	assert_null(platform->object_alloc(platform->ctx, SIZE_MAX));
	/* Twice, so that memory that has been written to comes round again. */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 6; i++) {
			objects[i] = platform->object_alloc(platform->ctx, sizes[i]);
			assert_non_null(objects[i]);
			assert_int_equal((uintptr_t)objects[i] % 64, 0);
			for (byte = 0; byte < sizes[i]; byte++)
				assert_int_equal(objects[i][byte], 0);
			memset(objects[i], 0xff, sizes[i]);
			total += sizes[i];
			assert_int_equal(stats_of(posix).object_bytes, total);
		}
		for (i = 0; i < 6; i++) {
			platform->object_free(platform->ctx, objects[i], sizes[i]);
			total -= sizes[i];
			assert_int_equal(stats_of(posix).object_bytes, total);
		}
	}
	platform->object_free(platform->ctx, NULL, 64);
	assert_int_equal(stats_of(posix).object_bytes, 0);
	assert_int_equal(stats_of(posix).page_bytes, 0);
	iog_posix_destroy(posix);
}

static void test_cpu(void **state)
{
	const struct iog_posix_config config = { .limit = MIB, .flags = IOG_POSIX_CACHE_CLEAN };
	const struct iog_platform *platform;
	struct iog_posix *posix;
	uint8_t *pages, expected[4096];
	size_t first, size;
	int error = iog_posix_create(&config, &posix);

	(void)state;
#if defined(__x86_64__) || defined(__aarch64__)
	assert_int_equal(error, 0);
#endif
	if (error) {
		assert_int_equal(error, -IOG_EOPNOTSUPP);
		return;
	}
	platform = iog_posix_platform(posix);
	pages = platform->pages_alloc(platform->ctx, 4096);
	assert_non_null(pages);
	memset(pages, 0x3c, 4096);
	memset(expected, 0x3c, 4096);
	for (first = 0; first < 4096; first += 61) {
		for (size = 0; first + size <= 4096; size += 127)
			platform->cache_clean(platform->ctx, pages + first, size);
	}
	assert_memory_equal(pages, expected, 4096);
	if (platform->dma_wmb)
		platform->dma_wmb(platform->ctx);
	if (platform->relax)
		platform->relax(platform->ctx);
	if (platform->lanes_barrier)
		platform->lanes_barrier(platform->ctx);
	assert_int_equal(!platform->irq_save, !platform->irq_restore);
	platform->pages_free(platform->ctx, pages, 4096);
	iog_posix_destroy(posix);
}

/* Run in a child, whose limits and death are its own. */
static int in_child(void (*run)(void))
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		const struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		/* cmocka would catch it and go on with the next test. */
		signal(SIGILL, SIG_DFL);
		signal(SIGTRAP, SIG_DFL);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define CHILD_EXPECT(condition)                                                                     \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);     \
			_exit(1);                                                                   \
		}                                                                                   \
	} while (0)

static void free_twice(void)
{
	struct iog_posix *posix;
	void *pages;

	CHILD_EXPECT(!iog_posix_create(NULL, &posix));
	pages = pages_alloc(posix, 4096);
	pages_free(posix, pages, 4096);
	pages_free(posix, pages, 4096);
}

static void free_other_size(void)
{
	struct iog_posix *posix;

	CHILD_EXPECT(!iog_posix_create(NULL, &posix));
	pages_free(posix, pages_alloc(posix, 4096), 8192);
}

static void free_part_of_a_run(void)
{
	struct iog_posix *posix;

	CHILD_EXPECT(!iog_posix_create(NULL, &posix));
	pages_free(posix, (char *)pages_alloc(posix, 4 * CHUNK) + CHUNK, CHUNK);
}

static void free_run_twice(void)
{
	struct iog_posix *posix;
	void *pages;

	CHILD_EXPECT(!iog_posix_create(NULL, &posix));
	pages = pages_alloc(posix, 4 * CHUNK);
	pages_free(posix, pages, 4 * CHUNK);
	pages_free(posix, pages, 4 * CHUNK);
}

static void free_stranger(void)
{
	static uint64_t stranger[512];
	struct iog_posix *posix;

	CHILD_EXPECT(!iog_posix_create(NULL, &posix));
	pages_free(posix, stranger, 4096);
}

static void test_wrong_frees_are_caught(void **state)
{
	(void)state;
	assert_true(WIFSIGNALED(in_child(free_twice)));
	assert_true(WIFSIGNALED(in_child(free_other_size)));
	assert_true(WIFSIGNALED(in_child(free_part_of_a_run)));
	assert_true(WIFSIGNALED(in_child(free_run_twice)));
	assert_true(WIFSIGNALED(in_child(free_stranger)));
}

static void no_address_space(void)
{
	const struct iog_posix_config config = { .limit = 4 * GIB };
	const struct rlimit limit = { GIB, GIB };
	struct iog_posix *posix;

	CHILD_EXPECT(!setrlimit(RLIMIT_AS, &limit));
	CHILD_EXPECT(iog_posix_create(&config, &posix) == -IOG_ENOMEM);
}

static void scarce_address_space(void)
{
	/* Enough for the limit and its alignment, not for four times the limit. */
	const struct iog_posix_config config = { .limit = 4 * GIB };
	const struct rlimit limit = { 8 * GIB, 8 * GIB };
	struct iog_posix *posix;

	CHILD_EXPECT(!setrlimit(RLIMIT_AS, &limit));
	CHILD_EXPECT(!iog_posix_create(&config, &posix));
	CHILD_EXPECT(pages_alloc(posix, 4096));
	iog_posix_destroy(posix);
}

/* The kernel refuses in the middle: what was handed out stays, and freeing makes room. */
static void no_memory(void)
{
	const struct rlimit limit = { 64 * MIB, 64 * MIB };
	struct iog_posix *posix = NULL;
	void *pages[64];
	int count = 0, i;

	CHILD_EXPECT(!iog_posix_create(NULL, &posix));
	CHILD_EXPECT(!setrlimit(RLIMIT_DATA, &limit));
	while (count < 64 && (pages[count] = pages_alloc(posix, CHUNK)))
		count++;
	CHILD_EXPECT(count > 0 && count < 33);
	CHILD_EXPECT(!pages_alloc(posix, 4096));
	CHILD_EXPECT(!pages_alloc(posix, 4 * CHUNK));
	CHILD_EXPECT(stats_of(posix).page_bytes == (uint64_t)count * CHUNK);
	CHILD_EXPECT(stats_of(posix).arena_bytes == (uint64_t)count * CHUNK);
	for (i = 0; i < count; i++)
		pages_free(posix, pages[i], CHUNK);
	CHILD_EXPECT(stats_of(posix).page_bytes == 0);
	CHILD_EXPECT(pages_alloc(posix, 4096));
	iog_posix_destroy(posix);
}

static void test_kernel_refuses(void **state)
{
	(void)state;
	/* Sanitizers live on address space and data of their own. */
	if (SANITIZED)
		skip();
	assert_int_equal(in_child(no_address_space), 0);
	assert_int_equal(in_child(scarce_address_space), 0);
	assert_int_equal(in_child(no_memory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_default_limit_is_half_of_what_is_available),
		cmocka_unit_test(test_alignment_and_addresses),
		cmocka_unit_test(test_sizes_that_do_not_exist),
		cmocka_unit_test(test_limit_is_exact),
		cmocka_unit_test(test_memory_goes_back),
		cmocka_unit_test(test_spare_is_kept),
		cmocka_unit_test(test_spare_is_used_last),
		cmocka_unit_test(test_chunks_change_their_size),
		cmocka_unit_test(test_random_against_a_list),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_wrong_frees_are_caught),
		cmocka_unit_test(test_kernel_refuses),
	};

	seed = kit_seed("posix");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
