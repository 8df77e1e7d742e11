// SPDX-License-Identifier: GPL-2.0-only
/*
 * coverage.c - which requirements are checked, by what, and which are not
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../conformance/requirements.h"
#include "../../lib/checks.h"
#include "../../lib/kho.h"
#include "host.h"

/* of each requirement: "program check", one after the other, each ended by NUL */
static struct notes {
	char *checks;
	size_t len;
} notes[KHO_REQ_COUNT];

static int note(struct notes *r, const char *program, const char *check)
{
	size_t len = strlen(program) + 1 + strlen(check) + 1;
	char *grown = realloc(r->checks, r->len + len);

	if (!grown)
		return -ENOMEM;
	r->checks = grown;
	snprintf(grown + r->len, len, "%s %s", program, check);
	r->len += len;
	return 0;
}

static int read_checks(const char *name, const struct kho_blob *b, const char **why,
		       void *arg)
{
	unsigned int *checks = arg;
	const char *p, *end;
	const void *at;
	size_t size;
	int err;

	err = elf_section(b->data, b->len, KHO_CHECKS_SECTION, &at, &size, why);
	if (err || !at)
		return err;
	*why = "what it checks cannot be read: program and khotest are of different versions";
	for (p = at, end = p + size; p < end; p += strnlen(p, end - p) + 1) {
		char req[32], check[128];
		size_t i;

		if (!*p)
			continue;
		if (!memchr(p, '\0', end - p) ||
		    sscanf(p, "%31s %127s", req, check) != 2)
			return -EBADMSG;
		for (i = 0; i < KHO_REQ_COUNT && strcmp(kho_reqs[i].id, req); i++)
			;
		if (i == KHO_REQ_COUNT)
			return -EBADMSG;
		err = note(&notes[i], name, check);
		if (err)
			return err;
		(*checks)++;
	}
	return 0;
}

/**
 * coverage_show() - print each requirement with its checks, or why it has none
 * @dir: directory of the suite's programs
 *
 * Return: EX_PASS; EX_FAIL if a requirement has neither checks nor a reason, or
 * both; EX_CANNOT
 */
int coverage_show(const char *dir)
{
	unsigned int checks = 0, checked = 0, reasons = 0, wrong = 0;

	if (programs_each(dir, read_checks, &checks))
		return EX_CANNOT;
	for (size_t i = 0; i < KHO_REQ_COUNT; i++) {
		const char *unchecked = kho_reqs[i].unchecked;
		const struct notes *r = &notes[i];

		printf("%-5s %s  %s\n", kho_reqs[i].name,
		       *kho_reqs[i].kind == 'N' ? "documented    " : "implementation",
		       kho_reqs[i].statement);
		printf("      since %s: %s\n", kho_reqs[i].since, kho_reqs[i].source);
		for (size_t at = 0; at < r->len; at += strlen(r->checks + at) + 1)
			printf("      checked by %s\n", r->checks + at);
		if (*unchecked)
			printf("      not checked: %s\n", unchecked);
		if (!r->len && !*unchecked)
			printf("      NOT CHECKED, AND NO REASON IS GIVEN\n");
		if (r->len && *unchecked)
			printf("      CHECKED, AND A REASON IS GIVEN WHY NOT\n");
		checked += !!r->len;
		reasons += !r->len && *unchecked;
		wrong += !r->len == !*unchecked;
	}
	printf("%d requirements: %u checked by %u checks, %u not checked for a reason, %u wrong\n",
	       KHO_REQ_COUNT, checked, checks, reasons, wrong);
	return wrong ? EX_FAIL : EX_PASS;
}
