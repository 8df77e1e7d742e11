// SPDX-License-Identifier: GPL-2.0-only
/*
 * asked.c - reserve_mem= and kho_scratch= as a command line asks for them
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "asked.h"

/* smallest alignment that the kernel hands out: a cache line */
#define ALIGN_MIN	64

static bool parse(const char *val, struct kho_asked *a)
{
	const char *name;
	char *p, *from;

	a->size = kho_memparse(val, &p);
	if (!a->size || p == val || *p != ':')
		return false;
	from = p + 1;
	a->align = kho_memparse(from, &p);
	if (*p != ':')
		return false;
	if (a->align < ALIGN_MIN)
		a->align = ALIGN_MIN;
	name = p + 1;
	if (!*name || strlen(name) >= sizeof(a->name))
		return false;
	strcpy(a->name, name);
	for (p = a->name; isspace((unsigned char)*p); p++)
		;
	return *p;
}

/**
 * kho_reserve_asked() - the reservations that a command line asks for
 * @cmdline: the line; NULL for that of the running kernel
 * @asked: those that the kernel must make, in their order; KHO_ASKED_MAX of them
 * @refused: how many it must refuse, by reason; may be NULL
 *
 * "reserve_mem=nn[KMG]:<align>:<label>" (kernel-parameters.txt); the limits are
 * those of reserve_mem() in mm/memblock.c.  That there is memory enough is taken
 * for granted.
 *
 * Return: how many are asked for
 */
int kho_reserve_asked(const char *cmdline, struct kho_asked *asked,
		      struct kho_refused *refused)
{
	struct kho_refused none;
	char val[256];
	int nr = 0, j;

	if (!refused)
		refused = &none;
	memset(refused, 0, sizeof(*refused));
	for (unsigned int i = 0; !kho_cmdline_get(cmdline, "reserve_mem", i, val,
						  sizeof(val)); i++) {
		struct kho_asked a;

		if (nr == KHO_ASKED_MAX) {
			refused->no_room++;
			continue;
		}
		if (!parse(val, &a)) {
			refused->malformed++;
			continue;
		}
		for (j = 0; j < nr && strcmp(asked[j].name, a.name); j++)
			;
		if (j < nr)
			refused->twice++;
		else
			asked[nr++] = a;
	}
	return nr;
}

static bool percent(const char *val, size_t len, unsigned long *scale)
{
	const char *p = val + (*val == '+');

	/* ten digits and the sign of percent, and no more */
	if (len > 11 || !isdigit((unsigned char)*p))
		return false;
	*scale = strtoul(p, (char **)&p, 10);
	return !strcmp(p, "%") && *scale <= 0xffffffffUL;
}

/**
 * kho_scratch_parse() - read a value of kho_scratch=
 * @val: the value
 * @sizes: what it says
 *
 * "ll[KMG],mm[KMG],nn[KMG] | nn%" (kernel-parameters.txt); what else is taken or
 * refused is as kho_parse_scratch_size() of kexec_handover.c has it.
 */
void kho_scratch_parse(const char *val, struct kho_sizes *sizes)
{
	size_t len = strlen(val);
	const char *p = val;

	memset(sizes, 0, sizeof(*sizes));
	if (len && val[len - 1] == '%') {
		sizes->scaled = true;
		sizes->valid = percent(val, len, &sizes->scale);
		return;
	}
	for (int i = 0; i < 3; i++) {
		char *end;

		/* no sign, no blank, no suffix without a number */
		if (!isdigit((unsigned char)*p))
			return;
		sizes->size[i] = kho_memparse(p, &end);
		if (*end != (i < 2 ? ',' : '\0'))
			return;
		p = end + 1;
	}
	sizes->valid = sizes->size[0] + sizes->size[1] + sizes->size[2];
}

/* what sizes scratch, and from which kernel on (kernel-parameters.txt); the first is what
 * scenarios call it
 */
static const struct {
	unsigned int since[2];
	const char *name;
} scratch_params[] = {
	{ { 0, 0 }, "kho_scratch" },
	{ { 7, 4 }, "kho_bootmem" },
};

/**
 * kho_scratch_param() - what the parameter that sizes scratch is called
 * @release: of a kernel, as uname -r has it; NULL for the one that runs
 *
 * Return: its name; where the release is none, the first that it had
 */
const char *kho_scratch_param(const char *release)
{
	const char *name = scratch_params[0].name;
	unsigned int is[2];
	struct utsname u;

	if (!release && !uname(&u))
		release = u.release;
	if (!release || sscanf(release, "%u.%u", &is[0], &is[1]) != 2)
		return name;
	for (size_t i = 1; i < ARRAY_SIZE(scratch_params); i++) {
		const unsigned int *since = scratch_params[i].since;

		if (is[0] > since[0] || (is[0] == since[0] && is[1] >= since[1]))
			name = scratch_params[i].name;
	}
	return name;
}

/* a line calls it as the kernel does that the line is for */
static const char *param_on(const char *cmdline)
{
	for (size_t i = 0; cmdline && i < ARRAY_SIZE(scratch_params); i++)
		if (kho_cmdline_get(cmdline, scratch_params[i].name, 0, NULL, 0) != -ENOENT)
			return scratch_params[i].name;
	return kho_scratch_param(NULL);
}

/**
 * kho_scratch_asked() - the sizes of scratch that a command line asks for
 * @cmdline: the line; NULL for that of the running kernel
 * @sizes: those of the last valid kho_scratch=
 *
 * Return: false if there is none, which leaves the default
 */
bool kho_scratch_asked(const char *cmdline, struct kho_sizes *sizes)
{
	const char *param = param_on(cmdline);
	struct kho_sizes one;
	bool any = false;
	char val[256];

	for (unsigned int i = 0; !kho_cmdline_get(cmdline, param, i, val, sizeof(val)); i++) {
		kho_scratch_parse(val, &one);
		if (!one.valid)
			continue;
		*sizes = one;
		any = true;
	}
	return any;
}
