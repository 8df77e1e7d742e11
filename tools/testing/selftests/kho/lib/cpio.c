// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpio.c - write a cpio archive as the kernel unpacks it
 *
 * The format is "newc" of Documentation/driver-api/early-userspace/
 * buffer-format.rst.
 */
#include <string.h>
#include <sys/stat.h>

#include "cpio.h"

/**
 * kho_cpio_align() - pad to the next multiple of four bytes
 * @out: the archive; its position counts from where it begins
 */
void kho_cpio_align(FILE *out)
{
	for (long at = ftell(out); at & 3; at++)
		fputc(0, out);
}

static void entry(FILE *out, unsigned int ino, const char *name,
		  unsigned int mode, unsigned int major, unsigned int minor,
		  const void *data, size_t len)
{
	fprintf(out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		ino, mode, 0, 0, 1, 0, (unsigned int)len, 0, 0, major, minor,
		(unsigned int)strlen(name) + 1, 0);
	fwrite(name, strlen(name) + 1, 1, out);
	kho_cpio_align(out);
	if (len)
		fwrite(data, len, 1, out);
	kho_cpio_align(out);
}

/**
 * kho_cpio_dir() - a directory
 * @out: the archive
 * @ino: unique number
 * @name: path without leading slash; what it is in must come before it
 */
void kho_cpio_dir(FILE *out, unsigned int ino, const char *name)
{
	entry(out, ino, name, S_IFDIR | 0755, 0, 0, NULL, 0);
}

/**
 * kho_cpio_node() - a character device
 * @out: the archive
 * @ino: unique number
 * @name: path without leading slash
 * @major: of the device
 * @minor: of the device
 */
void kho_cpio_node(FILE *out, unsigned int ino, const char *name,
		   unsigned int major, unsigned int minor)
{
	entry(out, ino, name, S_IFCHR | 0600, major, minor, NULL, 0);
}

/**
 * kho_cpio_file() - a regular file
 * @out: the archive
 * @ino: unique number
 * @name: path without leading slash
 * @mode: permission bits
 * @data: its content
 * @len: bytes, below 4 GiB
 */
void kho_cpio_file(FILE *out, unsigned int ino, const char *name,
		   unsigned int mode, const void *data, size_t len)
{
	entry(out, ino, name, S_IFREG | mode, 0, 0, data, len);
}

/**
 * kho_cpio_link() - a symbolic link
 * @out: the archive
 * @ino: unique number
 * @name: path without leading slash
 * @to: where it leads, seen from there
 */
void kho_cpio_link(FILE *out, unsigned int ino, const char *name, const char *to)
{
	entry(out, ino, name, S_IFLNK | 0777, 0, 0, to, strlen(to));
}

/**
 * kho_cpio_end() - the entry that ends an archive
 * @out: the archive
 */
void kho_cpio_end(FILE *out)
{
	entry(out, 0, "TRAILER!!!", 0, 0, 0, NULL, 0);
}
