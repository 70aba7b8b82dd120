/* SPDX-License-Identifier: MIT */
/*
 * Lines of a text file, or of stdin; plain or compressed with gzip, xz, zstd, bzip2 or lz4, which is told from the first bytes.
 */
#ifndef IOGATE_TOOL_INPUT_H
#define IOGATE_TOOL_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

struct input;

/* Longest line, in bytes. */
#define INPUT_LINE_MAX 65536

enum input_result {
	INPUT_LINE,  /* a line, without its newline, with a zero byte after it */
	INPUT_END,   /* no more */
	INPUT_LONG,  /* a line beyond INPUT_LINE_MAX has been passed over */
	INPUT_ERROR, /* @problem says what; no more can be read */
};

/* Open @path; "-" is stdin. Returns NULL with @problem set, in which the file is not named, for a file that cannot be read or is empty. */
struct input *input_open(const char *path, struct problem *problem);

/* The next line. It stays valid until the next call. */
enum input_result input_next(struct input *input, char **line, size_t *size, struct problem *problem);

/* How far it has come, in bytes of the file. @total is 0 where that is not known. */
void input_position(struct input *input, uint64_t *done, uint64_t *total);

void input_close(struct input *input);

#endif
