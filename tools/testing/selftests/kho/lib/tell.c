// SPDX-License-Identifier: GPL-2.0-only
/*
 * tell.c - records of a kernel that came up, of its log, and of what programs say
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kho.h"
#include "tell.h"

static void __printf(3, 4) tellf(const struct kho_teller *t, enum kho_record_kind kind,
				 const char *fmt, ...)
{
	char buf[KHO_RECORD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	t->record(kind, buf, strlen(buf));
}

static void nothing(int sig __maybe_unused)
{
}

/**
 * kho_tell_begin() - before anything else of this is called
 *
 * The end of a child wakes kho_tell_program(), and nothing else.
 */
void kho_tell_begin(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigaction(SIGCHLD, &sa, NULL);
}

/**
 * kho_tell_boot() - tell of the kernel that runs
 * @t: who tells
 */
void kho_tell_boot(const struct kho_teller *t)
{
	struct kho_blob b = { };
	struct timespec ts;
	struct utsname u;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	uname(&u);
	kho_read_file("/proc/cmdline", &b);
	tellf(t, KHO_REC_BOOT, "release=%s uptime_ns=%lld cmdline=%s", u.release,
	      ts.tv_sec * 1000000000LL + ts.tv_nsec,
	      b.data ? strtok(b.data, "\n") : "");
	kho_blob_free(&b);
}

/**
 * kho_tell_klog() - tell of all that has come in the kernel log and must not have
 * @t: who tells
 */
void kho_tell_klog(const struct kho_teller *t)
{
	static struct kho_klog_ear ear;
	char line[2048];
	int tail = 0;
	bool bad;

	while (kho_klog_hear(&ear, t->klog, line, sizeof(line), &bad) > 0) {
		if (bad && !(t->known && t->known(line)))
			tail = 12;
		/* what follows a report explains it */
		if (tail) {
			t->record(KHO_REC_KLOG, line, strlen(line));
			tail--;
		}
	}
}

/* line by line until its last holder is gone */
static int pass_on(const struct kho_teller *t, int fd, pid_t pid)
{
	static char buf[KHO_RECORD_MAX];
	sigset_t awake;
	size_t len = 0;
	bool dead = false;
	int status = 0;

	sigemptyset(&awake);

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char *nl;
		ssize_t n;
		/*
		 * A program may leave workers behind on purpose, and they hold
		 * the pipe: once it has ended only what is there is read.
		 */
		const struct timespec now = { };
		int ready = ppoll(&p, 1, dead ? &now : NULL, &awake);

		if (ready <= 0 && !dead) {
			/* SIGCHLD, which only ppoll() lets in: which child? */
			dead = waitpid(pid, &status, WNOHANG) == pid;
			continue;
		}
		if (ready <= 0)
			break;
		n = read(fd, buf + len, sizeof(buf) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += n;
		while ((nl = memchr(buf, '\n', len))) {
			t->record(KHO_REC_LINE, buf, nl - buf);
			len -= nl + 1 - buf;
			memmove(buf, nl + 1, len);
		}
		if (len == sizeof(buf)) {
			t->record(KHO_REC_LINE, buf, len);
			len = 0;
		}
		if (!dead)
			dead = waitpid(pid, &status, WNOHANG) == pid;
	}
	if (len)
		t->record(KHO_REC_LINE, buf, len);
	if (!dead)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	return status;
}

/**
 * kho_tell_program() - pass on what a program says, and tell how it ended
 * @t: who tells
 * @fd: what it writes to
 * @pid: its process
 *
 * Return: its status, as waitpid() has it
 */
int kho_tell_program(const struct kho_teller *t, int fd, pid_t pid)
{
	int status = pass_on(t, fd, pid);

	kho_tell_klog(t);
	if (WIFSIGNALED(status))
		tellf(t, KHO_REC_END, "signal %d", WTERMSIG(status));
	else
		tellf(t, KHO_REC_END, "exit %d", WEXITSTATUS(status));
	return status;
}
