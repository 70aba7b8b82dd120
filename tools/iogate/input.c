/* SPDX-License-Identifier: MIT */
/*
 * See input.h. Decompression is libarchive's.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "compression.h"
#include "interrupt.h"
#include "memory.h"

#define READ_SIZE 65536
#define HEAD_SIZE 16
/* How long a look at a silent pipe lasts before Ctrl-C is looked for. */
#define POLL_MS 200

struct input {
	struct archive *archive;
	int fd;
	uint64_t file_size; /* 0 for what is no regular file */
	unsigned char head[HEAD_SIZE]; /* the file's first bytes, as they are */
	size_t head_size;
	int read_error;                /* errno of a read that failed; libarchive takes one at the very beginning for an empty file */
	bool passing;  /* the current line was too long: skip to its end */
	bool end;      /* the file has been read to its end */
	size_t begin;  /* buffer[begin, filled) has been read and not yet handed out */
	size_t filled;
	char raw[READ_SIZE];
	char buffer[INPUT_LINE_MAX + READ_SIZE + 1];
};

/* How the file is compressed by its first bytes, or NULL. */
static const char *compression(const struct input *input)
{
	return compression_name(input->head, input->head_size);
}

static const char *archive_reason(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return text ? text : "no reason given";
}

/* A failed read, in words: by far the most common reason is a file that was not copied whole. */
static int describe_failure(struct input *input, struct problem *problem)
{
	const char *name = compression(input);

	if (input->read_error == EINTR)
		return problem_set(problem, "interrupted");
	if (input->read_error)
		return problem_set(problem, "cannot be read: %s", strerror(input->read_error));
	if (name)
		return problem_set(problem, "truncated or damaged %s data (%s)", name, archive_reason(input->archive));
	return problem_set(problem, "cannot be read: %s", archive_reason(input->archive));
}

/* Files that people take for the text of a trace. Returns 0, or -1 with @problem set to what to do instead. */
static int refuse_binary(const struct input *input, struct problem *problem)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *advice;
	} known[] = {
		{ "\x17\x08\x44tracing", 10, "a binary file of trace-cmd: run \"trace-cmd report\" and replay its output" },
		{ "PERFILE2", 8, "a binary file of perf: run \"perf script\" and replay its output" },
		{ "PK\x03\x04", 4, "a zip file: unpack it first" },
		{ "\x7f" "ELF", 4, "a program, not a trace" },
	};
	size_t size = input->filled;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (size >= known[i].size && !memcmp(input->buffer, known[i].magic, known[i].size))
			return problem_set(problem, "is %s", known[i].advice);
	}
	/* What libarchive takes for plain although it begins as compressed data do. */
	if (compression(input) && !strcmp(archive_filter_name(input->archive, 0), "none"))
		return problem_set(problem, "truncated or damaged %s data (no whole header)", compression(input));
	return 0;
}

/* libarchive asks for more of the file. */
static la_ssize_t read_raw(struct archive *archive, void *ctx, const void **bytes)
{
	struct input *input = ctx;
	struct pollfd pollfd = { .fd = input->fd, .events = POLLIN };
	ssize_t got = -1;
	int ready;

	while (!interrupted()) {
		ready = poll(&pollfd, 1, POLL_MS);
		if (!ready || (ready < 0 && errno == EINTR))
			continue;
		got = read(input->fd, input->raw, sizeof(input->raw));
		if (got >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
	}
	if (got < 0) {
		input->read_error = interrupted() ? EINTR : errno;
		archive_set_error(archive, input->read_error, "%s", strerror(input->read_error));
		return ARCHIVE_FATAL;
	}
	for (ssize_t i = 0; i < got && input->head_size < HEAD_SIZE; i++)
		input->head[input->head_size++] = (unsigned char)input->raw[i];
	*bytes = input->raw;
	return got;
}

/* Read more behind what is there. Returns 0, or -1 with @problem set. */
static int refill(struct input *input, struct problem *problem)
{
	la_ssize_t got;

	memmove(input->buffer, input->buffer + input->begin, input->filled - input->begin);
	input->filled -= input->begin;
	input->begin = 0;
	got = archive_read_data(input->archive, input->buffer + input->filled, READ_SIZE);
	if (got < 0 || input->read_error)
		return describe_failure(input, problem);
	input->end = !got;
	input->filled += (size_t)got;
	return 0;
}

static int open_archive(struct input *input, struct problem *problem)
{
	struct archive *archive = compression_reader();
	struct archive_entry *entry;
	int ret;

	input->archive = archive;
	if (!archive)
		return problem_set(problem, "cannot be read: no memory");
	if (archive_read_open(archive, input, NULL, read_raw, NULL) != ARCHIVE_OK)
		return describe_failure(input, problem);
	ret = archive_read_next_header(archive, &entry);
	if (ret == ARCHIVE_EOF && !input->read_error)
		return problem_set(problem, "is empty");
	if (ret != ARCHIVE_OK)
		return describe_failure(input, problem);
	return 0;
}

struct input *input_open(const char *path, struct problem *problem)
{
	struct input *input = memory_new(1, sizeof(*input));
	struct stat status;

	input->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (input->fd < 0) {
		problem_set(problem, "%s", strerror(errno));
		goto fail;
	}
	if (fstat(input->fd, &status)) {
		problem_set(problem, "%s", strerror(errno));
		goto fail;
	}
	if (S_ISDIR(status.st_mode)) {
		problem_set(problem, "is a directory; name the trace files in it");
		goto fail;
	}
	if (S_ISREG(status.st_mode))
		input->file_size = (uint64_t)status.st_size;
	if (open_archive(input, problem) || refill(input, problem))
		goto fail;
	if (refuse_binary(input, problem))
		goto fail;
	if (input->end) {
		problem_set(problem, "is empty");
		goto fail;
	}
	return input;
fail:
	input_close(input);
	return NULL;
}

enum input_result input_next(struct input *input, char **line, size_t *size, struct problem *problem)
{
	char *begin, *newline;
	size_t there, searched = 0;

	for (;;) {
		begin = input->buffer + input->begin;
		there = input->filled - input->begin;
		newline = there > searched ? memchr(begin + searched, '\n', there - searched) : NULL;
		if (newline || (input->end && (there || input->passing)))
			break;
		if (input->end)
			return INPUT_END;
		searched = there;
		if (there > INPUT_LINE_MAX) {
			input->passing = true;
			input->begin = input->filled;
			searched = 0;
		}
		if (refill(input, problem))
			return INPUT_ERROR;
	}
	*line = begin;
	*size = newline ? (size_t)(newline - begin) : there;
	begin[*size] = 0;
	input->begin += *size + (newline != NULL);
	if (input->passing || *size > INPUT_LINE_MAX) {
		input->passing = false;
		return INPUT_LONG;
	}
	return INPUT_LINE;
}

void input_position(struct input *input, uint64_t *done, uint64_t *total)
{
	*done = (uint64_t)archive_filter_bytes(input->archive, -1);
	*total = input->file_size;
}

void input_close(struct input *input)
{
	if (!input)
		return;
	archive_read_free(input->archive);
	if (input->fd > STDIN_FILENO)
		close(input->fd);
	free(input);
}
