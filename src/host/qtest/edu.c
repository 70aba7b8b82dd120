/* SPDX-License-Identifier: MIT */
/*
 * QEMU's educational device: a buffer, and a DMA engine that copies between it and memory.
 */
#include "internal.h"

#define EDU_ID UINT32_C(0x11e81234) /* device, vendor */

#define EDU_DMA_SOURCE 0x80
#define EDU_DMA_DESTINATION 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_DMA_START 0x1
#define EDU_DMA_TO_MEMORY 0x2
#define EDU_BUFFER 0x40000

/* The engine waits 100 ms of the machine's time, which passes at once while its CPU is halted. */
#define POLLS 100000

int iog_qtest_edu_init(struct iog_qtest *qtest)
{
	for (uint32_t n = 0; n < qtest->edus; n++) {
		struct qtest_edu *edu = &qtest->edu[n];

		edu->found = iog_qtest_config_read(qtest, IOG_QTEST_EDU(n), 0) == EDU_ID && !iog_qtest_bar(qtest, IOG_QTEST_EDU(n), 0, &edu->registers);
		if (!edu->found)
			return -IOG_EIO;
	}
	return 0;
}

/* With the lock held. */
static int transfer(struct iog_qtest *qtest, uint64_t registers, enum iog_qtest_direction direction, uint64_t address, uint32_t offset, uint32_t size)
{
	bool to_memory = direction == IOG_QTEST_TO_MEMORY;
	uint64_t buffer = EDU_BUFFER + offset;

	iog_qtest_write(qtest, 64, registers + EDU_DMA_SOURCE, to_memory ? buffer : address);
	iog_qtest_write(qtest, 64, registers + EDU_DMA_DESTINATION, to_memory ? address : buffer);
	iog_qtest_write(qtest, 64, registers + EDU_DMA_COUNT, size);
	iog_qtest_write(qtest, 64, registers + EDU_DMA_COMMAND, EDU_DMA_START | (to_memory ? EDU_DMA_TO_MEMORY : 0));
	for (uint32_t n = 0; n < POLLS; n++) {
		uint64_t command = iog_qtest_read(qtest, 64, registers + EDU_DMA_COMMAND);

		if (qtest->broken)
			return -IOG_EIO;
		if (!(command & EDU_DMA_START))
			return 0;
	}
	return -IOG_ETIMEDOUT;
}

int iog_qtest_edu_dma(struct iog_qtest *qtest, uint32_t edu, enum iog_qtest_direction direction, uint64_t address, uint32_t offset, uint32_t size)
{
	int error;

	if (!size || size > IOG_QTEST_DMA_MAX || offset > IOG_QTEST_DMA_MAX - size || (uint32_t)direction > IOG_QTEST_TO_MEMORY)
		return -IOG_EINVAL;
	if (edu >= qtest->edus)
		return -IOG_ENOENT;
	pthread_mutex_lock(&qtest->lock);
	error = transfer(qtest, qtest->edu[edu].registers, direction, address, offset, size);
	pthread_mutex_unlock(&qtest->lock);
	return error;
}
