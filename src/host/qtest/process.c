/* SPDX-License-Identifier: MIT */
/*
 * QEMU as a child. It is in a process group of its own, so that a Ctrl-C is ours to handle, and is killed by the kernel when the thread that started it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define END_MS 2000

/* The child goes, without anything that its parent does at its end. */
void iog_qtest_give_up(void)
{
	for (;;)
		raise(SIGKILL);
}

/* Only what may be called between fork and exec. */
static void child(const char *path, const char *const *arguments, int line, int complaints, const int *keep, uint32_t nr_keep, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		iog_qtest_give_up();
	setpgid(0, 0);
	if (dup2(line, 0) < 0 || dup2(line, 1) < 0 || dup2(complaints, 2) < 0)
		iog_qtest_give_up();
	for (uint32_t n = 0; n < nr_keep; n++)
		if (fcntl(keep[n], F_SETFD, 0) < 0)
			iog_qtest_give_up();
	execv(path, (char *const *)(uintptr_t)arguments);
	iog_qtest_give_up();
}

int iog_qtest_start(struct qtest_process *process, const char *path, const char *const *arguments, const int *keep, uint32_t nr_keep)
{
	pid_t parent = getpid(), pid;
	int ends[2], complaints;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -IOG_EIO;
	complaints = memfd_create("iogate-qemu", MFD_CLOEXEC);
	if (complaints < 0)
		goto err_ends;
	pid = fork();
	if (!pid)
		child(path, arguments, ends[1], complaints, keep, nr_keep, parent);
	if (pid < 0)
		goto err_complaints;
	close(ends[1]);
	process->pid = pid;
	process->line = ends[0];
	process->complaints = complaints;
	return 0;

err_complaints:
	close(complaints);
err_ends:
	close(ends[0]);
	close(ends[1]);
	return -IOG_EIO;
}

static bool ended(struct qtest_process *process, int flags)
{
	pid_t pid;

	do
		pid = waitpid(process->pid, NULL, flags);
	while (pid < 0 && errno == EINTR);
	return pid != 0;
}

void iog_qtest_end(struct qtest_process *process)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	if (!process->pid)
		return;
	close(process->line);
	kill(process->pid, SIGTERM);
	for (uint32_t n = 0; n < END_MS && !ended(process, WNOHANG); n++) {
		nanosleep(&pause, NULL);
		if (n == END_MS - 1) {
			kill(process->pid, SIGKILL);
			ended(process, 0);
		}
	}
	close(process->complaints);
	process->pid = 0;
}

void iog_qtest_complaint(const struct qtest_process *process, char *text, size_t size)
{
	char said[1024];
	off_t end = lseek(process->complaints, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(said) - 1 ? end - ((off_t)sizeof(said) - 1) : 0;
	ssize_t got = pread(process->complaints, said, sizeof(said) - 1, from);
	char *last;

	said[got > 0 ? got : 0] = 0;
	while (*said && said[strlen(said) - 1] == '\n')
		said[strlen(said) - 1] = 0;
	last = strrchr(said, '\n');
	snprintf(text, size, "%s", last ? last + 1 : said);
}
