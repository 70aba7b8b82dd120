/* SPDX-License-Identifier: MIT */
/*
 * A machine of QEMU's without a guest. Private to host/qtest.
 *
 * Locking: @lock over the line to QEMU (one request and its answer at a time), the error, the memory map, BARs and edu. Functions that say so are called with it held.
 */
#ifndef IOGATE_SRC_HOST_QTEST_INTERNAL_H
#define IOGATE_SRC_HOST_QTEST_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <iogate/error.h>
#include <iogate/host/qtest.h>

#define QTEST_WHY 256

/* What differs from machine to machine. */
struct qtest_machine {
	const char *name;        /* of -machine */
	const char *program;
	const char *environment; /* variable that names the program */
	uint64_t memory_base;
	uint64_t memory_low;  /* bytes from the base on that are not handed out: firmware's, device trees */
	uint64_t memory_high; /* the same from the end */
	uint64_t window;      /* addresses for BARs */
	uint64_t window_size;
	uint64_t ecam; /* 0: ports 0xcf8, 0xcfc */
};

struct qtest_process {
	pid_t pid; /* 0: none */
	int line;  /* socket to its standard input and output */
	int complaints; /* file that its standard error goes to */
};

struct qtest_memory {
	void *reserved; /* address space, the memory somewhere in it */
	size_t reserved_size;
	uint8_t *base;
	uint64_t paddr;
	uint64_t size;
	int file;
	uint64_t *used; /* a bit per page */
	uint64_t used_bytes;
};

struct qtest_edu {
	bool found;
	uint64_t registers;
};

struct iog_qtest {
	struct iog_platform platform;
	const struct qtest_machine *machine;
	uint32_t version;
	uint32_t timeout_ms;

	pthread_mutex_t lock;
	struct qtest_process process;
	struct qtest_memory memory;
	uint64_t window_next;
	uint32_t edus;
	struct qtest_edu edu[IOG_QTEST_EDUS_MAX];
	uint64_t reads;
	uint64_t writes;
	char received[256]; /* of an answer that is not complete */
	size_t received_bytes;
	bool broken; /* @why holds the error */
	char why[QTEST_WHY];
};

/* machine.c: NULL for none such. */
const struct qtest_machine *iog_qtest_machine(enum iog_qtest_machine machine);
/* Arguments that keep the CPU from running: up to 8 from @arguments on. @firmware is the number of an open file that holds the image of iog_qtest_firmware(). Text goes to @text. */
uint32_t iog_qtest_halt(enum iog_qtest_machine machine, const struct iog_qtest *qtest, int firmware, char text[4][128], const char **arguments);
/* A file with a firmware that halts, or -1: for the x86 machine. -2 where none is needed. */
int iog_qtest_firmware(enum iog_qtest_machine machine);

/* program.c: where a fitting QEMU is. 0, -IOG_ENOENT with @why set. */
int iog_qtest_program(const struct qtest_machine *machine, const struct iog_qtest_config *config, char *path, size_t path_size, uint32_t *version, char *why);

/* process.c. Files 0 to 2 are set up; @keep are left open. 0 or -IOG_EIO. */
int iog_qtest_start(struct qtest_process *process, const char *path, const char *const *arguments, const int *keep, uint32_t nr_keep);
/* In a child that could not become another program. */
__attribute__((noreturn)) void iog_qtest_give_up(void);
/* End it, if it has not ended. */
void iog_qtest_end(struct qtest_process *process);
/* What it said last on its standard error, on one line; "" for nothing. */
void iog_qtest_complaint(const struct qtest_process *process, char *text, size_t size);

/* line.c: one request, with the lock held. False when it was not answered with OK; @value may be NULL. Once false, always false. */
bool iog_qtest_ask(struct iog_qtest *qtest, uint64_t *value, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* With the lock held. */
uint64_t iog_qtest_read(struct iog_qtest *qtest, uint32_t bits, uint64_t paddr);
void iog_qtest_write(struct iog_qtest *qtest, uint32_t bits, uint64_t paddr, uint64_t value);

/* memory.c. */
int iog_qtest_memory_init(struct qtest_memory *memory, const struct qtest_machine *machine, uint64_t size);
void iog_qtest_memory_fini(struct qtest_memory *memory);
void *iog_qtest_pages_alloc(void *ctx, size_t size);
void iog_qtest_pages_free(void *ctx, void *pages, size_t size);

/* edu.c: find them. 0 or -IOG_EIO. */
int iog_qtest_edu_init(struct iog_qtest *qtest);

#endif
