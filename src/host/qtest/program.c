/* SPDX-License-Identifier: MIT */
/*
 * Which QEMU: the first of the candidates whose version is wanted. A version is what the program itself says.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define VERSION_TIMEOUT_MS 10000

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All of a short output, or what came before it stayed silent for too long. */
static void read_all(int file, char *text, size_t size)
{
	struct pollfd ready = { .fd = file, .events = POLLIN };
	int64_t end = now_ms() + VERSION_TIMEOUT_MS, left;
	size_t used = 0;
	ssize_t got;

	while (used + 1 < size && (left = end - now_ms()) > 0) {
		int seen = poll(&ready, 1, (int)left);

		/* A signal. */
		if (seen < 0 && errno == EINTR)
			continue;
		if (seen != 1)
			break;
		got = read(file, text + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	text[used] = 0;
}

/* Major * 100 + minor; 0 if it does not say. */
static uint32_t version_of(const char *path)
{
	static const char says[] = "version ";
	unsigned int major, minor;
	char text[256];
	const char *at;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return 0;
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(ends[1], 1);
		dup2(null, 2);
		execl(path, path, "--version", (char *)NULL);
		iog_qtest_give_up();
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return 0;
	}
	read_all(ends[0], text, sizeof(text));
	close(ends[0]);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	at = strstr(text, says);
	if (!at || sscanf(at + sizeof(says) - 1, "%u.%u", &major, &minor) != 2 || major > 999 || minor > 99)
		return 0;
	return major * 100 + minor;
}

struct search {
	const struct iog_qtest_config *config;
	char *path;
	size_t path_size;
	uint32_t version;
	/* One that would not do, for the message. */
	char other[QTEST_WHY];
	uint32_t other_version;
};

/* Whether the program at @path is one. */
static bool fits(struct search *search)
{
	uint32_t version, major;

	if (access(search->path, X_OK))
		return false;
	version = version_of(search->path);
	major = version / 100;
	if (version && major >= search->config->version_min && (!search->config->version_max || major <= search->config->version_max)) {
		search->version = version;
		return true;
	}
	snprintf(search->other, sizeof(search->other), "%s", search->path);
	search->other_version = version;
	return false;
}

static bool in_directories(struct search *search, const char *directories, const char *program)
{
	while (directories && *directories) {
		size_t length = strcspn(directories, ":");

		if (length && (size_t)snprintf(search->path, search->path_size, "%.*s/%s", (int)length, directories, program) < search->path_size && fits(search))
			return true;
		directories += length + (directories[length] == ':');
	}
	return false;
}

static bool named(struct search *search, const char *path)
{
	return path && *path && (size_t)snprintf(search->path, search->path_size, "%s", path) < search->path_size && fits(search);
}

int iog_qtest_program(const struct qtest_machine *machine, const struct iog_qtest_config *config, char *path, size_t path_size, uint32_t *version, char *why)
{
	struct search search = { .config = config, .path = path, .path_size = path_size };
	char wanted[64] = "";

	if (named(&search, getenv(machine->environment)) || in_directories(&search, getenv("IOG_QEMU_DIRS"), machine->program) ||
	    in_directories(&search, getenv("PATH"), machine->program)) {
		*version = search.version;
		return 0;
	}
	if (config->version_min && config->version_max)
		snprintf(wanted, sizeof(wanted), " %u to %u", config->version_min, config->version_max);
	else if (config->version_min)
		snprintf(wanted, sizeof(wanted), " %u or later", config->version_min);
	else if (config->version_max)
		snprintf(wanted, sizeof(wanted), " %u or earlier", config->version_max);
	if (search.other_version)
		snprintf(why, QTEST_WHY, "%s%s is not there (%.120s is %u.%u)", machine->program, wanted, search.other, search.other_version / 100,
			 search.other_version % 100);
	else
		snprintf(why, QTEST_WHY, "%s%s is not there", machine->program, wanted);
	return -IOG_ENOENT;
}
