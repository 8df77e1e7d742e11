/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * luo.h - the ioctls of live update, for checks
 *
 * include/uapi/linux/liveupdate.h.  A part of each program that includes it, as the
 * harness is.
 */
#ifndef KHO_LUO_H
#define KHO_LUO_H

#include "kho.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/liveupdate.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICE	"/dev/liveupdate"

/* the ioctls; each returns 0 or more, or a negative errno */

static inline int device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int session(int dev, unsigned long cmd, const char *name)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };

	/* a name of 64 bytes has no NUL, which is what some checks are about */
	memcpy(arg.name, name, strnlen(name, sizeof(arg.name)));
	return ioctl(dev, cmd, &arg) ? -errno : arg.fd;
}

static inline int create(int dev, const char *name)
{
	return session(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, name);
}

static inline int retrieve_session(int dev, const char *name)
{
	return session(dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, name);
}

static inline int preserve(int s, int fd, u64 token)
{
	struct liveupdate_session_preserve_fd arg = {
		.size = sizeof(arg), .fd = fd, .token = token,
	};

	return ioctl(s, LIVEUPDATE_SESSION_PRESERVE_FD, &arg) ? -errno : 0;
}

static inline int retrieve(int s, u64 token)
{
	struct liveupdate_session_retrieve_fd arg = {
		.size = sizeof(arg), .fd = -1, .token = token,
	};

	return ioctl(s, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg) ? -errno : arg.fd;
}

static inline int finish(int s, u32 reserved)
{
	struct liveupdate_session_finish arg = {
		.size = sizeof(arg), .reserved = reserved,
	};

	return ioctl(s, LIVEUPDATE_SESSION_FINISH, &arg) ? -errno : 0;
}

/* a memfd of some bytes of pattern */
static inline int patterned(size_t size, u64 seed)
{
	int fd = memfd_create("kho", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;

	if (fd < 0 || !size)
		return fd;
	if (ftruncate(fd, size))
		return -1;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	kho_pattern_fill(p, size, seed);
	munmap(p, size);
	return fd;
}

#endif /* KHO_LUO_H */
