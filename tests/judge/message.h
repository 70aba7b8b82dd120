/* SPDX-License-Identifier: MIT */
/*
 * What judges of interrupt remapping share: edu's messages, and programs of a few bytes for the machine's CPU, which is halted.
 */
#ifndef TESTS_JUDGE_MESSAGE_H
#define TESTS_JUDGE_MESSAGE_H

#include <iogate/platform.h>

#include "judge.h"

#define MESSAGE_EDU_RAISE 0x60
#define MESSAGE_EDU_ACKNOWLEDGE 0x64
#define MESSAGE_MSI_ID 0x05

/* Messages of edu 0 go to @address. */
static inline bool message_set(struct iog_qtest *qtest, uint64_t address, uint32_t data)
{
	uint32_t at = iog_qtest_config_read(qtest, IOG_QTEST_EDU(0), 0x34) & 0xfc, header = 0;

	while (at && ((header = iog_qtest_config_read(qtest, IOG_QTEST_EDU(0), at)) & 0xff) != MESSAGE_MSI_ID)
		at = header >> 8 & 0xfc;
	if (!at)
		return false;
	iog_qtest_config_write(qtest, IOG_QTEST_EDU(0), at + 4, (uint32_t)address);
	iog_qtest_config_write(qtest, IOG_QTEST_EDU(0), at + 8, (uint32_t)(address >> 32));
	iog_qtest_config_write(qtest, IOG_QTEST_EDU(0), at + 12, data);
	iog_qtest_config_write(qtest, IOG_QTEST_EDU(0), at, header | 1 << 16);
	return true;
}

/* By how much a counter in memory, which a handler counts in, moves: the CPU takes interrupts in the machine's time, which a few looks at a register of edu let pass. */
static inline uint16_t message_counted(const struct iog_platform *platform, iog_paddr_t edu, volatile uint16_t *counter, uint16_t before)
{
	for (uint32_t n = 0; n < 2000 && *counter == before; n++)
		platform->mmio_read32(platform->ctx, edu);
	return (uint16_t)(*counter - before);
}

/* How many arrive of one that edu raises. */
static inline uint16_t message_raise(const struct iog_platform *platform, iog_paddr_t edu, volatile uint16_t *counter)
{
	uint16_t before = *counter, counted;

	platform->mmio_write32(platform->ctx, edu + MESSAGE_EDU_RAISE, 1);
	counted = message_counted(platform, edu, counter, before);
	platform->mmio_write32(platform->ctx, edu + MESSAGE_EDU_ACKNOWLEDGE, 1);
	return counted;
}

#endif
