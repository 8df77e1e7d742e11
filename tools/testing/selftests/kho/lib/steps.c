// SPDX-License-Identifier: GPL-2.0-only
/*
 * steps.c - how a scenario gets from kernel to kernel, and what follows from it
 *
 * What must hold in a generation depends on all before it.  Here it is worked
 * out from the scenario's steps, and from nothing that the kernel says.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kho.h"
#include "steps.h"

static const char * const ways[KHO_WAYS] = {
	[KHO_BY_BOOT] = "boot",
	[KHO_BY_KEXEC] = "kexec",
	[KHO_BY_KEXEC_LOAD] = "kexec_load",
	[KHO_BY_REBOOT] = "reboot",
	[KHO_BY_CRASH] = "crash",
};

/**
 * kho_way_name() - the word for a way
 * @way: the way
 *
 * Return: the word
 */
const char *kho_way_name(enum kho_way way)
{
	return way < KHO_WAYS ? ways[way] : "?";
}

/**
 * kho_step_parse() - read a step
 * @line: see struct kho_step; ended by a newline or NUL
 * @step: what it says; its command line is within @line
 * @why: what is wrong with it
 *
 * Return: 0, or -EINVAL
 */
int kho_step_parse(const char *line, struct kho_step *step, const char **why)
{
	size_t len = strcspn(line, "@!0-+\n ");
	const char *p = line + len;

	memset(step, 0, sizeof(*step));
	while (step->way < KHO_WAYS && (strlen(ways[step->way]) != len ||
					strncmp(line, ways[step->way], len)))
		step->way++;
	*why = "a step does not begin with boot, kexec, kexec_load, reboot or crash";
	if (step->way == KHO_WAYS)
		return -EINVAL;
	if (*p == '@') {
		len = strcspn(++p, "!0-+\n ");
		*why = "a step's kernel has no name, or too long a name";
		if (!len || len >= sizeof(step->kernel))
			return -EINVAL;
		memcpy(step->kernel, p, len);
		p += len;
	}
	for (; *p && strchr("!0-+", *p); p++) {
		step->refused |= *p == '!';
		step->anew |= *p == '0';
		step->off |= *p == '-';
		step->by_default |= *p == '+';
	}
	*why = "a step's first word does not end where it should";
	if (*p && *p != ' ' && *p != '\n')
		return -EINVAL;
	step->cmdline = *p == ' ' ? p + 1 : p;
	return 0;
}

/* the job that khotest wrote, which no one changes while the kernel runs */
static const char *read_job(void)
{
	static struct kho_blob b;
	char path[4096];

	snprintf(path, sizeof(path), "%s/job", kho_dir());
	if (!b.data && kho_read_file(path, &b))
		return "";
	return b.data;
}

/**
 * kho_job_step() - the step of a generation, as the job of a guest has it
 * @generation: the generation
 * @line: its step, with the whole command line
 * @size: size of @line in bytes
 *
 * Return: 0, -ENOENT if the job has none, or -ENOSPC if @line is too small
 */
int kho_job_step(unsigned int generation, char *line, size_t size)
{
	const char *p, *found = NULL;
	size_t len;

	for (p = read_job(); p; p = strchr(p, '\n')) {
		unsigned int gen;
		int at = 0;

		p += *p == '\n';
		if (!strncmp(p, "step * ", 7)) {
			found = p + 7;
		} else if (sscanf(p, "step %u %n", &gen, &at) == 1 && at &&
			   gen == generation) {
			found = p + at;
			break;
		}
	}
	if (!found)
		return -ENOENT;
	len = strcspn(found, "\n");
	if (len >= size)
		return -ENOSPC;
	memcpy(line, found, len);
	line[len] = '\0';
	return 0;
}

/* the last generation that has a step of its own in the job */
static int last_of_its_own(void)
{
	int last = 0, gen;

	for (const char *p = read_job(); p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (sscanf(p, "step %d ", &gen) == 1 && gen > last)
			last = gen;
	}
	return last;
}

/* KHO as a generation's kernel and command line have it */
static bool is_on(const struct kho_step *s)
{
	int said = kho_cmdline_enabled(s->cmdline);

	/* a crash kernel never has it, a kernel that does not know it neither */
	if (s->off || s->way == KHO_BY_CRASH || !strcmp(s->kernel, KHO_KERNEL_NOKHO))
		return false;
	return said < 0 ? s->by_default : said;
}

/**
 * kho_boot_of() - what must be true of a generation
 * @generation: the generation
 *
 * A handover takes place where KHO is on in the kernel that kexecs, by
 * kexec_file_load() and by no other way (kho.rst, "Perform a KHO kexec"), and
 * the next kernel is one that can take it.  That it takes it even with KHO
 * switched off is how the implementation has it.
 *
 * Return: that; or NULL outside the machines of khotest.  It is valid until the
 * next call but one.
 */
const struct kho_boot *kho_boot_of(int generation)
{
	static struct {
		struct kho_boot boot;
		char line[3072];
		int after;
	} slot[2];
	static int which;
	struct kho_boot before = { };
	const char *why;
	struct kho_boot *b;
	int same;

	if (kho_generation() < 0 || generation < 0)
		return NULL;
	for (int turn = 0; turn < 2; turn++, which = !which)
		if (slot[which].after == generation + 1)
			return &slot[which].boot;
	which = !which;
	same = last_of_its_own() + 2;
	b = &slot[which].boot;
	slot[which].after = 0;
	for (int gen = 0; gen <= generation; gen++) {
		char *line = slot[which].line;

		memset(b, 0, sizeof(*b));
		if (kho_job_step(gen, line, sizeof(slot[which].line)) ||
		    kho_step_parse(line, &b->step, &why))
			return NULL;
		b->on = is_on(&b->step);
		/* what is not handed over cannot be refused */
		b->step.refused &= gen && b->step.way == KHO_BY_KEXEC && before.on;
		b->handed_over = gen && b->step.way == KHO_BY_KEXEC && before.on &&
				 !b->step.refused &&
				 strcmp(b->step.kernel, KHO_KERNEL_NOKHO);
		b->count = b->handed_over && !b->step.anew ? before.count + 1 : 0;
		/* from here on each is like the one before: what is true of one is of all */
		if (gen == same && generation > gen) {
			b->count += b->count ? generation - gen : 0;
			gen = generation;
		}
		b->first = b->handed_over ? before.first : (unsigned int)gen;
		before = *b;
	}
	slot[which].after = generation + 1;
	return b;
}

/**
 * kho_handed_over() - was this kernel handed over to?
 *
 * Return: 1 or 0; -1 where it is not known, which is so outside the machines of
 * khotest
 */
int kho_handed_over(void)
{
	const struct kho_boot *b = kho_boot_of(kho_generation());

	return b ? b->handed_over : -1;
}
