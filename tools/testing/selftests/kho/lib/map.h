/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * map.h - the preserved-memory map
 *
 * A tree of pages: tables of physical addresses above, bitmaps below.  A bit's
 * place in the tree is a key, and a key is address and order of what is
 * preserved (include/linux/kho/abi/kexec_handover.h, "KHO persistent memory
 * tracker").  How many levels there are follows from the page size.
 */
#ifndef KHO_MAP_H
#define KHO_MAP_H

#include <stdio.h>

#include "problems.h"
#include "types.h"

#define KHO_MAP_LEVELS_MAX	6
#define KHO_MAP_PAGE_MAX	65536

/**
 * struct kho_kept - one key of the map, decoded
 * @addr: physical address of its first byte
 * @order: it is page size << @order bytes
 */
struct kho_kept {
	u64 addr;
	unsigned int order;
};

/**
 * struct kho_map - a preserved-memory map
 * @page_shift: log2 of the page size it was written with
 * @nr: keys
 * @key: the keys as they are met: larger orders first, then by address
 * @nr_nodes: pages that the tree itself takes
 * @node: their physical addresses, parents before children
 */
struct kho_map {
	unsigned int page_shift;
	size_t nr;
	struct kho_kept *key;
	size_t nr_nodes;
	u64 *node;
};

/**
 * typedef kho_page_reader - reads a page of the tree
 * @ctx: whatever the reader needs
 * @addr: physical address of the page
 * @page: where to; as long as a page is
 *
 * Return: 0 or a negative errno
 */
typedef int (*kho_page_reader)(void *ctx, u64 addr, void *page);

unsigned int kho_map_levels(unsigned int page_shift);
u64 kho_map_encode(unsigned int page_shift, const struct kho_kept *k);
bool kho_map_decode(unsigned int page_shift, u64 key, struct kho_kept *k);
int kho_map_read(struct kho_map *m, unsigned int page_shift, u64 root,
		 kho_page_reader read, void *ctx, struct kho_problems *p);
void kho_map_free(struct kho_map *m);
bool kho_map_has(const struct kho_map *m, u64 addr, unsigned int order);
u64 kho_map_first_gap(const struct kho_map *m, u64 addr, u64 size);
size_t kho_map_split(unsigned int page_shift, u64 addr, u64 pages,
		     struct kho_kept *k, size_t max);
void kho_map_print(struct kho_map *m, FILE *out);

#endif /* KHO_MAP_H */
