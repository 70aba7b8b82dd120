/* SPDX-License-Identifier: MIT */
/*
 * Configuration space, and addresses for BARs.
 */
#include "internal.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc

#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u
#define PCI_BAR(n) (0x10 + 4 * (n))
#define PCI_BAR_IO 0x1u
#define PCI_BAR_TYPE 0x6u
#define PCI_BAR_64 0x4u
#define PCI_BAR_FLAGS 0xfu
#define PCI_BARS 6

static uint32_t config_read(struct iog_qtest *qtest, uint32_t bdf, uint32_t offset)
{
	uint64_t value = UINT32_MAX;

	if (qtest->machine->ecam)
		return (uint32_t)iog_qtest_read(qtest, 32, qtest->machine->ecam + ((uint64_t)bdf << 12) + offset);
	qtest->reads++;
	if (iog_qtest_ask(qtest, NULL, "outl 0x%x 0x%x\n", PORT_ADDRESS, 0x80000000u | bdf << 8 | offset))
		iog_qtest_ask(qtest, &value, "inl 0x%x\n", PORT_DATA);
	return (uint32_t)value;
}

static void config_write(struct iog_qtest *qtest, uint32_t bdf, uint32_t offset, uint32_t value)
{
	if (qtest->machine->ecam) {
		iog_qtest_write(qtest, 32, qtest->machine->ecam + ((uint64_t)bdf << 12) + offset, value);
		return;
	}
	qtest->writes++;
	if (iog_qtest_ask(qtest, NULL, "outl 0x%x 0x%x\n", PORT_ADDRESS, 0x80000000u | bdf << 8 | offset))
		iog_qtest_ask(qtest, NULL, "outl 0x%x 0x%x\n", PORT_DATA, value);
}

uint32_t iog_qtest_config_read(struct iog_qtest *qtest, uint32_t bdf, uint32_t offset)
{
	uint32_t value;

	pthread_mutex_lock(&qtest->lock);
	value = config_read(qtest, bdf, offset);
	pthread_mutex_unlock(&qtest->lock);
	return value;
}

void iog_qtest_config_write(struct iog_qtest *qtest, uint32_t bdf, uint32_t offset, uint32_t value)
{
	pthread_mutex_lock(&qtest->lock);
	config_write(qtest, bdf, offset, value);
	pthread_mutex_unlock(&qtest->lock);
}

/* With the lock held: the size of a memory BAR, as an address mask; 0 if there is none. The BAR is as it was before. */
static uint64_t bar_mask(struct iog_qtest *qtest, uint32_t bdf, uint32_t bar, bool *wide)
{
	uint32_t was = config_read(qtest, bdf, PCI_BAR(bar)), was_high, low, high = UINT32_MAX;

	config_write(qtest, bdf, PCI_BAR(bar), UINT32_MAX);
	low = config_read(qtest, bdf, PCI_BAR(bar));
	config_write(qtest, bdf, PCI_BAR(bar), was);
	*wide = (low & PCI_BAR_TYPE) == PCI_BAR_64;
	if (low & PCI_BAR_IO || !(low & ~PCI_BAR_FLAGS) || (*wide && bar + 1 == PCI_BARS))
		return 0;
	if (*wide) {
		was_high = config_read(qtest, bdf, PCI_BAR(bar + 1));
		config_write(qtest, bdf, PCI_BAR(bar + 1), UINT32_MAX);
		high = config_read(qtest, bdf, PCI_BAR(bar + 1));
		config_write(qtest, bdf, PCI_BAR(bar + 1), was_high);
	}
	return (uint64_t)high << 32 | (low & ~PCI_BAR_FLAGS);
}

/* With the lock held. */
static int bar_place(struct iog_qtest *qtest, uint32_t bdf, uint32_t bar, iog_paddr_t *paddr)
{
	const struct qtest_machine *machine = qtest->machine;
	uint64_t mask, size, at;
	uint32_t command;
	bool wide;

	if (config_read(qtest, bdf, 0) == UINT32_MAX)
		return -IOG_ENOENT;
	mask = bar_mask(qtest, bdf, bar, &wide);
	if (!mask)
		return -IOG_ENOENT;
	size = -mask;
	at = (qtest->window_next + size - 1) & mask;
	if (size > machine->window_size || at + size > machine->window + machine->window_size)
		return -IOG_ENOSPC;
	qtest->window_next = at + size;
	config_write(qtest, bdf, PCI_BAR(bar), (uint32_t)at);
	if (wide)
		config_write(qtest, bdf, PCI_BAR(bar + 1), (uint32_t)(at >> 32));
	command = config_read(qtest, bdf, PCI_COMMAND) & 0xffff;
	config_write(qtest, bdf, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* edu is used by where it is. */
	for (uint32_t n = 0; n < qtest->edus && !bar; n++)
		if (bdf == IOG_QTEST_EDU(n))
			qtest->edu[n].registers = at;
	*paddr = at;
	return 0;
}

int iog_qtest_bar(struct iog_qtest *qtest, uint32_t bdf, uint32_t bar, iog_paddr_t *paddr)
{
	int error;

	if (bar >= PCI_BARS)
		return -IOG_ENOENT;
	pthread_mutex_lock(&qtest->lock);
	error = bar_place(qtest, bdf, bar, paddr);
	pthread_mutex_unlock(&qtest->lock);
	return error;
}
