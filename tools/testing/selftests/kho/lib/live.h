/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * live.h - what the running kernel is going to hand over
 *
 * Read from its memory, where it is built: debugfs shows the tree cut off or not at
 * all once there are producers (known issues), and of the map nothing.
 */
#ifndef KHO_LIVE_H
#define KHO_LIVE_H

#include "fdt_check.h"
#include "kcore.h"
#include "map.h"

/**
 * struct kho_live - the running kernel's own memory, and where KHO's part of it is
 * @kcore: the memory
 * @out: the kernel's address of kho_out
 */
struct kho_live {
	struct kho_kcore kcore;
	u64 out;
};

int kho_live_open(struct kho_live *l, const char **what);
int kho_live_root(const struct kho_live *l, struct kho_root *root, u64 *at,
		  struct kho_problems *p);
int kho_live_map(struct kho_live *l, const struct kho_root *root, struct kho_map *map,
		 struct kho_problems *p);

#endif /* KHO_LIVE_H */
