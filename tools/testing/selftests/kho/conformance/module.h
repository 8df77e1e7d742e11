/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * module.h - the test producer's module, for checks
 *
 * A part of each program that includes it, as the harness is.
 */
#ifndef KHO_MODULE_H
#define KHO_MODULE_H

#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#define PRODUCER	"/sys/kernel/debug/kho_producer"
#define REPLY_MAX	131072

static int no_module;
static char reply[REPLY_MAX];

/**
 * producer() - have the test producer do something
 * @fmt: the command, see kmod/kho_producer.c
 *
 * Return: 0 with @reply, or the negative errno of the command
 */
static inline int __printf(1, 2) producer(const char *fmt, ...)
{
	char line[256];
	ssize_t n = 0;
	int fd, err = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	*reply = 0;
	fd = open(PRODUCER, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) < 0)
		err = -errno;
	n = read(fd, reply, sizeof(reply) - 1);
	reply[n > 0 ? n : 0] = 0;
	close(fd);
	return err;
}

/* built for the kernel that runs, which a scenario may have a name for */
static inline const char *module_path(void)
{
	const struct kho_boot *b = kho_boot_of(kho_generation());
	static char path[64];

	snprintf(path, sizeof(path), KHO_MODULE, b && *b->step.kernel ? "." : "",
		 b ? b->step.kernel : "");
	return path;
}

/**
 * load_module() - load the test producer
 * @options: its parameters
 *
 * Return: 0, -ENOENT where it was not carried along, -EPERM where the kernel takes no
 * modules (CONFIG_MODULES), or what loading it failed with
 */
static inline int load_module(const char *options)
{
	int fd = open(module_path(), O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = access("/proc/modules", F_OK) ? -EPERM :
	      syscall(SYS_finit_module, fd, options, 0) ? -errno : 0;
	close(fd);
	return err;
}

/* the test producer is there, whatever KHO is */
static inline const char *no_producer_here(void)
{
	static char why[128];

	switch (no_module) {
	case -ENOENT:
		snprintf(why, sizeof(why), "there is no %s", module_path());
		return why;
	case -ENOEXEC:
		snprintf(why, sizeof(why), "%s was built for another kernel", module_path());
		return why;
	case -EPERM:
	case -EKEYREJECTED:
	case -ENOKEY:
		return "this kernel takes no modules, or none without a signature";
	}
	return NULL;
}

static inline const char *no_producer(void)
{
	return kho_why_not() ?: no_producer_here();
}

#endif /* KHO_MODULE_H */
