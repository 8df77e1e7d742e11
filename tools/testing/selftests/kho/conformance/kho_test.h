/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kho_test.h - a check about a requirement, on the kselftest harness
 */
#ifndef KHO_TEST_H
#define KHO_TEST_H

/* the harness compares what it is given as what it is */
#pragma GCC diagnostic ignored "-Wsign-compare"

#include "kselftest_harness.h"

/*
 * On a busy machine without acceleration half a minute is not long.  A check that
 * hangs is ended by who runs it: khotest, when no record comes, or kselftest.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checks.h"
#include "kho.h"
#include "requirements.h"
#include "scenario.h"

/* in bytes, of the kernel that runs */
static inline u64 page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* shared with the processes that the checks run in: did one get to its end? */
static bool *kho_test_ran;

/* the harness calls it a success when all checks were skipped; that it is not */
static void kho_test_end(int status, void *arg __maybe_unused)
{
	if (status == KSFT_PASS && kho_test_ran && !*kho_test_ran) {
		fflush(NULL);
		_exit(KSFT_SKIP);
	}
}

static void __attribute__((constructor)) kho_test_begin(void)
{
	void *p = mmap(NULL, sizeof(*kho_test_ran), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	kho_test_ran = p;
	on_exit(kho_test_end, NULL);
	/* worked out once, and not in the process of each check */
	kho_boot_of(kho_generation());
}

/**
 * kho_test_run() - run all checks, and come back
 * @argc: of main()
 * @argv: of main()
 *
 * The harness ends its process: what comes after it needs another one.
 *
 * Return: exit status of the checks, or KSFT_FAIL if they were ended otherwise
 */
static inline int kho_test_run(int argc, char **argv)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid)
		exit(test_harness_run(argc, argv));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return KSFT_FAIL;
	return WEXITSTATUS(status);
}

/**
 * KHO_TEST() - a check
 * @id: the requirement it is about, in lower case; an unknown one does not
 *	compile
 * @name: of the check
 *
 * Followed by the body.  It is skipped with the reason where KHO's debugfs interface
 * cannot be looked at, and a line in the kernel log that reports a failure of the kernel
 * while it runs makes it fail.
 */
#define KHO_TEST(id, name)	KHO_TEST_WHERE(id, name, kho_no_debugfs())

/**
 * KHO_TEST_WHERE() - a check with its own idea of where it makes sense
 * @id: see KHO_TEST()
 * @name: see KHO_TEST()
 * @why_not: expression: the reason to skip, or NULL
 */
#define KHO_TEST_WHERE(id, name, why_not)				\
	KHO_CHECKS(id, name);						\
	static void id##__##name##_body(struct __test_metadata *_metadata); \
	TEST(id##__##name)						\
	{								\
		const char *why = (why_not) ?: kho_req_why_not(KHO_REQ_##id); \
		int klog = kho_klog_open(false);			\
									\
		if (why)						\
			SKIP(return, "%s", why);			\
		id##__##name##_body(_metadata);				\
		if (kho_test_ran && _metadata->exit_code != KSFT_SKIP)	\
			*kho_test_ran = true;				\
		kho_test_klog(_metadata, klog);				\
	}								\
	static void id##__##name##_body(struct __test_metadata *_metadata \
					__maybe_unused)

/* from here on the kernel must warn, in a function of that name or begin of a name */
static inline int kho_warning_begin(struct __test_metadata *_metadata, const char *function)
{
	int fd = kho_klog_open(false);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kho_klog_ask(function));
	return fd;
}

/* up to here it did, @times */
static inline void kho_warning_end(struct __test_metadata *_metadata, int fd,
				   const char *function, int times)
{
	char line[1024];
	int n, met = 0;

	ASSERT_EQ(0, kho_klog_ask(NULL));
	while ((n = kho_klog_next(fd, line, sizeof(line))) != 0) {
		if (n < 0 && n != -EPIPE)
			break;
		met += n > 0 && kho_klog_warns(line, function);
	}
	close(fd);
	EXPECT_EQ(times, met) {
		TH_LOG("%s* must warn %d times, did %d times", function, times, met);
	}
}

/* the kernel has nothing to complain about while a check runs */
static inline void kho_test_klog(struct __test_metadata *_metadata, int fd)
{
	struct kho_klog_ear ear = { };
	char line[1024];
	int nr_bad = 0;
	bool bad;

	if (fd < 0)
		return;
	while (kho_klog_hear(&ear, fd, line, sizeof(line), &bad) > 0) {
		if (bad)
			TH_LOG("kernel log: %s", line);
		nr_bad += bad;
	}
	close(fd);
	EXPECT_EQ(0, nr_bad);
}

#endif /* KHO_TEST_H */
