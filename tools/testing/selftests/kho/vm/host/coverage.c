// SPDX-License-Identifier: GPL-2.0-only
/*
 * coverage.c - which requirements are checked, by what, and which are not
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/checks.h"
#include "../../lib/kho.h"
#include "host.h"

#define KHO_REQ(id, name, kind, since, statement, source, unchecked)	\
	{ #id, name, kind, since, statement, source, unchecked, NULL, 0 },

static struct requirement {
	const char *id;
	const char *name;
	const char *kind;
	const char *since;
	const char *statement;
	const char *source;
	const char *unchecked;
	/* "program check", one after the other, each ended by NUL */
	char *checks;
	size_t len;
} all[] = {
#include "../../conformance/requirements.def"
};

static int note(struct requirement *r, const char *program, const char *check)
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
		for (i = 0; i < ARRAY_SIZE(all) && strcmp(all[i].id, req); i++)
			;
		if (i == ARRAY_SIZE(all))
			return -EBADMSG;
		err = note(&all[i], name, check);
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
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const struct requirement *r = &all[i];

		printf("%-5s %s  %s\n", r->name,
		       *r->kind == 'N' ? "documented    " : "implementation",
		       r->statement);
		printf("      since %s: %s\n", r->since, r->source);
		for (size_t at = 0; at < r->len; at += strlen(r->checks + at) + 1)
			printf("      checked by %s\n", r->checks + at);
		if (*r->unchecked)
			printf("      not checked: %s\n", r->unchecked);
		if (!r->len && !*r->unchecked)
			printf("      NOT CHECKED, AND NO REASON IS GIVEN\n");
		if (r->len && *r->unchecked)
			printf("      CHECKED, AND A REASON IS GIVEN WHY NOT\n");
		checked += !!r->len;
		reasons += !r->len && *r->unchecked;
		wrong += !r->len == !*r->unchecked;
	}
	printf("%zu requirements: %u checked by %u checks, %u not checked for a reason, %u wrong\n",
	       ARRAY_SIZE(all), checked, checks, reasons, wrong);
	return wrong ? EX_FAIL : EX_PASS;
}
