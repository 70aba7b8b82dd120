/* SPDX-License-Identifier: MIT */
/*
 * The segments of an ELF core, 32 or 64 bits, little-endian. Every field is taken for hostile: counts are bounded by the file's size, sums checked.
 */
#include "image_file.h"

#include <elf.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "../memory.h"

/* Program headers are read a few at a time, so that a count that lies costs no memory. */
#define HEADERS_AT_ONCE 64

/* What the header says, whichever its width. */
struct elf_header {
	bool wide; /* ELFCLASS64 */
	uint64_t phoff;
	uint64_t shoff;
	uint32_t phentsize;
	uint32_t phnum;
	uint32_t shentsize;
};

static uint64_t field(const unsigned char *bytes, size_t offset, uint32_t size)
{
	return little_endian(bytes + offset, size);
}

/* A field that both widths have under one name. */
#define ELF_FIELD(header, bytes, type, member)                                                                                    \
	((header)->wide ? field(bytes, offsetof(Elf64_##type, member), sizeof(((Elf64_##type *)0)->member)) :                         \
			  field(bytes, offsetof(Elf32_##type, member), sizeof(((Elf32_##type *)0)->member)))

/* Files that people take for what is wanted. */
static int refuse(const unsigned char *magic, struct problem *problem)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *advice;
	} known[] = {
		{ "KDUMP   ", 8, "a kdump-compressed dump, which is not read: have makedumpfile write ELF (-E), or QEMU's dump-guest-memory without -z, -l, -s" },
		{ "DISKDUMP", 8, "a diskdump, which is not read: have makedumpfile write ELF (-E)" },
		{ "makedumpfile", 12, "makedumpfile's flattened format: rearrange it first (makedumpfile -R)" },
		{ "PAGEDU", 6, "a Windows crash dump, which is not read: have QEMU write ELF (dump-guest-memory without -w)" },
		{ "QEVM", 4, "a QEMU migration stream, which is not read: use dump-guest-memory" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!memcmp(magic, known[i].magic, known[i].size))
			return problem_set(problem, "is %s", known[i].advice);
	}
	return problem_set(problem, "is no ELF core; for a raw image of memory give --base, the address of its first byte");
}

static int header_read(const struct image_file *file, struct elf_header *header, struct problem *problem)
{
	unsigned char bytes[sizeof(Elf64_Ehdr)] = { 0 };
	size_t there = file->size < sizeof(bytes) ? (size_t)file->size : sizeof(bytes);
	uint64_t type;
	int ret = image_file_read(file, 0, bytes, there);

	if (ret)
		return problem_set(problem, "cannot be read: %s", strerror(ret));
	if (memcmp(bytes, ELFMAG, SELFMAG))
		return refuse(bytes, problem);
	if (bytes[EI_CLASS] != ELFCLASS64 && bytes[EI_CLASS] != ELFCLASS32)
		return problem_set(problem, "is a damaged ELF file: class %u is neither 1 (32 bits) nor 2 (64 bits)", bytes[EI_CLASS]);
	header->wide = bytes[EI_CLASS] == ELFCLASS64;
	if (there < (header->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return problem_set(problem, "is truncated: %" PRIu64 " bytes hold no ELF header", file->size);
	if (bytes[EI_DATA] != ELFDATA2LSB)
		return problem_set(problem, "is a big-endian ELF file; the dumps that are read are little-endian");
	type = ELF_FIELD(header, bytes, Ehdr, e_type);
	if (type != ET_CORE)
		return problem_set(problem, "is an ELF file but no core dump (type %" PRIu64 ", not %d)", type, ET_CORE);
	header->phoff = ELF_FIELD(header, bytes, Ehdr, e_phoff);
	header->shoff = ELF_FIELD(header, bytes, Ehdr, e_shoff);
	header->phentsize = (uint32_t)ELF_FIELD(header, bytes, Ehdr, e_phentsize);
	header->phnum = (uint32_t)ELF_FIELD(header, bytes, Ehdr, e_phnum);
	header->shentsize = (uint32_t)ELF_FIELD(header, bytes, Ehdr, e_shentsize);
	return 0;
}

/* From 65,535 program headers on, their number stands in the first section header. */
static int extended_count(const struct image_file *file, struct elf_header *header, struct problem *problem)
{
	unsigned char bytes[sizeof(Elf64_Shdr)];
	size_t size = header->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);

	if (header->phnum != PN_XNUM)
		return 0;
	if (header->shentsize != size || image_file_read(file, header->shoff, bytes, size))
		return problem_set(problem, "is a damaged ELF core: more than 65534 program headers, and no section header that counts them");
	header->phnum = (uint32_t)ELF_FIELD(header, bytes, Shdr, sh_info);
	return 0;
}

static int segment_add(const struct image_file *file, const struct elf_header *header, const unsigned char *bytes, uint32_t number,
		       struct image_segments *segments, struct problem *problem)
{
	uint64_t offset, paddr, size, end;

	if (ELF_FIELD(header, bytes, Phdr, p_type) != PT_LOAD)
		return 0;
	offset = ELF_FIELD(header, bytes, Phdr, p_offset);
	paddr = ELF_FIELD(header, bytes, Phdr, p_paddr);
	/* What memory has beyond the file's share (p_memsz) was left out of the dump. */
	size = ELF_FIELD(header, bytes, Phdr, p_filesz);
	/* Linux gives -1 to what has no physical address. */
	if (!size || (paddr == UINT64_MAX && size > 1))
		return 0;
	if (__builtin_add_overflow(paddr, size - 1, &end))
		return problem_set(problem, "is a damaged ELF core: segment %" PRIu32 " (0x%" PRIx64 " bytes from 0x%" PRIx64 ") ends beyond 64 bits", number, size,
				   paddr);
	if (__builtin_add_overflow(offset, size, &end) || end > file->size)
		return problem_set(problem, "is truncated: segment %" PRIu32 " is 0x%" PRIx64 " bytes at offset 0x%" PRIx64 ", and the file has 0x%" PRIx64, number,
				   size, offset, file->size);
	if ((segments->count & (segments->count - 1)) == 0)
		segments->list = memory_resize(segments->list, segments->count ? 2 * segments->count : 1, sizeof(*segments->list));
	segments->list[segments->count++] = (struct image_segment){ .paddr = paddr, .size = size, .offset = offset };
	return 0;
}

static int segments_read(const struct image_file *file, const struct elf_header *header, struct image_segments *segments, struct problem *problem)
{
	unsigned char bytes[HEADERS_AT_ONCE * sizeof(Elf64_Phdr)];
	size_t size = header->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	uint64_t end;
	uint32_t count;

	if (header->phentsize != size)
		return problem_set(problem, "is a damaged ELF core: a program header of %" PRIu32 " bytes, not %zu", header->phentsize, size);
	/* The product cannot overflow: 2^32 times 56. */
	if (__builtin_add_overflow(header->phoff, (uint64_t)header->phnum * size, &end) || end > file->size)
		return problem_set(problem, "is truncated: %" PRIu32 " program headers at offset 0x%" PRIx64 " do not fit into 0x%" PRIx64 " bytes", header->phnum,
				   header->phoff, file->size);
	for (uint32_t number = 0; number < header->phnum; number += count) {
		count = header->phnum - number < HEADERS_AT_ONCE ? header->phnum - number : HEADERS_AT_ONCE;
		if (image_file_read(file, header->phoff + number * (uint64_t)size, bytes, count * size))
			return problem_set(problem, "cannot be read at offset 0x%" PRIx64, header->phoff + number * (uint64_t)size);
		for (uint32_t i = 0; i < count; i++) {
			if (segment_add(file, header, bytes + i * size, number + i, segments, problem))
				return -1;
		}
	}
	if (!segments->count)
		return problem_set(problem, "is an ELF core without memory: no PT_LOAD segment with contents");
	return 0;
}

int image_elf_segments(const struct image_file *file, struct image_segments *segments, struct problem *problem)
{
	struct elf_header header = { 0 };

	*segments = (struct image_segments){ 0 };
	if (header_read(file, &header, problem) || extended_count(file, &header, problem))
		return -1;
	if (segments_read(file, &header, segments, problem)) {
		free(segments->list);
		*segments = (struct image_segments){ 0 };
		return -1;
	}
	return 0;
}
