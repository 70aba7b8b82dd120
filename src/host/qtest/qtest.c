/* SPDX-License-Identifier: MIT */
/*
 * The machine as a whole: its command line, its platform, its end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../posix/cpu.h"
#include "internal.h"

#define MIB (UINT64_C(1) << 20)
#define MEMORY_DEFAULT (64 * MIB)
#define MEMORY_MAX (1024 * MIB)
#define TIMEOUT_DEFAULT_MS 20000
#define ARGUMENTS_MAX 96
#define OBJECT_ALIGN ((size_t)64)

static void *object_alloc(void *ctx, size_t size)
{
	size_t rounded = (size + OBJECT_ALIGN - 1) & ~(OBJECT_ALIGN - 1);
	void *object = rounded ? aligned_alloc(OBJECT_ALIGN, rounded) : NULL;

	(void)ctx;
	return object ? memset(object, 0, rounded) : NULL;
}

static void object_free(void *ctx, void *object, size_t size)
{
	(void)ctx;
	(void)size;
	free(object);
}

static uint64_t now_ns(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The model reads this machine's memory, whatever it says of itself. */
static void cache_clean(void *ctx, const void *va, size_t size)
{
	(void)ctx;
	(void)va;
	(void)size;
}

static uint64_t locked_read(void *ctx, uint32_t bits, uintptr_t reg)
{
	struct iog_qtest *qtest = ctx;
	uint64_t value;

	pthread_mutex_lock(&qtest->lock);
	value = iog_qtest_read(qtest, bits, reg);
	pthread_mutex_unlock(&qtest->lock);
	return value;
}

static void locked_write(void *ctx, uint32_t bits, uintptr_t reg, uint64_t value)
{
	struct iog_qtest *qtest = ctx;

	pthread_mutex_lock(&qtest->lock);
	iog_qtest_write(qtest, bits, reg, value);
	pthread_mutex_unlock(&qtest->lock);
}

static uint32_t mmio_read32(void *ctx, uintptr_t reg)
{
	return (uint32_t)locked_read(ctx, 32, reg);
}

static uint64_t mmio_read64(void *ctx, uintptr_t reg)
{
	return locked_read(ctx, 64, reg);
}

static void mmio_write32(void *ctx, uintptr_t reg, uint32_t value)
{
	locked_write(ctx, 32, reg, value);
}

static void mmio_write64(void *ctx, uintptr_t reg, uint64_t value)
{
	locked_write(ctx, 64, reg, value);
}

static uint8_t mmio_read8(void *ctx, uintptr_t reg)
{
	return (uint8_t)locked_read(ctx, 8, reg);
}

static uint16_t mmio_read16(void *ctx, uintptr_t reg)
{
	return (uint16_t)locked_read(ctx, 16, reg);
}

static void mmio_write8(void *ctx, uintptr_t reg, uint8_t value)
{
	locked_write(ctx, 8, reg, value);
}

static void mmio_write16(void *ctx, uintptr_t reg, uint16_t value)
{
	locked_write(ctx, 16, reg, value);
}

static void platform_init(struct iog_qtest *qtest)
{
	struct iog_platform *platform = &qtest->platform;

	platform->ctx = qtest;
	platform->direct_map_offset = (uint64_t)(uintptr_t)qtest->memory.base - qtest->memory.paddr;
	platform->pages_alloc = iog_qtest_pages_alloc;
	platform->pages_free = iog_qtest_pages_free;
	platform->object_alloc = object_alloc;
	platform->object_free = object_free;
	platform->cache_clean = cache_clean;
	platform->now_ns = now_ns;
	platform->dma_wmb = iog_cpu_dma_wmb();
	platform->relax = iog_cpu_relax();
	platform->lanes_barrier = iog_cpu_lanes_barrier();
	platform->mmio_read32 = mmio_read32;
	platform->mmio_read64 = mmio_read64;
	platform->mmio_write32 = mmio_write32;
	platform->mmio_write64 = mmio_write64;
	platform->mmio_read8 = mmio_read8;
	platform->mmio_read16 = mmio_read16;
	platform->mmio_write8 = mmio_write8;
	platform->mmio_write16 = mmio_write16;
}

/* The command line, and the process. */
static int start(struct iog_qtest *qtest, const struct iog_qtest_config *config, const char *path)
{
	char memory[128], machine[256], size[32], halt[4][128], edu[IOG_QTEST_EDUS_MAX][64];
	const char *arguments[ARGUMENTS_MAX + 1];
	uint32_t n = 0;
	int keep[2], error, firmware = iog_qtest_firmware(config->machine);

	if (firmware == -1)
		return -IOG_ENOMEM;
	snprintf(size, sizeof(size), "%" PRIu64 "M", qtest->memory.size / MIB);
	snprintf(memory, sizeof(memory), "memory-backend-file,id=ram,size=%s,mem-path=/proc/self/fd/%d,share=on", size, qtest->memory.file);
	snprintf(machine, sizeof(machine), "%s,memory-backend=ram%s%s", qtest->machine->name, config->machine_options ? "," : "",
		 config->machine_options ? config->machine_options : "");
	const char *const begin[] = { path, "-accel", "tcg", "-icount", "shift=0,sleep=off", "-qtest", "stdio", "-qtest-log", "none", "-display", "none",
				      "-nodefaults", "-no-user-config", "-m", size, "-object", memory, "-machine", machine };

	memcpy(arguments, begin, sizeof(begin));
	n = sizeof(begin) / sizeof(begin[0]);
	if (config->machine == IOG_QTEST_ARM) {
		arguments[n++] = "-cpu";
		arguments[n++] = "cortex-a57";
	}
	n += iog_qtest_halt(config->machine, qtest, firmware, halt, arguments + n);
	for (const char *const *further = config->arguments; further && *further && n < ARGUMENTS_MAX; further++)
		arguments[n++] = *further;
	for (uint32_t i = 0; i < qtest->edus && n + 1 < ARGUMENTS_MAX; i++) {
		/* Its own default is a mask of 28 bits, to which it cuts addresses. */
		snprintf(edu[i], sizeof(edu[i]), "edu,addr=%" PRIu32 ",dma_mask=0xffffffffffffffff", 3 + i);
		arguments[n++] = "-device";
		arguments[n++] = edu[i];
	}
	arguments[n] = NULL;
	keep[0] = qtest->memory.file;
	keep[1] = firmware;
	error = n >= ARGUMENTS_MAX - 1 ? -IOG_EINVAL : iog_qtest_start(&qtest->process, path, arguments, keep, firmware < 0 ? 1 : 2);
	if (firmware >= 0)
		close(firmware);
	return error;
}

/* It answers, and the devices are there. */
static int greet(struct iog_qtest *qtest)
{
	pthread_mutex_lock(&qtest->lock);
	iog_qtest_ask(qtest, NULL, "endianness\n");
	pthread_mutex_unlock(&qtest->lock);
	if (qtest->broken)
		return -IOG_EIO;
	if (iog_qtest_edu_init(qtest)) {
		if (!qtest->broken)
			snprintf(qtest->why, sizeof(qtest->why), "QEMU has no edu device at 00:03.0");
		return -IOG_EIO;
	}
	return 0;
}

static int prepare(struct iog_qtest *qtest, const struct iog_qtest_config *config)
{
	uint64_t memory = config->memory ? config->memory : MEMORY_DEFAULT;
	char path[512];
	int error;

	if (!qtest->machine || memory < MEMORY_DEFAULT || memory > MEMORY_MAX || memory % (2 * MIB) || config->edus > IOG_QTEST_EDUS_MAX) {
		snprintf(qtest->why, sizeof(qtest->why), "a machine, an amount of memory or a number of devices that is not offered");
		return -IOG_EINVAL;
	}
	qtest->window_next = qtest->machine->window;
	error = iog_qtest_program(qtest->machine, config, path, sizeof(path), &qtest->version, qtest->why);
	if (error)
		return error;
	error = iog_qtest_memory_init(&qtest->memory, qtest->machine, memory);
	if (error) {
		snprintf(qtest->why, sizeof(qtest->why), "no memory for a guest");
		return error;
	}
	platform_init(qtest);
	error = start(qtest, config, path);
	if (error) {
		snprintf(qtest->why, sizeof(qtest->why), "%.200s could not be started", path);
		return error;
	}
	return greet(qtest);
}

int iog_qtest_create(const struct iog_qtest_config *config, struct iog_qtest **result, char *why, size_t why_size)
{
	struct iog_qtest *qtest = calloc(1, sizeof(*qtest));
	int error;

	if (!qtest) {
		if (why)
			snprintf(why, why_size, "%s", iog_strerror(IOG_ENOMEM));
		return -IOG_ENOMEM;
	}
	pthread_mutex_init(&qtest->lock, NULL);
	qtest->memory.file = -1;
	qtest->machine = iog_qtest_machine(config->machine);
	qtest->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_DEFAULT_MS;
	qtest->edus = config->edus ? config->edus : 1;
	error = prepare(qtest, config);
	if (error) {
		if (why)
			snprintf(why, why_size, "%s", qtest->why);
		iog_qtest_destroy(qtest);
		return error;
	}
	*result = qtest;
	return 0;
}

void iog_qtest_destroy(struct iog_qtest *qtest)
{
	if (!qtest)
		return;
	iog_qtest_end(&qtest->process);
	iog_qtest_memory_fini(&qtest->memory);
	pthread_mutex_destroy(&qtest->lock);
	free(qtest);
}

const struct iog_platform *iog_qtest_platform(const struct iog_qtest *qtest)
{
	return &qtest->platform;
}

const char *iog_qtest_error(struct iog_qtest *qtest)
{
	bool broken;

	pthread_mutex_lock(&qtest->lock);
	broken = qtest->broken;
	pthread_mutex_unlock(&qtest->lock);
	return broken ? qtest->why : NULL;
}

uint32_t iog_qtest_version(const struct iog_qtest *qtest)
{
	return qtest->version;
}

void iog_qtest_stats(struct iog_qtest *qtest, struct iog_qtest_stats *stats)
{
	pthread_mutex_lock(&qtest->lock);
	stats->reads = qtest->reads;
	stats->writes = qtest->writes;
	stats->memory_bytes = qtest->memory.used_bytes;
	pthread_mutex_unlock(&qtest->lock);
}
