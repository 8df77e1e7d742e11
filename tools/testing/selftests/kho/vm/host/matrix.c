// SPDX-License-Identifier: GPL-2.0-only
/*
 * matrix.c - which kernels hand over to which
 *
 * Each new kernel is tested with each old one as the release before, by the scenarios that
 * go from that to the kernel under test and back.  What the checks of a generation say is
 * said of the jump into it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define KERNELS_MAX	16
#define ARGS_MAX	64
#define PREVIOUS	"previous"

static const char * const scenarios[] = { "conformance.previous", "conformance.api.previous" };

static const char * const states[] = { "PASS", "FAIL", "XFAIL", "SKIP", "MISS" };

/* as states has them */
enum { PASSED, FAILED, KNOWN, SKIPPED, MISSING };

/**
 * struct member - a kernel of the matrix
 * @kernel: what is known of it
 * @name: its release; with a number where several have the same
 * @module: the test producer that was built for it, or NULL
 */
struct member {
	struct kernel kernel;
	char name[160];
	const char *module;
};

/**
 * struct matrix - all that was asked for, and what came of it
 * @member: the old ones first
 * @nr_old: how many those are
 * @nr: all of them
 * @dir: where it is written to
 * @more: options of run
 * @nr_more: how many
 * @checks: of each jump, from one to another, by state
 * @asked: there was to be such a jump
 * @status: the worst exit status of the runs
 */
struct matrix {
	struct member member[KERNELS_MAX];
	int nr_old, nr;
	char dir[PATH_MAX];
	char *more[ARGS_MAX];
	int nr_more;
	unsigned int checks[KERNELS_MAX][KERNELS_MAX][ARRAY_SIZE(states)];
	bool asked[KERNELS_MAX][KERNELS_MAX];
	int status;
};

/* IMAGE or IMAGE,PRODUCER */
static bool take_kernel(struct matrix *m, char *arg)
{
	struct member *k = &m->member[m->nr];
	char *comma = strrchr(arg, ','), why[1024];
	unsigned int same = 0;

	if (m->nr == KERNELS_MAX) {
		complain("matrix: more than %d kernels", KERNELS_MAX);
		return false;
	}
	if (comma) {
		*comma = '\0';
		k->module = comma + 1;
		if (access(k->module, R_OK)) {
			complain("%s: %s", k->module, strerror(errno));
			return false;
		}
	}
	if (kernel_open(arg, NULL, &k->kernel, why, sizeof(why))) {
		complain("%s", why);
		return false;
	}
	if (m->nr && strcmp(k->kernel.arch, m->member[0].kernel.arch)) {
		complain("%s: a kernel for %s, %s is for %s", arg, k->kernel.arch,
			 m->member[0].kernel.path, m->member[0].kernel.arch);
		return false;
	}
	for (int i = 0; i < m->nr; i++)
		same += !strcmp(m->member[i].kernel.release, k->kernel.release);
	snprintf(k->name, sizeof(k->name), same ? "%s (%u)" : "%s", k->kernel.release, same + 1);
	m->nr++;
	return true;
}

/* options first, with their values; then OLD... -- NEW...; getopt would take "--" away */
static bool take(struct matrix *m, int argc, char **argv)
{
	time_t t = time(NULL);
	int i = 0;

	strftime(m->dir, sizeof(m->dir), "matrix-%Y%m%d-%H%M%S", localtime(&t));
	for (; i + 1 < argc && !strncmp(argv[i], "--", 2) && argv[i][2]; i += 2) {
		if (!strcmp(argv[i], "--results")) {
			snprintf(m->dir, sizeof(m->dir), "%s", argv[i + 1]);
			continue;
		}
		if (m->nr_more + 2 > ARGS_MAX) {
			complain("too many arguments");
			return false;
		}
		m->more[m->nr_more++] = argv[i];
		m->more[m->nr_more++] = argv[i + 1];
	}
	for (; i < argc && strcmp(argv[i], "--"); i++)
		if (!take_kernel(m, argv[i]))
			return false;
	m->nr_old = m->nr;
	for (i++; i < argc; i++)
		if (!take_kernel(m, argv[i]))
			return false;
	if (!m->nr_old || m->nr == m->nr_old) {
		help_usage("matrix", stderr);
		return false;
	}
	if (mkdir(m->dir, 0755)) {
		complain("%s: %s", m->dir, strerror(errno));
		return false;
	}
	return true;
}

static struct scenario *scenario_named(struct scenario *all, int nr, const char *name)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(all[i].decl.name, name))
			return &all[i];
	return NULL;
}

/* the kernel that a generation runs: @old where the scenario has the release before */
static int kernel_of(const struct scenario *s, unsigned int gen, int old, int new)
{
	struct kho_step step;

	scenario_step(s, gen, &step);
	return *step.kernel ? old : new;
}

static size_t state_of(json_t *check)
{
	const char *status = json_string_value(json_object_get(check, "status"));
	size_t i = 0;

	while (i < ARRAY_SIZE(states) - 1 && strcmp(status, states[i]))
		i++;
	return i;
}

/* what one run says of the jumps that it was to make */
static void count(struct matrix *m, struct scenario *all, int nr, json_t *root, int old, int new)
{
	json_t *check;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++) {
		struct scenario *s = scenario_named(all, nr, scenarios[i]);
		struct kho_step step;

		for (unsigned int gen = 1; s && scenario_step(s, gen, &step); gen++)
			m->asked[kernel_of(s, gen - 1, old, new)]
				[kernel_of(s, gen, old, new)] = true;
	}
	json_array_foreach(json_object_get(root, "results"), i, check) {
		json_int_t gen = json_integer_value(json_object_get(check, "generation"));
		struct scenario *s = scenario_named(all, nr,
			json_string_value(json_object_get(check, "scenario")));

		if (s && gen > 0 && gen < KHO_STEPS_LEN)
			m->checks[kernel_of(s, gen - 1, old, new)]
				 [kernel_of(s, gen, old, new)][state_of(check)]++;
	}
}

/* one old kernel and one new one */
static bool run_pair(struct matrix *m, struct scenario *all, int nr, int old, int new)
{
	struct member *from = &m->member[old], *to = &m->member[new];
	char *argv[ARGS_MAX + 16] = { "/proc/self/exe", "run" };
	char also[PATH_MAX + 16], module[PATH_MAX + 16], dir[PATH_MAX + 32];
	char ktap[PATH_MAX + 48], page[PATH_MAX + 48], *path;
	int n = 2, status;
	json_t *root;

	snprintf(dir, sizeof(dir), "%s/%d-%d", m->dir, old, new);
	snprintf(ktap, sizeof(ktap), "%s.ktap", dir);
	snprintf(page, sizeof(page), "%s/report.html", dir);
	snprintf(also, sizeof(also), PREVIOUS "=%s", from->kernel.path);
	for (int i = 0; i < m->nr_more; i++)
		argv[n++] = m->more[i];
	argv[n++] = "--kernel";
	argv[n++] = (char *)to->kernel.path;
	argv[n++] = "--also";
	argv[n++] = also;
	if (to->module) {
		argv[n++] = "--module";
		argv[n++] = (char *)to->module;
	}
	if (from->module) {
		snprintf(module, sizeof(module), PREVIOUS "=%s", from->module);
		argv[n++] = "--module";
		argv[n++] = module;
	}
	argv[n++] = "--results";
	argv[n++] = dir;
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		argv[n++] = (char *)scenarios[i];
	fprintf(stderr, "%s and %s\n", from->name, to->name);
	status = run_and_wait(argv, ktap);
	root = results_load(dir, &path);
	if (!root || (status != EX_PASS && status != EX_FAIL && status != EX_SKIP)) {
		complain("%s and %s: the machines did not run", from->name, to->name);
		m->status = EX_CANNOT;
		return false;
	}
	if (status == EX_FAIL || (status == EX_SKIP && m->status == EX_PASS))
		m->status = status;
	count(m, all, nr, root, old, new);
	report_html(root, path, NULL, page);
	json_decref(root);
	free(path);
	return true;
}

/* the worst of it, or NULL where there was to be no such jump */
static const char *verdict_of(const struct matrix *m, int from, int to)
{
	static const int by_weight[] = { MISSING, FAILED, PASSED, KNOWN, SKIPPED };
	const unsigned int *n = m->checks[from][to];

	if (!m->asked[from][to])
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(by_weight); i++)
		if (n[by_weight[i]])
			return states[by_weight[i]];
	/* the machine went down before */
	return states[MISSING];
}

/* why they hand over or must not */
static void reason_of(struct matrix *m, int from, int to, char *buf, size_t size)
{
	const char *a = kernel_abi(&m->member[from].kernel), *b = kernel_abi(&m->member[to].kernel);

	if (!*a || !*b)
		snprintf(buf, size, "ABI not known");
	else if (!strcmp(a, b))
		snprintf(buf, size, "handed over: %s", a);
	else
		snprintf(buf, size, "refused: %s, it takes %s", a, b);
}

static void put_text(struct matrix *m, FILE *f)
{
	int width = 8;

	for (int i = 0; i < m->nr; i++)
		if ((int)strlen(m->member[i].name) > width)
			width = strlen(m->member[i].name);
	fprintf(f, "%-*s", width, "from\\to");
	for (int to = 0; to < m->nr; to++)
		fprintf(f, "  %-*s", width, m->member[to].name);
	fputc('\n', f);
	for (int from = 0; from < m->nr; from++) {
		fprintf(f, "%-*s", width, m->member[from].name);
		for (int to = 0; to < m->nr; to++)
			fprintf(f, "  %-*s", width, verdict_of(m, from, to) ?: "-");
		fputc('\n', f);
	}
	fputc('\n', f);
	for (int from = 0; from < m->nr; from++) {
		for (int to = 0; to < m->nr; to++) {
			const unsigned int *n = m->checks[from][to];
			char why[128];

			if (!m->asked[from][to])
				continue;
			reason_of(m, from, to, why, sizeof(why));
			fprintf(f, "%s to %s: %s; %u passed, %u failed, %u known issues, ",
				m->member[from].name, m->member[to].name, why, n[PASSED],
				n[FAILED], n[KNOWN]);
			fprintf(f, "%u skipped, %u missing\n", n[SKIPPED], n[MISSING]);
		}
	}
}

static void put_cell(struct matrix *m, FILE *f, int from, int to)
{
	const char *verdict = verdict_of(m, from, to);
	const unsigned int *n = m->checks[from][to];
	char why[128];

	if (!verdict) {
		fputs("<td>-</td>", f);
		return;
	}
	reason_of(m, from, to, why, sizeof(why));
	fprintf(f, "<td class=\"cell\"><b class=\"%s\">%s</b><br>", verdict, verdict);
	report_put(f, why);
	fprintf(f, "<br>%u passed, %u failed, %u known issues, %u skipped, %u missing</td>",
		n[PASSED], n[FAILED], n[KNOWN], n[SKIPPED], n[MISSING]);
}

static void put_page(struct matrix *m, FILE *f)
{
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n"
	      "<title>KHO: which kernels hand over to which</title>\n<style>\n", f);
	fprintf(f, "%s</style></head>\n<body>\n", report_css);
	fputs("<header><h1>Kexec HandOver: which kernels hand over to which</h1></header>\n"
	      "<main>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"matrix\">\n"
	      "<table id=\"matrix\"><thead><tr><th scope=\"col\">from</th>", f);
	for (int to = 0; to < m->nr; to++) {
		fputs("<th scope=\"col\">to ", f);
		report_put(f, m->member[to].name);
		fputs("</th>", f);
	}
	fputs("</tr></thead><tbody>\n", f);
	for (int from = 0; from < m->nr; from++) {
		fputs("<tr><th scope=\"row\">", f);
		report_put(f, m->member[from].name);
		fputs("</th>", f);
		for (int to = 0; to < m->nr; to++)
			put_cell(m, f, from, to);
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div>\n<h2>Runs</h2>\n<ul>\n", f);
	for (int old = 0; old < m->nr_old; old++) {
		for (int new = m->nr_old; new < m->nr; new++) {
			fprintf(f, "<li><a href=\"%d-%d/report.html\">", old, new);
			report_put(f, m->member[old].name);
			fputs(" and ", f);
			report_put(f, m->member[new].name);
			fputs("</a></li>\n", f);
		}
	}
	fputs("</ul>\n<h2>Kernels</h2>\n<dl>\n", f);
	for (int i = 0; i < m->nr; i++) {
		fputs("<dt>", f);
		report_put(f, m->member[i].name);
		fputs("</dt><dd>", f);
		report_put(f, m->member[i].kernel.path);
		fprintf(f, "<br>sha256 %s</dd>\n", m->member[i].kernel.sha256);
	}
	fputs("</dl>\n</main>\n</body></html>\n", f);
}

static void write_down(struct matrix *m, const char *name,
		       void (*fn)(struct matrix *m, FILE *f))
{
	char path[PATH_MAX + 32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", m->dir, name);
	f = fopen(path, "we");
	if (f) {
		fn(m, f);
		if (!(ferror(f) | fclose(f)))
			return;
	}
	complain("%s: %s", path, strerror(errno));
	m->status = EX_CANNOT;
}

/**
 * matrix_run() - the command "khotest matrix"
 * @argc: arguments behind it
 * @argv: the arguments
 *
 * Return: exit status
 */
int matrix_run(int argc, char **argv)
{
	static struct matrix m = { .status = EX_PASS };
	struct scenario *all;
	int nr;

	if (!take(&m, argc, argv))
		return EX_CANNOT;
	nr = scenarios_read(own_dir(), &all);
	if (nr < 0)
		return EX_CANNOT;
	for (int old = 0; old < m.nr_old; old++) {
		for (int new = m.nr_old; new < m.nr; new++) {
			if (!run_pair(&m, all, nr, old, new))
				return EX_CANNOT;
			/* what is known is on disk after each */
			write_down(&m, "matrix.txt", put_text);
			write_down(&m, "matrix.html", put_page);
		}
	}
	put_text(&m, stdout);
	return m.status;
}
