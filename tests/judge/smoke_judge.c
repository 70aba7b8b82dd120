/* SPDX-License-Identifier: MIT */
/*
 * The devices themselves, before any IOMMU: on each machine, registers can be read, and edu copies from memory to memory untranslated. What other judges see is then the IOMMU's doing.
 */
#include <signal.h>
#include <sys/time.h>

#include "judge.h"

static void copies(const struct iog_qtest_config *config, const char *name)
{
	struct iog_qtest *qtest = judge_start(config);
	const struct iog_platform *platform;
	uint8_t *pages;

	if (!qtest)
		return;
	platform = iog_qtest_platform(qtest);
	pages = platform->pages_alloc(platform->ctx, 8192);
	JUDGE(pages, "%s: memory", name);
	if (pages) {
		iog_paddr_t from = (uint64_t)(uintptr_t)pages - platform->direct_map_offset;

		for (uint32_t edu = 0; edu < 2; edu++) {
			for (uint32_t n = 0; n < 4096; n++)
				pages[n] = (uint8_t)(n * 7 + edu);
			memset(pages + 4096, 0xee, 4096);
			JUDGE(!iog_qtest_edu_dma(qtest, edu, IOG_QTEST_FROM_MEMORY, from, 0, IOG_QTEST_DMA_MAX), "%s: edu %u reads", name, edu);
			JUDGE(!iog_qtest_edu_dma(qtest, edu, IOG_QTEST_TO_MEMORY, from + 4096, 0, IOG_QTEST_DMA_MAX), "%s: edu %u writes", name, edu);
			JUDGE(!memcmp(pages, pages + 4096, IOG_QTEST_DMA_MAX) && pages[4096 + IOG_QTEST_DMA_MAX] == 0xee, "%s: what edu %u read is what it wrote",
			      name, edu);
		}
		platform->pages_free(platform->ctx, pages, 8192);
	}
	pages = platform->pages_alloc(platform->ctx, 1 << 21);
	JUDGE(pages && !((uintptr_t)pages & ((1 << 21) - 1)), "%s: pages are aligned to their size", name);
	JUDGE(pages && iog_qtest_memory(qtest, (uint64_t)(uintptr_t)pages - platform->direct_map_offset, 1 << 21) == pages, "%s: and are where they are said to be", name);
	platform->pages_free(platform->ctx, pages, 1 << 21);
	JUDGE(iog_qtest_memory(qtest, 0xfffffffffff, 1) == NULL, "%s: no memory where there is none", name);
	JUDGE(iog_qtest_edu_dma(qtest, 2, IOG_QTEST_TO_MEMORY, 0, 0, 1) == -IOG_ENOENT, "%s: there are two", name);
	JUDGE(iog_qtest_config_read(qtest, IOG_QTEST_BDF(0, 30, 0), 0) == UINT32_MAX, "%s: no device where there is none", name);
	JUDGE(!iog_qtest_error(qtest), "%s: QEMU is well", name);
	iog_qtest_destroy(qtest);
}

/* A device whose registers are given another address goes on working, at that one; one that cannot be given any stays as it is. */
static void moved(void)
{
	struct iog_qtest *qtest = judge_start(&(struct iog_qtest_config){ .machine = IOG_QTEST_X86 });
	const struct iog_platform *platform;
	iog_paddr_t registers = 0, none = 0;
	uint32_t left;
	uint8_t *page;

	if (!qtest)
		return;
	platform = iog_qtest_platform(qtest);
	page = platform->pages_alloc(platform->ctx, 4096);
	memset(page, 0xee, 4096);
	JUDGE(!iog_qtest_bar(qtest, IOG_QTEST_EDU(0), 0, &registers), "moved: edu's registers");
	JUDGE(platform->mmio_read32(platform->ctx, registers) == 0x010000ed, "moved: they are there");
	JUDGE(!iog_qtest_edu_dma(qtest, 0, IOG_QTEST_TO_MEMORY, (uint64_t)(uintptr_t)page - platform->direct_map_offset, 0, 64) && !page[0] && page[64] == 0xee, "moved: edu writes");
	/* Until there is no room for another. */
	for (left = 1000; left && !iog_qtest_bar(qtest, IOG_QTEST_EDU(0), 0, &registers); left--)
		;
	JUDGE(left, "moved: room ends");
	JUDGE(platform->mmio_read32(platform->ctx, registers) == 0x010000ed, "moved: edu is where it was last");
	JUDGE(iog_qtest_bar(qtest, IOG_QTEST_EDU(0), 1, &none) == -IOG_ENOENT && platform->mmio_read32(platform->ctx, registers) == 0x010000ed, "moved: there is no second BAR");
	platform->pages_free(platform->ctx, page, 4096);
	iog_qtest_destroy(qtest);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

/* A program with a timer finds QEMU as any other. */
static void interrupted(void)
{
	const struct itimerval often = { .it_interval = { .tv_usec = 500 }, .it_value = { .tv_usec = 500 } }, never = { .it_value = { 0 } };
	struct sigaction action = { .sa_handler = count_signal }, before;
	struct iog_qtest *qtest = NULL, *plain = judge_start(&(struct iog_qtest_config){ .machine = IOG_QTEST_X86 });
	char why[256] = "";
	int error;

	if (!plain)
		return;
	iog_qtest_destroy(plain);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	error = iog_qtest_create(&(struct iog_qtest_config){ .machine = IOG_QTEST_X86 }, &qtest, why, sizeof(why));
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	JUDGE(!error && signals, "interrupted: QEMU is found and started (%s)", why);
	iog_qtest_destroy(qtest);
}

/* QEMU's refusal of an argument is an error with its reason, at once. */
static void refused(void)
{
	static const char *const arguments[] = { "-device", "no-such-device", NULL };
	struct iog_qtest_config config = { .arguments = arguments };
	struct iog_qtest *qtest = NULL;
	char why[256] = "";
	int error = iog_qtest_create(&config, &qtest, why, sizeof(why));

	if (error == -IOG_ENOENT) {
		judge_skip("refusal", why);
		return;
	}
	JUDGE(error == -IOG_EIO && strstr(why, "no-such-device"), "refusal: QEMU's reason is told (%s)", why);
}

/* A QEMU that is gone is an error, and not something to wait for. */
static void gone(void)
{
	struct iog_qtest *qtest = judge_start(&(struct iog_qtest_config){ .machine = IOG_QTEST_X86 });
	const struct iog_platform *platform;
	FILE *children = NULL;
	int pid = 0;

	if (!qtest)
		return;
	platform = iog_qtest_platform(qtest);
	children = fopen("/proc/thread-self/children", "r");
	JUDGE(children && fscanf(children, "%d", &pid) == 1 && !kill(pid, SIGKILL), "gone: QEMU is a child");
	JUDGE(platform->mmio_read32(platform->ctx, 0xfed90000) == UINT32_MAX, "gone: registers read as ones");
	platform->mmio_write64(platform->ctx, 0xfed90000, 0);
	JUDGE(iog_qtest_edu_dma(qtest, 0, IOG_QTEST_TO_MEMORY, 0x200000, 0, 1) == -IOG_EIO, "gone: a DMA fails");
	JUDGE(iog_qtest_error(qtest) && strstr(iog_qtest_error(qtest), "has ended"), "gone: and why is told");
	iog_qtest_destroy(qtest);
	if (children)
		fclose(children);
}

int main(void)
{
	copies(&(struct iog_qtest_config){ .machine = IOG_QTEST_X86, .edus = 2 }, "x86");
	copies(&(struct iog_qtest_config){ .machine = IOG_QTEST_ARM, .edus = 2 }, "arm");
	copies(&(struct iog_qtest_config){ .machine = IOG_QTEST_RISCV, .edus = 2 }, "riscv");
	moved();
	interrupted();
	refused();
	gone();
	return judge_end();
}
