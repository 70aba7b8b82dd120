/* SPDX-License-Identifier: MIT */
/* See compression.h. */
#include "compression.h"

#include <string.h>

#include <archive.h>

const char *compression_name(const void *head, size_t size)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *name;
	} known[] = {
		{ "\x1f\x8b", 2, "gzip" },
		{ "\xfd" "7zXZ", 5, "xz" },
		{ "\x28\xb5\x2f\xfd", 4, "zstd" },
		{ "BZh", 3, "bzip2" },
		{ "\x04\x22\x4d\x18", 4, "lz4" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (size >= known[i].size && !memcmp(head, known[i].magic, known[i].size))
			return known[i].name;
	}
	return NULL;
}

struct archive *compression_reader(void)
{
	struct archive *archive = archive_read_new();

	if (!archive)
		return NULL;
	archive_read_support_filter_gzip(archive);
	archive_read_support_filter_xz(archive);
	archive_read_support_filter_zstd(archive);
	archive_read_support_filter_bzip2(archive);
	archive_read_support_filter_lz4(archive);
	archive_read_support_format_raw(archive);
	archive_read_support_format_empty(archive);
	return archive;
}
