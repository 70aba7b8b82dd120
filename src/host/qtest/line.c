/* SPDX-License-Identifier: MIT */
/*
 * The qtest protocol: a line asked, a line answered, "OK" and perhaps a value. Interrupts that are intercepted would come as lines of their own; they are passed over.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static __attribute__((format(printf, 2, 3), cold)) bool broke(struct iog_qtest *qtest, const char *format, ...)
{
	char what[96], complaint[128];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	/* What it has to say is there once it has ended. */
	iog_qtest_complaint(&qtest->process, complaint, sizeof(complaint));
	snprintf(qtest->why, sizeof(qtest->why), "%s%s%s", what, *complaint ? ": " : "", complaint);
	qtest->broken = true;
	return false;
}

static bool line_send(struct iog_qtest *qtest, const char *text, size_t size)
{
	while (size) {
		ssize_t sent = send(qtest->process.line, text, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return broke(qtest, "QEMU has ended");
		text += sent;
		size -= (size_t)sent;
	}
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The next line, without its end. */
static bool line_receive(struct iog_qtest *qtest, char *text, size_t size)
{
	uint64_t end = now_ms() + qtest->timeout_ms;

	for (;;) {
		struct pollfd ready = { .fd = qtest->process.line, .events = POLLIN };
		char *stop = memchr(qtest->received, '\n', qtest->received_bytes);
		uint64_t now;
		ssize_t got;

		if (stop) {
			size_t length = (size_t)(stop - qtest->received);

			snprintf(text, size, "%.*s", (int)length, qtest->received);
			qtest->received_bytes -= length + 1;
			memmove(qtest->received, stop + 1, qtest->received_bytes);
			return true;
		}
		if (qtest->received_bytes == sizeof(qtest->received))
			return broke(qtest, "QEMU sent a line that is too long");
		got = recv(qtest->process.line, qtest->received + qtest->received_bytes, sizeof(qtest->received) - qtest->received_bytes, MSG_DONTWAIT);
		if (got > 0) {
			qtest->received_bytes += (size_t)got;
			continue;
		}
		if (!got || (errno != EAGAIN && errno != EINTR))
			return broke(qtest, "QEMU has ended");
		now = now_ms();
		if (now >= end || !poll(&ready, 1, (int)(end - now)))
			return broke(qtest, "QEMU has not answered for %" PRIu32 " ms", qtest->timeout_ms);
	}
}

bool iog_qtest_ask(struct iog_qtest *qtest, uint64_t *value, const char *format, ...)
{
	char line[256], *end;
	va_list list;
	int length;

	if (qtest->broken)
		return false;
	va_start(list, format);
	length = vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	if (!line_send(qtest, line, (size_t)length))
		return false;
	do {
		if (!line_receive(qtest, line, sizeof(line)))
			return false;
	} while (!strncmp(line, "IRQ ", 4));
	if (strncmp(line, "OK", 2))
		return broke(qtest, "QEMU answered \"%.40s\"", line);
	if (value) {
		*value = strtoull(line + 2, &end, 0);
		if (end == line + 2)
			return broke(qtest, "QEMU answered without a value");
	}
	return true;
}

/* Of an access's width, in the protocol. */
static char letter(uint32_t bits)
{
	static const char letters[] = { [1] = 'b', [2] = 'w', [4] = 'l', [8] = 'q' };

	return letters[bits / 8];
}

uint64_t iog_qtest_read(struct iog_qtest *qtest, uint32_t bits, uint64_t paddr)
{
	uint64_t value;

	qtest->reads++;
	if (!iog_qtest_ask(qtest, &value, "read%c 0x%" PRIx64 "\n", letter(bits), paddr))
		value = UINT64_MAX;
	return value & UINT64_MAX >> (64 - bits);
}

void iog_qtest_write(struct iog_qtest *qtest, uint32_t bits, uint64_t paddr, uint64_t value)
{
	qtest->writes++;
	iog_qtest_ask(qtest, NULL, "write%c 0x%" PRIx64 " 0x%" PRIx64 "\n", letter(bits), paddr, value);
}
