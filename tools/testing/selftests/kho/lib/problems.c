// SPDX-License-Identifier: GPL-2.0-only
/*
 * problems.c - what a checker finds wrong
 */
#include <stdarg.h>
#include <stdio.h>

#include "problems.h"

/**
 * kho_wrong() - add to what is wrong
 * @p: the list
 * @fmt: place and reason, printable; cut at the length of an entry
 */
void kho_wrong(struct kho_problems *p, const char *fmt, ...)
{
	va_list ap;

	if (p->nr < KHO_PROBLEMS_MAX) {
		va_start(ap, fmt);
		vsnprintf(p->text[p->nr], sizeof(p->text[0]), fmt, ap);
		va_end(ap);
	}
	p->nr++;
}
