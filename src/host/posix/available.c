/* SPDX-License-Identifier: MIT */
/*
 * MemAvailable of the machine, lowered by every control group on the way up from this process: in a container the machine's figure
 * alone would invite the kernel to kill it. Nothing is kept; what cannot be read is taken to be no bound.
 */
#include "available.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 1024

/* The memory controller's files in either version of the interface. */
struct hierarchy {
	const char *mark; /* introduces the group's path in a line of /proc/self/cgroup */
	const char *root;
	const char *max;
	const char *current;
};

static const struct hierarchy hierarchies[] = {
	{ "0::", "/sys/fs/cgroup", "memory.max", "memory.current" },
	{ ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes" },
};

/* Find "NAME NUMBER" at the start of a line; an empty name finds a file's only number. "max", the absence of a bound, is no number. */
static bool read_number(const char *path, const char *name, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(name);
	char line[256];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, name, length) && sscanf(line + length, "%" SCNu64, number) == 1;
	fclose(file);
	return found;
}

/* This process's group in a hierarchy, as "/a/b" or "/"; false where there is none. */
static bool read_group(const struct hierarchy *hierarchy, char *group)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_SIZE];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		const char *path = strstr(line, hierarchy->mark);

		if (!path)
			continue;
		path += strlen(hierarchy->mark);
		found = path[0] == '/';
		if (found)
			snprintf(group, PATH_SIZE, "%.*s", (int)strcspn(path, "\n"), path);
	}
	fclose(file);
	return found;
}

static uint64_t group_number(const struct hierarchy *hierarchy, const char *group, const char *file, const char *name, uint64_t otherwise)
{
	char path[PATH_SIZE + 128];
	uint64_t number;

	snprintf(path, sizeof(path), "%s%s/%s", hierarchy->root, group, file);
	return read_number(path, name, &number) ? number : otherwise;
}

/* What a group may still take. Its page cache counts as use but goes away before anybody is killed. */
static uint64_t group_room(const struct hierarchy *hierarchy, const char *group)
{
	uint64_t max = group_number(hierarchy, group, hierarchy->max, "", UINT64_MAX);
	uint64_t current = group_number(hierarchy, group, hierarchy->current, "", 0);
	uint64_t cache = group_number(hierarchy, group, "memory.stat", "inactive_file ", 0) +
			 group_number(hierarchy, group, "memory.stat", "active_file ", 0);

	current -= cache < current ? cache : current;
	return max > current ? max - current : 0;
}

static uint64_t machine_room(void)
{
	uint64_t kib;
	long pages, page_size;

	if (read_number("/proc/meminfo", "MemAvailable:", &kib))
		return kib * 1024;
	pages = sysconf(_SC_PHYS_PAGES);
	page_size = sysconf(_SC_PAGESIZE);
	if (pages > 0 && page_size > 0)
		return (uint64_t)pages * (uint64_t)page_size / 2;
	return UINT64_C(1) << 30;
}

uint64_t iog_available_memory(void)
{
	uint64_t bytes = machine_room();
	size_t i;

	for (i = 0; i < sizeof(hierarchies) / sizeof(hierarchies[0]); i++) {
		char group[PATH_SIZE];
		char *slash;

		if (!read_group(&hierarchies[i], group))
			continue;
		/* Up to the root, which in a container with a namespace of its own is where its bound stands. */
		while ((slash = strrchr(group, '/'))) {
			uint64_t room = group_room(&hierarchies[i], group[1] ? group : "");

			if (room < bytes)
				bytes = room;
			*slash = '\0';
		}
		if (group_room(&hierarchies[i], "") < bytes)
			bytes = group_room(&hierarchies[i], "");
	}
	return bytes;
}
