/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fail_nth.h - have the test producer do something when there is no memory
 *
 * Documentation/fault-injection/fault-injection.rst, /proc/<pid>/fail-nth.  A part
 * of each program that includes it, as producer.h is.
 */
#ifndef KHO_FAIL_NTH_H
#define KHO_FAIL_NTH_H

#include "producer.h"

#define FAIL_NTH	"/proc/self/fail-nth"

/* faults are injected at any allocation, and without a word */
static const struct {
	const char *path, *val;
} inject[] = {
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
};

static int no_faults;

/* does the kernel describe what is allocated in memory that it allocates for that? */
static inline bool allocates_beside(void)
{
	return kho_config("CONFIG_KASAN") == 1 || kho_config("CONFIG_DEBUG_KMEMLEAK") == 1;
}

static void __attribute__((constructor(2100))) switch_on(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(inject) && !no_faults; i++)
		no_faults = kho_write(inject[i].path, inject[i].val);
	/* those are of slabs, but for a few pages; and nodes of the map are pages */
	if (!no_faults && allocates_beside())
		no_faults = kho_write("/sys/kernel/debug/failslab/cache-filter", "Y");
}

/* from here on the @nth allocation of this thread fails; returns a descriptor, or an errno */
static inline int fail_nth_arm(int nth)
{
	int at = open(FAIL_NTH, O_RDWR | O_CLOEXEC), err;
	char num[16];

	if (at < 0)
		return -errno;
	snprintf(num, sizeof(num), "%d", nth);
	if (write(at, num, strlen(num)) > 0)
		return at;
	err = -errno;
	close(at);
	return err;
}

/* no more; did one fail? */
static inline int fail_nth_disarm(int at, bool *injected)
{
	char left[16] = "";
	int err = 0;

	*injected = pread(at, left, sizeof(left) - 1, 0) > 0 && !strtol(left, NULL, 10);
	if (pwrite(at, "0", 1, 0) != 1)
		err = -EIO;
	close(at);
	return err;
}

/**
 * producer_nth() - have the test producer do something, and fail an allocation
 * @nth: which one, from 1
 * @injected: whether there was one
 * @command: the command
 *
 * What opening the producer allocates does not count.
 *
 * Return: 0 or the negative errno of the command
 */
static inline int producer_nth(int nth, bool *injected, const char *command)
{
	int fd = open(PRODUCER, O_RDWR | O_CLOEXEC), at, err = 0, off;

	if (fd < 0)
		return -errno;
	at = fail_nth_arm(nth);
	if (at < 0) {
		close(fd);
		return at;
	}
	if (write(fd, command, strlen(command)) < 0)
		err = -errno;
	off = fail_nth_disarm(at, injected);
	close(fd);
	return err ?: off;
}

#endif /* KHO_FAIL_NTH_H */
