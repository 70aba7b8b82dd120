/* SPDX-License-Identifier: MIT */
/*
 * See size.h.
 */
#include "size.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char suffixes[] = "KMGTPE";

int size_parse(const char *text, uint64_t bare, uint64_t *size)
{
	const char *at = text, *suffix;
	uint64_t value = 0, unit = bare;

	if (!isdigit((unsigned char)*at))
		return -1;
	for (; isdigit((unsigned char)*at); at++) {
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return -1;
	}
	if (*at) {
		suffix = strchr(suffixes, toupper((unsigned char)*at));
		if (!suffix)
			return -1;
		unit = UINT64_C(1) << (10 * (suffix - suffixes + 1));
		at++;
		if (!strcmp(at, "iB"))
			at += 2;
	}
	if (*at || __builtin_mul_overflow(value, unit, &value))
		return -1;
	*size = value;
	return 0;
}

const char *size_exact(char text[SIZE_TEXT], uint64_t size)
{
	unsigned int power = 0;

	while (size && size % 1024 == 0 && power < sizeof(suffixes) - 1) {
		size /= 1024;
		power++;
	}
	if (power)
		snprintf(text, SIZE_TEXT, "%" PRIu64 "%c", size, suffixes[power - 1]);
	else
		snprintf(text, SIZE_TEXT, "%" PRIu64, size);
	return text;
}

const char *size_rounded(char text[SIZE_TEXT], uint64_t size)
{
	double value = (double)size;
	unsigned int power = 0;
	bool whole;

	while (value >= 1024 && power < sizeof(suffixes) - 1) {
		value /= 1024;
		power++;
	}
	whole = value == (double)(uint64_t)value;
	if (power)
		snprintf(text, SIZE_TEXT, whole ? "%.0f %ciB" : "%.1f %ciB", value, suffixes[power - 1]);
	else
		snprintf(text, SIZE_TEXT, "%.0f bytes", value);
	return text;
}
