/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fdt_check.h - are KHO's blobs what the ABI headers say?
 *
 * Pure functions on bytes that are not trusted.  Each adds what it finds wrong
 * to a list, in words and with the place, and decodes what is in order.
 */
#ifndef KHO_FDT_CHECK_H
#define KHO_FDT_CHECK_H

#include "kho.h"
#include "problems.h"

#define KHO_COMPATIBLE		"kho-v4"
#define KHO_LUO_COMPATIBLE	"luo-v5"
/* in a page of 64 KiB, which the root tree is, there is room for some 1100 */
#define KHO_SUBNODES_MAX	2048
#define KHO_RESERVATIONS_MAX	64
#define KHO_NAME_MAX		256

/**
 * struct kho_subnode - a producer's entry
 * @name: as the producer gave it; any bytes but NUL
 * @data: physical address of its blob
 * @size: of its blob, in bytes
 */
struct kho_subnode {
	char name[KHO_NAME_MAX];
	u64 data;
	u64 size;
};

/**
 * struct kho_root - the root tree
 * @map: physical address of the preserved-memory map
 * @nr: subnodes
 * @sub: the subnodes
 */
struct kho_root {
	u64 map;
	int nr;
	struct kho_subnode sub[KHO_SUBNODES_MAX];
};

/**
 * struct kho_reservations - the memblock tree
 * @nr: reservations
 * @name: their names
 * @range: where they are
 */
struct kho_reservations {
	int nr;
	char name[KHO_RESERVATIONS_MAX][KHO_NAME_MAX];
	struct kho_region range[KHO_RESERVATIONS_MAX];
};

/**
 * struct kho_metadata - kexec-metadata
 * @version: of the layout
 * @release: of the kernel that wrote it
 * @count: KHO kexecs since the cold boot, the coming one included
 */
struct kho_metadata {
	u32 version;
	char release[66];
	u32 count;
};

void kho_check_root(const void *blob, size_t len, const char *compatible,
		    struct kho_root *root, struct kho_problems *p);
void kho_check_tree(const void *blob, size_t len, const char *compatible,
		    struct kho_problems *p);
void kho_check_memblock(const void *blob, size_t len,
			struct kho_reservations *r, struct kho_problems *p);
void kho_check_metadata(const void *blob, size_t len, struct kho_metadata *m,
			struct kho_problems *p);
void kho_blob_print(const void *blob, size_t len, FILE *out, struct kho_problems *p);
void kho_check_luo(const void *blob, size_t len, const char *compatible,
		   struct kho_problems *p);

#endif /* KHO_FDT_CHECK_H */
