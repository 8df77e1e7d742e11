// SPDX-License-Identifier: GPL-2.0-only
/*
 * klog.c - the kernel log, and which lines of it no good kernel writes
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kho.h"

/*
 * Each is how the kernel begins a report of its own failure.  They are looked
 * for at the start of the message, behind the time stamp and caller, so that
 * a line that only mentions one ("DEBUG:", a command line) is not taken.
 */
static const char * const bad_starts[] = {
	"WARNING:", "BUG:", "BUG ", "Kernel panic", "Oops", "Call Trace:",
	"KASAN:", "UBSAN:", "KCSAN:", "KMSAN:", "general protection",
	"Unable to handle kernel", "unable to handle", "Internal error",
	"INFO: task ", "INFO: rcu", "rcu: INFO:", "INFO: possible recursive",
	"INFO: possible circular", "INFO: suspicious RCU", "kernel BUG at",
	"page allocation failure", "Out of memory", "refcount_t:",
	"watchdog: BUG", "Bad page", "list_add corruption", "list_del corruption",
	"------------[ cut here ]", "=============================",
	"double fault", "traps: ", "divide error", "stack segment", "Freeing non-",
	"Bad page state", "invalid opcode",
};

/* "[   12.345678] ", "[   12.345678][    T1] ", "<4>", "KHO: " are no part */
static const char *message(const char *p)
{
	if (*p == '<') {
		const char *q = p + 1;

		while (isdigit((unsigned char)*q))
			q++;
		if (*q == '>')
			p = q + 1;
	}
	while (*p == '[') {
		const char *q = p + 1;

		while (*q == ' ' || *q == '.' || *q == 'T' || *q == 'C' ||
		       isdigit((unsigned char)*q))
			q++;
		if (*q != ']')
			break;
		p = q + 1;
	}
	while (*p == ' ')
		p++;
	return p;
}

/* what a check that means to provoke a warning writes into the log */
#define ASKS		"kho_test: a warning is asked for in "
#define ASKS_NO_MORE	"kho_test: no warning is asked for any more"

/**
 * kho_klog_warns() - is this the line of a warning that names where it is?
 * @line: see kho_klog_bad()
 * @function: begin of the name of the function
 *
 * Return: true if it is, and was met there
 */
bool kho_klog_warns(const char *line, const char *function)
{
	const char *msg = message(line), *at = strstr(msg, " at ");

	if (strncmp(msg, "WARNING:", 8) || !at)
		return false;
	at += 4;
	/* of older kernels file and line stand before the function */
	if (strncmp(at, function, strlen(function)) && strchr(at, ' '))
		at = strchr(at, ' ') + 1;
	return !strncmp(at, function, strlen(function));
}

/**
 * kho_klog_ask() - say in the kernel log that a warning is meant to be
 * @function: begin of the name of the function that must warn; NULL for no more
 *
 * Whoever listens to the log takes such a warning, and none other, for what it is.
 * A warning that comes once in a kernel's life comes again.
 *
 * Return: 0, or what went wrong
 */
int kho_klog_ask(const char *function)
{
	char line[128];

	if (function)
		kho_write("/sys/kernel/debug/clear_warn_once", "1");
	/* on the console whatever is shown there */
	if (function)
		snprintf(line, sizeof(line), "<3>" ASKS "%s", function);
	else
		snprintf(line, sizeof(line), "<3>" ASKS_NO_MORE);
	return kho_write("/dev/kmsg", line);
}

/*
 * A warning that was asked for begins, names its place, and tells how it came there; who
 * kills for want of memory has words of its own, and so has who may not.
 */
static bool was_asked(const struct kho_klog_ear *ear, const char *line, const char *msg)
{
	bool any = !strncmp(msg, "------------[ cut here ]", 24) ||
		   !strncmp(msg, "Call Trace:", 11);

	if (ear->unsure)
		return any || !strncmp(msg, "WARNING:", 8);
	return *ear->asked && (kho_klog_warns(line, ear->asked) || any ||
			       (!strcmp(ear->asked, "oom_kill_process") &&
				(strstr(msg, "invoked oom-killer") ||
				 strstr(msg, "page allocation failure:") ||
				 !strncmp(msg, "Out of memory: Killed process ", 30))));
}

/**
 * kho_klog_bad() - is this line of a kernel log the report of a failure?
 * @ear: who listens; it remembers what kho_klog_ask() said
 * @line: from /dev/kmsg's text, dmesg or a console, with or without time stamp
 *
 * Return: true if no kernel in order writes it
 */
bool kho_klog_bad(struct kho_klog_ear *ear, const char *line)
{
	const char *msg = message(line);

	if (!strncmp(msg, ASKS, strlen(ASKS))) {
		snprintf(ear->asked, sizeof(ear->asked), "%s", msg + strlen(ASKS));
		ear->unsure = false;
	} else if (!strncmp(msg, ASKS_NO_MORE, strlen(ASKS_NO_MORE))) {
		*ear->asked = '\0';
		ear->unsure = false;
	}
	if (was_asked(ear, line, msg))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(bad_starts); i++)
		if (!strncmp(msg, bad_starts[i], strlen(bad_starts[i])))
			return true;
	return strstr(msg, "page allocation failure:") || strstr(msg, "invoked oom-killer") ||
	       strstr(msg, "new suspected memory leaks");
}

/**
 * kho_klog_open() - listen to the kernel log
 * @from_start: from the oldest line that is kept, else from now on
 *
 * Return: a descriptor for kho_klog_next() and close(), or what open failed
 * with
 */
int kho_klog_open(bool from_start)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, from_start ? SEEK_SET : SEEK_END) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/**
 * kho_klog_next() - the next line of the kernel log
 * @fd: from kho_klog_open()
 * @line: its message, without priority and time
 * @size: size of @line in bytes; a longer message is cut
 *
 * Return: 1, 0 if there is none yet, -EPIPE if lines were lost (the next call
 * goes on behind them), or what read failed with
 */
int kho_klog_next(int fd, char *line, size_t size)
{
	char buf[8192];
	char *msg;
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf) - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	buf[n] = '\0';
	msg = strchr(buf, ';');
	msg = msg ? msg + 1 : buf;
	msg[strcspn(msg, "\n")] = '\0';
	snprintf(line, size, "%s", msg);
	return 1;
}

/**
 * kho_klog_hear() - the next line of the kernel log, and whether it tells of a failure
 * @ear: who listens, from one line to the next
 * @fd: see kho_klog_next()
 * @line: see there
 * @size: see there
 * @bad: see kho_klog_bad()
 *
 * Where lines were lost it is not known which warning is asked for until the log says so
 * again: up to there no warning is judged.  Who hears a console has lost none of them.
 *
 * Return: 1, 0 if there is none yet, or what read failed with
 */
int kho_klog_hear(struct kho_klog_ear *ear, int fd, char *line, size_t size, bool *bad)
{
	int n;

	while ((n = kho_klog_next(fd, line, size)) == -EPIPE)
		*ear = (struct kho_klog_ear){ .unsure = true };
	*bad = n > 0 && kho_klog_bad(ear, line);
	return n;
}

/**
 * kho_klog_find() - find a line in what is kept of the kernel log
 * @text: part of the message
 * @line: the first message that has it
 * @size: size of @line in bytes
 *
 * The kernel's own echo of its command line is passed over: an option's text
 * says nothing of what became of it.
 *
 * Return: how many messages have it, or what reading failed with
 */
int kho_klog_find(const char *text, char *line, size_t size)
{
	char buf[2048];
	int fd, n, found = 0;

	fd = kho_klog_open(true);
	if (fd < 0)
		return fd;
	while ((n = kho_klog_next(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && n != -EPIPE) {
			close(fd);
			return n;
		}
		if (n < 0 || !strncmp(buf, "Command line: ", 14) ||
		    !strncmp(buf, "Kernel command line: ", 21) ||
		    !strstr(buf, text))
			continue;
		if (!found++ && line)
			snprintf(line, size, "%s", buf);
	}
	close(fd);
	return found;
}
