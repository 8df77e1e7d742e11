/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cpio.h - write a cpio archive as the kernel unpacks it (newc)
 *
 * Times, owners and inode numbers are fixed: the same input gives the same
 * bytes.  Errors are the stream's: look at ferror() or fclose().
 */
#ifndef KHO_CPIO_H
#define KHO_CPIO_H

#include <stdio.h>

#include "types.h"

void kho_cpio_dir(FILE *out, unsigned int ino, const char *name);
void kho_cpio_node(FILE *out, unsigned int ino, const char *name,
		   unsigned int major, unsigned int minor);
void kho_cpio_file(FILE *out, unsigned int ino, const char *name,
		   unsigned int mode, const void *data, size_t len);
void kho_cpio_align(FILE *out);
void kho_cpio_link(FILE *out, unsigned int ino, const char *name, const char *to);
void kho_cpio_end(FILE *out);

#endif /* KHO_CPIO_H */
