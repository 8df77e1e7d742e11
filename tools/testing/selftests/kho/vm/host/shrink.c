// SPDX-License-Identifier: GPL-2.0-only
/*
 * shrink.c - the least of a scenario that still fails
 *
 * The scenario is run again and again: with no more generations than it takes to
 * fail, and, where its operations have numbers (kho_ops= on the kernel command
 * line), with fewer and fewer of these, until leaving out any one of them makes
 * it pass.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define ARGS_MAX	64
#define OPS_MAX		100000
/* of a kernel command line, which has more on it */
#define LIST_MAX	1000

/**
 * struct hunt - what is looked for, and with which command
 * @argv: "khotest run" and its options, without those that change
 * @argc: how many
 * @append: what the person appends to every command line
 * @dir: directory of all runs
 * @runs: how many there were
 * @test: the check that fails; empty before the first run
 * @generation: where it failed in the first run
 * @op: the operation that it failed in; -1 if it names none
 * @per_generation: operations in one generation, 0 if they have no numbers
 */
struct hunt {
	char *argv[ARGS_MAX];
	int argc;
	const char *append;
	char dir[512];
	unsigned int runs;
	char test[128];
	unsigned int generation;
	long op;
	unsigned int per_generation;
};

/* numbers as kho_ops= takes them; false if they are too many for a command line */
static bool list_ops(const unsigned int *op, size_t nr, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0, j; i < nr && len < size; i = j + 1) {
		for (j = i; j + 1 < nr && op[j + 1] == op[j] + 1; j++)
			;
		len += snprintf(buf + len, size - len, j > i ? "%s%u-%u" : "%s%u",
				len ? "," : "", op[i], op[j]);
	}
	return len < size;
}

/* the command of a run; @dir is NULL for the one that a person is told */
static void command(const struct hunt *h, unsigned int generations, const char *ops,
		    const char *dir, char **argv, char *buf, size_t size)
{
	static char gens[16];
	int n = h->argc;

	memcpy(argv, h->argv, n * sizeof(*argv));
	snprintf(gens, sizeof(gens), "%u", generations);
	if (generations) {
		argv[n++] = "--generations";
		argv[n++] = gens;
	}
	snprintf(buf, size, "%s%s%s%s", h->append ? h->append : "",
		 h->append && *ops ? " " : "", *ops ? "kho_ops=" : "", ops);
	if (*buf) {
		argv[n++] = "--append";
		argv[n++] = buf;
	}
	if (dir) {
		argv[n++] = "--results";
		argv[n++] = (char *)dir;
	}
	argv[n] = NULL;
}

/* what failed first, and where */
static bool first_failure(struct hunt *h, json_t *root)
{
	unsigned int first = ~0u;
	json_t *r, *l;
	size_t i, j;

	json_array_foreach(json_object_get(root, "results"), i, r) {
		const char *status = json_string_value(json_object_get(r, "status"));
		unsigned int g = json_integer_value(json_object_get(r, "generation"));

		if (!status || (strcmp(status, "FAIL") && strcmp(status, "MISS")) || g >= first)
			continue;
		first = g;
		h->generation = g;
		h->op = -1;
		snprintf(h->test, sizeof(h->test), "%s",
			 json_string_value(json_object_get(r, "test")) ?: "");
		json_array_foreach(json_object_get(r, "evidence"), j, l) {
			const char *at = strstr(json_string_value(l) ?: "", ": op ");

			if (at && h->op < 0)
				sscanf(at, ": op %ld", &h->op);
		}
	}
	json_array_foreach(json_object_get(root, "measurements"), i, r) {
		const char *unit = json_string_value(json_object_get(r, "unit"));

		if (unit && !strcmp(unit, "operations") && !h->per_generation)
			h->per_generation = json_number_value(json_object_get(r, "value"));
	}
	return first != ~0u;
}

static bool failed_again(const struct hunt *h, json_t *root)
{
	json_t *r;
	size_t i;

	json_array_foreach(json_object_get(root, "results"), i, r) {
		const char *status = json_string_value(json_object_get(r, "status"));
		const char *test = json_string_value(json_object_get(r, "test"));

		if (status && test && !strcmp(test, h->test) &&
		    (!strcmp(status, "FAIL") || !strcmp(status, "MISS")))
			return true;
	}
	return false;
}

/* 1: it fails, 0: it does not, negative: it cannot be run */
static int run_once(struct hunt *h, unsigned int generations, const char *ops)
{
	char dir[600], path[700], append[LIST_MAX + 2048], *argv[ARGS_MAX + 8];
	json_error_t err;
	json_t *root;
	int st, fails;
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s/%u", h->dir, ++h->runs);
	command(h, generations, ops, dir, argv, append, sizeof(append));
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		int fd;

		snprintf(path, sizeof(path), "%s.log", dir);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	if (waitpid(pid, &st, 0) != pid || !WIFEXITED(st) || WEXITSTATUS(st) > EX_FAIL) {
		complain("the scenario cannot be run: see %s.log", dir);
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "%s/results.json", dir);
	root = json_load_file(path, 0, &err);
	if (!root) {
		complain("%s: %s", path, err.text);
		return -EINVAL;
	}
	fails = *h->test ? failed_again(h, root) : first_failure(h, root);
	json_decref(root);
	return fails;
}

/* leave out what can be left out: halves, quarters, and so on (ddmin) */
static int fewest_ops(struct hunt *h, unsigned int generations, unsigned int *op, size_t *nr)
{
	static unsigned int rest[OPS_MAX];
	char list[LIST_MAX];
	size_t parts = 2;

	while (*nr > 1) {
		bool less = false;

		for (size_t i = 0; i < parts && !less; i++) {
			size_t from = *nr * i / parts, to = *nr * (i + 1) / parts, n = 0;
			int fails;

			for (size_t j = 0; j < *nr; j++)
				if (j < from || j >= to)
					rest[n++] = op[j];
			if (!list_ops(rest, n, list, sizeof(list)))
				continue;
			fails = run_once(h, generations, list);
			if (fails < 0)
				return fails;
			fprintf(stderr, "run %u: %zu of %zu operations: %s\n", h->runs, n, *nr,
				fails ? "fails" : "passes");
			if (!fails)
				continue;
			memcpy(op, rest, n * sizeof(*op));
			*nr = n;
			less = true;
		}
		if (!less && parts >= *nr)
			break;
		if (less)
			parts = parts > 2 ? parts - 1 : 2;
		else
			parts = 2 * parts < *nr ? 2 * parts : *nr;
	}
	return 0;
}

/* options that are ours to set are taken out of what the person said */
static bool take_options(struct hunt *h, int argc, char **argv)
{
	const char *results = NULL;
	time_t t = time(NULL);

	h->argv[h->argc++] = "khotest";
	h->argv[h->argc++] = "run";
	for (int i = 0; i < argc; i++) {
		bool append = !strcmp(argv[i], "--append");

		if ((append || !strcmp(argv[i], "--results")) && i + 1 < argc) {
			*(append ? &h->append : &results) = argv[i + 1];
			i++;
			continue;
		}
		if (!strcmp(argv[i], "--generations")) {
			complain("shrink finds out how many --generations it takes");
			return false;
		}
		if (h->argc == ARGS_MAX - 8) {
			complain("too many arguments");
			return false;
		}
		h->argv[h->argc++] = argv[i];
	}
	if (results)
		snprintf(h->dir, sizeof(h->dir), "%s", results);
	else
		strftime(h->dir, sizeof(h->dir), "shrink-%Y%m%d-%H%M%S", localtime(&t));
	if (mkdir(h->dir, 0755)) {
		complain("%s: %s", h->dir, strerror(errno));
		return false;
	}
	return true;
}

/**
 * shrink() - find the least of a scenario that still fails
 * @argc: arguments in @argv
 * @argv: options of "khotest run", and one scenario
 *
 * Return: EX_PASS with what was found on standard output, EX_SKIP if it does not
 * fail, EX_CANNOT
 */
int shrink(int argc, char **argv)
{
	static unsigned int op[OPS_MAX];
	char list[LIST_MAX] = "", append[LIST_MAX + 2048], *again[ARGS_MAX + 8], *text;
	struct hunt h = { };
	unsigned int gens;
	size_t nr = 0;
	int fails;

	if (!take_options(&h, argc, argv))
		return EX_CANNOT;
	fails = run_once(&h, 0, "");
	if (fails < 0)
		return EX_CANNOT;
	if (!fails) {
		complain("it does not fail");
		return EX_SKIP;
	}
	gens = h.generation + 1;
	fprintf(stderr, "run 1: %s fails in generation %u%s", h.test, h.generation,
		h.op < 0 ? "\n" : "");
	if (h.op >= 0)
		fprintf(stderr, ", operation %ld\n", h.op);
	nr = h.op >= 0 ? (size_t)h.op + 1 : (size_t)h.generation * h.per_generation;
	if (nr > OPS_MAX)
		nr = 0;
	for (size_t i = 0; i < nr; i++)
		op[i] = i;
	if (nr && h.per_generation && fewest_ops(&h, gens, op, &nr))
		return EX_CANNOT;
	if (nr && h.per_generation)
		list_ops(op, nr, list, sizeof(list));
	fails = run_once(&h, gens, list);
	if (fails <= 0) {
		complain("it does not fail again: it depends on more than seed and operations");
		return EX_CANNOT;
	}
	command(&h, gens, list, NULL, again, append, sizeof(append));
	text = shell_quote(again);
	printf("%s fails with %u generation%s%s%s, seen in %u runs:\n%s\n", h.test, gens,
	       gens == 1 ? "" : "s", *list ? " and the operations " : "", list, h.runs, text);
	free(text);
	return EX_PASS;
}
