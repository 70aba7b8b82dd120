/* SPDX-License-Identifier: MIT */
/*
 * Compressed dumps: unpacked by libarchive into a temporary file with holes where memory is zero, because tables are read at random.
 */
#include "image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "../compression.h"
#include "../interrupt.h"

#define BLOCK_SIZE 65536

/* A file that is gone once it is closed. */
static int temporary(struct problem *problem)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!directory || !*directory)
		directory = "/tmp";
	if (strlen(directory) > sizeof(path) - 32)
		return problem_set(problem, "cannot be unpacked: TMPDIR is too long");
	strcpy(path, directory);
	strcat(path, "/iogate-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return problem_set(problem, "cannot be unpacked into %s: %s", directory, strerror(errno));
	unlink(path);
	return fd;
}

static bool all_zero(const char *block, size_t size)
{
	return !block[0] && !memcmp(block, block + 1, size - 1);
}

/* Write all of a block, unless a hole will do. */
static int put(int fd, const char *block, size_t size, uint64_t offset)
{
	ssize_t written;

	if (all_zero(block, size))
		return 0;
	while (size) {
		written = pwrite(fd, block, size, (off_t)offset);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		block += written;
		offset += (uint64_t)written;
		size -= (size_t)written;
	}
	return 0;
}

static int damaged(struct archive *archive, const char *name, struct problem *problem)
{
	const char *reason = archive_error_string(archive);

	return problem_set(problem, "truncated or damaged %s data (%s)", name, reason ? reason : "no reason given");
}

static int copy(struct archive *archive, const char *name, int target, struct problem *problem)
{
	static char block[BLOCK_SIZE];
	struct archive_entry *entry;
	uint64_t offset = 0;
	la_ssize_t got;

	if (archive_read_next_header(archive, &entry) != ARCHIVE_OK)
		return damaged(archive, name, problem);
	while ((got = archive_read_data(archive, block, sizeof(block))) > 0) {
		if (interrupted())
			return problem_set(problem, "interrupted while it was unpacked");
		if (put(target, block, (size_t)got, offset))
			return problem_set(problem, "cannot be unpacked into a temporary file: %s (TMPDIR names another place)", strerror(errno));
		offset += (uint64_t)got;
	}
	if (got < 0)
		return damaged(archive, name, problem);
	if (ftruncate(target, (off_t)offset))
		return problem_set(problem, "cannot be unpacked into a temporary file: %s", strerror(errno));
	return 0;
}

int image_unpack(int fd, struct problem *problem)
{
	char head[8];
	ssize_t size = pread(fd, head, sizeof(head), 0);
	const char *name = size > 0 ? compression_name(head, (size_t)size) : NULL;
	struct archive *archive;
	int target, ret = -1;

	if (!name)
		return fd;
	target = temporary(problem);
	if (target < 0)
		return -1;
	archive = compression_reader();
	if (!archive) {
		problem_set(problem, "cannot be unpacked: no memory");
		goto out;
	}
	ret = archive_read_open_fd(archive, fd, BLOCK_SIZE) == ARCHIVE_OK ? copy(archive, name, target, problem) : damaged(archive, name, problem);
	archive_read_free(archive);
out:
	if (ret) {
		close(target);
		return -1;
	}
	return target;
}
