/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kcore.h - the running kernel's own memory
 *
 * /proc/kcore gives it to root on any kernel that is not locked down, and
 * tells of each range where it is both virtually and physically, so that
 * nothing of an architecture's layout need be known here.
 */
#ifndef KHO_KCORE_H
#define KHO_KCORE_H

#include "kho.h"

/* ranges of memory; what a machine has more is an error */
#define KHO_KCORE_RANGES	512

/**
 * struct kho_kcore - /proc/kcore, opened
 * @fd: the file
 * @nr: ranges
 * @range: where each is: virtual and physical address (all ones if it has
 *	none), place in the file, and its bytes
 */
struct kho_kcore {
	int fd;
	int nr;
	struct {
		u64 virt;
		u64 phys;
		u64 offset;
		u64 size;
	} range[KHO_KCORE_RANGES];
};

int kho_kcore_open(struct kho_kcore *k);
void kho_kcore_close(struct kho_kcore *k);
int kho_kcore_virt(const struct kho_kcore *k, u64 addr, void *buf, size_t size);
int kho_kcore_phys(const struct kho_kcore *k, u64 addr, void *buf, size_t size);
u64 kho_kcore_to_phys(const struct kho_kcore *k, u64 virt);
int kho_symbol(const char *name, u64 *addr);

#endif /* KHO_KCORE_H */
