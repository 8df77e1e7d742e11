/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * asked.h - reserve_mem= and kho_scratch= as a command line asks for them
 */
#ifndef KHO_ASKED_H
#define KHO_ASKED_H

#include "kho.h"

/* as many as the kernel takes (mm/memblock.c, RESERVE_MEM_MAX_ENTRIES) */
#define KHO_ASKED_MAX	8
#define KHO_LABEL_LEN	16

/**
 * struct kho_asked - one reservation that a command line asks for
 * @size: bytes
 * @align: of its first byte; at least a cache line, as the kernel has it
 * @name: its label
 */
struct kho_asked {
	u64 size;
	u64 align;
	char name[KHO_LABEL_LEN];
};

/**
 * struct kho_refused - how often the kernel must say that it refuses a
 *	reservation
 * @malformed: "empty or malformed parameter"
 * @no_room: "no more room for reserved memory"
 * @twice: "name ... was already used"
 */
struct kho_refused {
	int malformed;
	int no_room;
	int twice;
};

/**
 * struct kho_sizes - what one kho_scratch= says
 * @valid: it is of one of the two forms
 * @scaled: it is "nn%"
 * @scale: nn
 * @size: the three sizes, in bytes: lowmem, global, each node
 */
struct kho_sizes {
	bool valid;
	bool scaled;
	unsigned long scale;
	u64 size[3];
};

int kho_reserve_asked(const char *cmdline, struct kho_asked *asked,
		      struct kho_refused *refused);

const char *kho_scratch_param(const char *release);
void kho_scratch_parse(const char *val, struct kho_sizes *sizes);
bool kho_scratch_asked(const char *cmdline, struct kho_sizes *sizes);

#endif /* KHO_ASKED_H */
