// SPDX-License-Identifier: GPL-2.0-only
/*
 * scenarios.c - read declarations from program files
 */
#include <dirent.h>
#include <linux/elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/kho.h"
#include "host.h"

static bool terminated(const char *s, size_t size, const char *chars)
{
	if (!memchr(s, '\0', size))
		return false;
	for (; *s; s++)
		if (chars ? !strchr(chars, *s) : *s < ' ' || *s > '~')
			return false;
	return true;
}

/* where the next step begins: a line that begins with a blank is none */
static const char *step_end(const char *p)
{
	do {
		p += strcspn(p, "\n");
		p += *p == '\n';
	} while (*p == ' ');
	return p;
}

static const char *check_steps(const struct kho_scenario *d, unsigned int *nr)
{
	struct kho_step step;
	const char *why;

	*nr = 0;
	if (!memchr(d->steps, '\0', sizeof(d->steps)))
		return "steps are not ended";
	for (const char *p = d->steps; *p; p++) {
		if ((*p < ' ' || *p > '~') && *p != '\n')
			return "a step is not printable";
		if (!p[1] && *p != '\n')
			return "the last step has no newline";
	}
	for (const char *p = d->steps; *p; p = step_end(p)) {
		if (kho_step_parse(p, &step, &why))
			return why;
		if (*nr ? step.way == KHO_BY_BOOT : step.way != KHO_BY_BOOT)
			return "the first step, and no other, is boot";
		(*nr)++;
	}
	return NULL;
}

static const char *check(const struct kho_scenario *d)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
	static const char file[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
	unsigned int steps;
	const char *why;

	if (d->magic != KHO_SCENARIO_MAGIC)
		return "no magic number";
	if (d->size != sizeof(*d))
		return "another layout: program and khotest are of different versions";
	if (!terminated(d->name, sizeof(d->name), name) || !*d->name)
		return "bad name";
	if (!terminated(d->summary, sizeof(d->summary), NULL) ||
	    !memchr(d->cmdline, '\0', sizeof(d->cmdline)))
		return "text is not printable or not ended";
	for (const char *p = d->cmdline; *p; p++)
		if ((*p < ' ' || *p > '~') && *p != '\n')
			return "the command line is not printable";
	why = check_steps(d, &steps);
	if (why)
		return why;
	for (int i = 0; i < KHO_FILES_MAX; i++)
		if (!terminated(d->files[i], sizeof(d->files[i]), file))
			return "bad file name";
	for (int i = 0; i < KHO_PROGRAMS_MAX; i++)
		if (!terminated(d->programs[i], sizeof(d->programs[i]), file))
			return "bad program name";
	if (d->nr_nodes > KHO_NODES_MAX)
		return "too many nodes";
	if (!d->generations && !steps)
		return "no generations";
	if (!d->nr_nodes && (!d->memory_mib || !d->cpus))
		return "no memory or no CPU";
	return NULL;
}

/**
 * elf_section() - find a section of a program
 * @elf: the file's content; not trusted
 * @len: bytes
 * @name: the section's name
 * @at: its content, NULL if there is no such section
 * @size: its bytes
 * @why: what is wrong, on failure
 *
 * Return: 0 (a file that is no 64-bit ELF has no sections), -EBADMSG
 */
int elf_section(const void *elf, size_t len, const char *name, const void **at,
		size_t *size, const char **why)
{
	const unsigned char *base = elf;
	struct elf64_hdr eh;
	struct elf64_shdr sh, str;

	*at = NULL;
	if (len < sizeof(eh) || memcmp(elf, ELFMAG, SELFMAG))
		return 0;
	memcpy(&eh, elf, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return 0;
	*why = "section headers are not within the file";
	if (!eh.e_shnum || eh.e_shentsize != sizeof(sh) || eh.e_shoff > len ||
	    (len - eh.e_shoff) / sizeof(sh) < eh.e_shnum ||
	    eh.e_shstrndx >= eh.e_shnum)
		return -EBADMSG;
	memcpy(&str, base + eh.e_shoff + eh.e_shstrndx * sizeof(sh), sizeof(str));
	if (str.sh_offset > len || str.sh_size > len - str.sh_offset)
		return -EBADMSG;
	for (size_t i = 0; i < eh.e_shnum; i++) {
		memcpy(&sh, base + eh.e_shoff + i * sizeof(sh), sizeof(sh));
		if (sh.sh_name > str.sh_size ||
		    str.sh_size - sh.sh_name < strlen(name) + 1 ||
		    memcmp(base + str.sh_offset + sh.sh_name, name, strlen(name) + 1))
			continue;
		*why = "a section is not within the file";
		if (sh.sh_offset > len || sh.sh_size > len - sh.sh_offset)
			return -EBADMSG;
		*at = base + sh.sh_offset;
		*size = sh.sh_size;
		return 0;
	}
	return 0;
}

/**
 * scenario_parse() - read the declarations of one program
 * @elf: the file's content; not trusted
 * @len: bytes
 * @list: grown by what is found
 * @nr: entries in @list
 * @why: what is wrong, on failure
 *
 * Return: 0 (a file that is no 64-bit ELF or declares nothing is none's
 * error), -EBADMSG
 */
int scenario_parse(const void *elf, size_t len, struct scenario **list, int *nr,
		   const char **why)
{
	struct scenario *grown;
	const void *at;
	size_t size;
	int err;

	*why = NULL;
	err = elf_section(elf, len, KHO_SCENARIO_SECTION, &at, &size, why);
	if (err)
		return err;
	if (at && size % sizeof(struct kho_scenario)) {
		*why = "another layout: program and khotest are of different versions";
		return -EBADMSG;
	}
	if (!at || !size)
		return 0;
	grown = realloc(*list, (*nr + size / sizeof(struct kho_scenario)) * sizeof(**list));
	if (!grown)
		return -ENOMEM;
	*list = grown;
	for (size_t off = 0; off < size; off += sizeof(struct kho_scenario)) {
		struct scenario *s = &grown[*nr];

		memset(s, 0, sizeof(*s));
		memcpy(&s->decl, (const char *)at + off, sizeof(s->decl));
		*why = check(&s->decl);
		if (*why)
			return -EBADMSG;
		for (int j = 0; j < *nr; j++) {
			*why = "declared twice";
			if (!strcmp(grown[j].decl.name, s->decl.name))
				return -EBADMSG;
		}
		(*nr)++;
	}
	*why = NULL;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct scenario *x = a, *y = b;

	return strcmp(x->decl.name, y->decl.name);
}

static int programs_only(const struct dirent *e)
{
	return !strncmp(e->d_name, "kho_", 4) && !strchr(e->d_name, '.');
}

/**
 * programs_each() - look into each of the suite's programs
 * @dir: their directory
 * @fn: what to do with the content of one: its errors are complained about
 * @arg: for @fn
 *
 * Return: 0, or the last error
 */
int programs_each(const char *dir, int (*fn)(const char *name, const struct kho_blob *b,
					     const char **why, void *arg), void *arg)
{
	struct dirent **e;
	int n, err = 0;

	n = scandir(dir, &e, programs_only, alphasort);
	if (n < 0) {
		complain("%s: %s", dir, strerror(errno));
		return -errno;
	}
	for (int i = 0; i < n; i++) {
		const char *why = NULL;
		struct kho_blob b;
		char path[1024];
		int ret;

		snprintf(path, sizeof(path), "%s/%s", dir, e[i]->d_name);
		ret = kho_read_file(path, &b);
		if (!ret) {
			ret = fn(e[i]->d_name, &b, &why, arg);
			kho_blob_free(&b);
		}
		if (ret && ret != -EISDIR) {
			complain("%s: %s", path, why ? why : strerror(-ret));
			err = ret;
		}
		free(e[i]);
	}
	free(e);
	return err;
}

struct reading {
	struct scenario **list;
	int nr;
};

static int read_one(const char *name, const struct kho_blob *b, const char **why,
		    void *arg)
{
	struct reading *r = arg;
	int had = r->nr, err;

	err = scenario_parse(b->data, b->len, r->list, &r->nr, why);
	for (; had < r->nr; had++)
		snprintf((*r->list)[had].program, sizeof((*r->list)[had].program),
			 "%s", name);
	return err;
}

/**
 * scenarios_read() - read the declarations of all programs of a directory
 * @dir: the directory
 * @list: what they declare, sorted by name
 *
 * What is wrong with a program is complained about.
 *
 * Return: how many, or a negative errno
 */
int scenarios_read(const char *dir, struct scenario **list)
{
	struct reading r = { .list = list };
	int err;

	*list = NULL;
	err = programs_each(dir, read_one, &r);
	if (err)
		return err;
	if (r.nr)
		qsort(*list, r.nr, sizeof(**list), by_name);
	return r.nr;
}

/**
 * scenario_step() - how a scenario enters a generation
 * @s: the scenario
 * @gen: the generation
 * @step: that; its command line has only what the generation has in addition,
 *	and goes to where the next step begins
 *
 * Return: where the step is, or NULL for a generation beyond the steps, which
 * then is a KHO kexec, or the cold boot, with nothing in addition
 */
const char *scenario_step(const struct scenario *s, unsigned int gen,
			  struct kho_step *step)
{
	const char *p = s->decl.steps, *why;

	for (unsigned int i = 0; *p; p = step_end(p), i++)
		if (i == gen && !kho_step_parse(p, step, &why))
			return p;
	memset(step, 0, sizeof(*step));
	step->way = gen ? KHO_BY_KEXEC : KHO_BY_BOOT;
	step->cmdline = "";
	return NULL;
}

/**
 * scenario_generations() - how many kernels a scenario runs
 * @s: the scenario
 * @o: may say another number than the scenario does
 *
 * Return: their number
 */
unsigned int scenario_generations(const struct scenario *s,
				  const struct options *o)
{
	struct kho_step step;
	unsigned int n = 0;

	if (o->seconds)
		return GENERATIONS_MAX;
	if (o->generations)
		return o->generations;
	if (s->decl.flags & KHO_SC_CHAIN && o->chain)
		return o->chain;
	if (s->decl.generations)
		return s->decl.generations;
	while (scenario_step(s, n, &step))
		n++;
	return n;
}

/**
 * scenario_uses() - does a scenario enter some generation in a way?
 * @s: the scenario
 * @way: the way
 *
 * Return: true if so
 */
bool scenario_uses(const struct scenario *s, enum kho_way way)
{
	struct kho_step step;

	for (unsigned int i = 0; scenario_step(s, i, &step); i++)
		if (step.way == way)
			return true;
	return false;
}

/**
 * scenario_kernel() - the kernels that a scenario names
 * @s: the scenario
 * @n: which of them, from 0; each is told once
 * @name: its name
 * @size: size of @name in bytes
 *
 * Return: false if there are no more
 */
bool scenario_kernel(const struct scenario *s, int n, char *name, size_t size)
{
	struct kho_step step, old;

	for (unsigned int i = 0; scenario_step(s, i, &step); i++) {
		bool told = !*step.kernel;

		for (unsigned int j = 0; j < i && !told; j++) {
			scenario_step(s, j, &old);
			told = !strcmp(old.kernel, step.kernel);
		}
		if (told || n--)
			continue;
		snprintf(name, size, "%s", step.kernel);
		return true;
	}
	return false;
}

/**
 * options_kernel() - a kernel that a scenario names
 * @o: what khotest was told
 * @name: the name; empty for the kernel under test
 *
 * Return: what is known of it, or NULL if khotest was not told of one
 */
struct kernel *options_kernel(const struct options *o, const char *name)
{
	if (!*name)
		return o->tested;
	for (int i = 0; i < o->nr_also; i++)
		if (!strcmp(o->also[i].name, name))
			return o->also[i].kernel;
	return NULL;
}

/**
 * options_module() - the test producer that was built for a kernel
 * @o: what khotest was told
 * @name: the kernel's name; empty for the kernel under test
 *
 * Return: its path, or NULL if khotest was not told of one
 */
const char *options_module(const struct options *o, const char *name)
{
	for (int i = 0; i < o->nr_module; i++)
		if (!strcmp(o->module[i].name, name))
			return o->module[i].path;
	return NULL;
}

/**
 * scenario_matches() - is a scenario meant by a name?
 * @s: the scenario
 * @pattern: its name, or one or several parts of it as the dots divide them
 *
 * Return: true if so
 */
bool scenario_matches(const struct scenario *s, const char *pattern)
{
	size_t len = strlen(pattern);
	const char *p = s->decl.name;

	for (;;) {
		if (!strncmp(p, pattern, len) && (!p[len] || p[len] == '.'))
			return true;
		p = strchr(p, '.');
		if (!p)
			return false;
		p++;
	}
}
