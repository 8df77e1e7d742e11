/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * problems.h - what a checker finds wrong
 */
#ifndef KHO_PROBLEMS_H
#define KHO_PROBLEMS_H

#include "types.h"

#define KHO_PROBLEMS_MAX	32

/**
 * struct kho_problems - what is wrong with what was checked
 * @nr: how much; only the first KHO_PROBLEMS_MAX are in words
 * @text: place and reason, printable
 */
struct kho_problems {
	unsigned int nr;
	char text[KHO_PROBLEMS_MAX][256];
};

void __printf(2, 3) kho_wrong(struct kho_problems *p, const char *fmt, ...);

#endif /* KHO_PROBLEMS_H */
