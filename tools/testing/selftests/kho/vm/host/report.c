// SPDX-License-Identifier: GPL-2.0-only
/*
 * report.c - what a run found out, on a page that a browser opens
 *
 * One file that needs nothing else: all text is in it as HTML, so that it can be read
 * without scripts; charts are drawn of data in it by Chart.js, which is put in from where
 * the package libjs-chart.js has it.  What came from a kernel is text, whatever it says.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/kho.h"
#include "host.h"

#define CHART_JS	"/usr/share/javascript/chart.js/chart.min.js"
/* points of a chart, and samples of a histogram, at least */
#define POINTS_MIN	3
#define SAMPLES_MIN	20

__asm__(".section .rodata\n"
	".globl report_css, report_js\n"
	"report_css:\n.incbin \"" REPORT_DIR "/report.css\"\n.byte 0\n"
	"report_js:\n.incbin \"" REPORT_DIR "/report.js\"\n.byte 0\n"
	".previous\n");

static const char * const states[] = { "PASS", "FAIL", "XFAIL", "SKIP", "MISS", NULL };
static const char * const none[] = { NULL };

#define STATES	((size_t)5)

static const char *string_of(json_t *of, const char *key)
{
	return json_string_value(json_object_get(of, key)) ?: "";
}

static long long integer_of(json_t *of, const char *key)
{
	return json_integer_value(json_object_get(of, key));
}

/**
 * report_put() - write text as text, whatever is in it
 * @f: the page
 * @s: the text
 */
void report_put(FILE *f, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			fputc(*s, f);
		}
	}
}

static void put_fact(FILE *f, const char *name, const char *value)
{
	if (!*value)
		return;
	fprintf(f, "<dt>%s</dt><dd>", name);
	report_put(f, value);
	fputs("</dd>\n", f);
}

/* columns of words, then columns of numbers, then of words again; NULL ends each */
static void begin_table(FILE *f, const char *label, const char *const *words,
			const char *const *numbers, const char *const *more)
{
	/* whoever has no mouse scrolls it by its arrow keys */
	fprintf(f, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">", label);
	fputs("<table><thead><tr>", f);
	for (; *words; words++)
		fprintf(f, "<th>%s</th>", *words);
	for (; *numbers; numbers++)
		fprintf(f, "<th class=\"n\">%s</th>", *numbers);
	for (; *more; more++)
		fprintf(f, "<th>%s</th>", *more);
	fputs("</tr></thead><tbody>\n", f);
}

static void end_table(FILE *f)
{
	fputs("</tbody></table></div>\n", f);
}

static json_t *scenario_named(json_t *root, const char *name)
{
	json_t *s;
	size_t i;

	json_array_foreach(json_object_get(root, "scenarios"), i, s)
		if (!strcmp(string_of(s, "name"), name))
			return s;
	return NULL;
}

static void put_head(FILE *f, json_t *root)
{
	json_t *kernel = json_object_get(root, "kernel"), *host = json_object_get(root, "host");
	json_t *totals = json_object_get(root, "totals");
	char text[256];

	fputs("<header><h1>Kexec HandOver: ", f);
	report_put(f, string_of(kernel, "release"));
	fprintf(f, "</h1>\n<p class=\"verdict %s\" id=\"verdict\">%s</p>\n<p>",
		string_of(root, "verdict"), string_of(root, "verdict"));
	for (size_t i = 0; i < STATES; i++)
		fprintf(f, "%s<span class=\"%s\"><b id=\"total-%s\">%lld</b> %s</span>",
			i ? ", " : "", states[i], states[i], integer_of(totals, states[i]),
			states[i]);
	fputs("</p>\n<dl>\n", f);
	put_fact(f, "image", string_of(kernel, "image"));
	put_fact(f, "sha256", string_of(kernel, "sha256"));
	put_fact(f, "configuration", string_of(kernel, "config"));
	snprintf(text, sizeof(text), "%s, for %.1f s, %s", string_of(root, "start_time"),
		 json_number_value(json_object_get(root, "duration")), string_of(root, "status"));
	put_fact(f, "run", text);
	snprintf(text, sizeof(text), "%s %s (%s), on %lld CPUs", string_of(host, "qemu"),
		 string_of(host, "qemu_version"), string_of(host, "accel"),
		 integer_of(host, "cpus"));
	put_fact(f, "machines", text);
	fputs("</dl></header>\n", f);
}

static bool is(json_t *check, const char *status)
{
	return !strcmp(string_of(check, "status"), status);
}

static void put_failure(FILE *f, json_t *root, json_t *check)
{
	json_t *s = scenario_named(root, string_of(check, "scenario")), *line;
	size_t i;

	fprintf(f, "<details open class=\"failure\"><summary><b class=\"%s\">%s</b> ",
		string_of(check, "status"), string_of(check, "status"));
	report_put(f, string_of(check, "scenario"));
	fprintf(f, ", generation %lld: ", integer_of(check, "generation"));
	report_put(f, string_of(check, "test"));
	fputs("</summary>\n", f);
	if (*string_of(check, "reason")) {
		fputs("<p>", f);
		report_put(f, string_of(check, "reason"));
		fputs("</p>\n", f);
	}
	if (json_array_size(json_object_get(check, "evidence"))) {
		fputs("<pre>", f);
		json_array_foreach(json_object_get(check, "evidence"), i, line) {
			report_put(f, json_string_value(line));
			fputc('\n', f);
		}
		fputs("</pre>\n", f);
	}
	if (*string_of(s, "console")) {
		fputs("<p><a href=\"", f);
		report_put(f, string_of(s, "console"));
		fputs("\">console</a></p>\n", f);
	}
	if (*string_of(s, "repeat")) {
		fputs("<p>again:</p><pre>", f);
		report_put(f, string_of(s, "repeat"));
		fputs("</pre>\n", f);
	}
	fputs("</details>\n", f);
}

static void put_failures(FILE *f, json_t *root)
{
	unsigned int n = 0;
	json_t *check;
	size_t i;

	fputs("<section id=\"failures\"><h2>Failures</h2>\n", f);
	json_array_foreach(json_object_get(root, "results"), i, check) {
		if (!is(check, "FAIL") && !is(check, "MISS"))
			continue;
		put_failure(f, root, check);
		n++;
	}
	if (!n)
		fputs("<p>None.</p>\n", f);
	fputs("</section>\n", f);
}

static void put_known(FILE *f, json_t *root)
{
	json_t *issues = json_object(), *check, *list;
	const char *id;
	size_t i;

	json_array_foreach(json_object_get(root, "results"), i, check) {
		char where[512];

		if (!is(check, "XFAIL"))
			continue;
		list = json_object_get(issues, string_of(check, "known_issue"));
		if (!list) {
			list = json_array();
			json_object_set_new(issues, string_of(check, "known_issue"), list);
		}
		snprintf(where, sizeof(where), "%s g%lld %s", string_of(check, "scenario"),
			 integer_of(check, "generation"), string_of(check, "test"));
		json_array_append_new(list, json_string(where));
	}
	fputs("<section id=\"known\"><h2>Known issues</h2>\n", f);
	if (!json_object_size(issues))
		fputs("<p>None was seen.</p>\n", f);
	json_object_foreach(issues, id, list) {
		fputs("<details class=\"known\"><summary>", f);
		report_put(f, id);
		fprintf(f, " (%zu)</summary>\n<ul>\n", json_array_size(list));
		json_array_foreach(list, i, check) {
			fputs("<li>", f);
			report_put(f, json_string_value(check));
			fputs("</li>\n", f);
		}
		fputs("</ul></details>\n", f);
	}
	json_decref(issues);
	fputs("</section>\n", f);
}

static void put_scenarios(FILE *f, json_t *root)
{
	static const char * const words[] = { "scenario", "status", NULL };
	static const char * const numbers[] = {
		"kernels", "PASS", "FAIL", "XFAIL", "SKIP", "MISS", "seconds", NULL,
	};
	json_t *s, *check;
	size_t i, j;

	fputs("<section id=\"scenarios\"><h2>Scenarios</h2>\n", f);
	begin_table(f, "scenarios", words, numbers, none);
	json_array_foreach(json_object_get(root, "scenarios"), i, s) {
		unsigned int n[STATES] = { };

		json_array_foreach(json_object_get(root, "results"), j, check) {
			if (strcmp(string_of(check, "scenario"), string_of(s, "name")))
				continue;
			for (size_t k = 0; k < STATES; k++)
				n[k] += is(check, states[k]);
		}
		fputs("<tr><th scope=\"row\">", f);
		report_put(f, string_of(s, "name"));
		fprintf(f, "</th><td>%s</td><td class=\"n\">%lld of %lld</td>",
			string_of(s, "status"), integer_of(s, "generations"),
			integer_of(s, "generations_planned"));
		for (size_t k = 0; k < STATES; k++)
			fprintf(f, "<td class=\"n%s%s\">%u</td>", n[k] ? " " : "",
				n[k] ? states[k] : "", n[k]);
		fprintf(f, "<td class=\"n\">%.1f</td></tr>\n",
			json_number_value(json_object_get(s, "duration")));
	}
	end_table(f);
	fputs("</section>\n", f);
}

/* each promise that something was checked about */
static void put_coverage(FILE *f, json_t *root)
{
	static const char * const words[] = { "requirement", NULL };
	json_t *of = json_object(), *check, *row;
	const char *req;
	size_t i;

	json_array_foreach(json_object_get(root, "results"), i, check) {
		req = string_of(check, "requirement");
		if (!*req)
			continue;
		row = json_object_get(of, req);
		if (!row) {
			row = json_object();
			json_object_set_new(of, req, row);
		}
		json_object_set_new(row, string_of(check, "status"),
				    json_integer(integer_of(row, string_of(check, "status")) + 1));
	}
	fputs("<section id=\"coverage\"><h2>Requirements</h2>\n", f);
	fprintf(f, "<p><b id=\"requirements\">%zu</b> had checks in this run; ",
		json_object_size(of));
	fputs("khotest list --coverage tells what each is.</p>\n", f);
	fputs("<details><summary>each of them</summary>", f);
	begin_table(f, "requirements", words, states, none);
	json_object_foreach(of, req, row) {
		fprintf(f, "<tr><th scope=\"row\">%s</th>", req);
		for (i = 0; i < STATES; i++)
			fprintf(f, "<td class=\"n\">%lld</td>", integer_of(row, states[i]));
		fputs("</tr>\n", f);
	}
	end_table(f);
	fputs("</details></section>\n", f);
	json_decref(of);
}

/* a check over all generations of a scenario is in the worst state it had */
static const char * const by_weight[] = { "SKIP", "PASS", "XFAIL", "MISS", "FAIL", NULL };

static size_t weight(const char *status)
{
	size_t n = 0;

	while (by_weight[n] && strcmp(by_weight[n], status))
		n++;
	return n;
}

static json_t *worst_of(json_t *root)
{
	json_t *of = json_object(), *check;
	size_t i;

	json_array_foreach(json_object_get(root, "results"), i, check) {
		const char *was, *is = string_of(check, "status");
		char key[512];

		snprintf(key, sizeof(key), "%s %s", string_of(check, "scenario"),
			 string_of(check, "test"));
		was = json_string_value(json_object_get(of, key));
		if (!was || weight(is) > weight(was))
			json_object_set(of, key, json_object_get(check, "status"));
	}
	return of;
}

static void put_change(FILE *f, const char *check, const char *was, const char *is)
{
	fputs("<tr class=\"changed\"><th scope=\"row\">", f);
	report_put(f, check);
	fprintf(f, "</th><td class=\"%s\">%s</td><td class=\"%s\">%s</td></tr>\n", was, was, is,
		is);
}

/* what became worse first */
static void put_changes(FILE *f, json_t *base, json_t *root)
{
	static const char * const words[] = { "check", "was", "is", NULL };
	json_t *old = worst_of(base), *new = worst_of(root), *v;
	unsigned int same = 0, gone = 0, came = 0, changed = 0;
	const char *key;

	begin_table(f, "checks that changed", words, none, none);
	for (int worse = 1; worse >= 0; worse--) {
		json_object_foreach(new, key, v) {
			const char *was = json_string_value(json_object_get(old, key));
			const char *is = json_string_value(v);

			if (was && strcmp(was, is) && (weight(is) > weight(was)) == worse) {
				put_change(f, key, was, is);
				changed++;
			}
			same += worse && was && !strcmp(was, is);
			came += worse && !was;
		}
	}
	json_object_foreach(old, key, v)
		gone += !json_object_get(new, key);
	end_table(f);
	fprintf(f, "<p><b id=\"checks-changed\">%u</b> checks changed, %u are what they were, ",
		changed, same);
	fprintf(f, "%u are new, %u are gone.</p>\n", came, gone);
	json_decref(old);
	json_decref(new);
}

static void put_series(FILE *f, const char *base, const char *of)
{
	static const char * const words[] = { "series", "", NULL };
	static const char * const numbers[] = { "percent", "was", "is", NULL };
	json_t *rows = compare_rows(base, of), *row;
	size_t i, n = 0;

	if (!rows) {
		fputs("<p>No series are in both.</p>\n", f);
		return;
	}
	begin_table(f, "series that changed", words, numbers, none);
	json_array_foreach(rows, i, row) {
		const char *told = string_of(row, "told");

		if (!strcmp(told, "same")) {
			n++;
			continue;
		}
		fputs("<tr class=\"moved\"><th scope=\"row\">", f);
		report_put(f, string_of(row, "series"));
		fprintf(f, "</th><td class=\"%s\">%s</td><td class=\"n\">%+.2f</td>",
			!strcmp(told, "worse") ? "FAIL" : !strcmp(told, "better") ? "PASS" : "SKIP",
			told, json_number_value(json_object_get(row, "percent")));
		fprintf(f, "<td class=\"n\">%.10g</td><td class=\"n\">%.10g</td></tr>\n",
			json_number_value(json_object_get(row, "was")),
			json_number_value(json_object_get(row, "is")));
	}
	end_table(f);
	fprintf(f, "<p><b id=\"series-same\">%zu</b> of %zu series are the same.</p>\n", n,
		json_array_size(rows));
	json_decref(rows);
}

static int put_base(FILE *f, json_t *root, const char *of, const char *base)
{
	json_t *old;
	char *path;

	if (!base)
		return 0;
	old = results_load(base, &path);
	free(path);
	if (!old)
		return -1;
	fputs("<section id=\"base\"><h2>Compared with a base</h2>\n<p>Base: kernel ", f);
	report_put(f, string_of(json_object_get(old, "kernel"), "release"));
	fprintf(f, ", <span class=\"%s\">%s</span>, ", string_of(old, "verdict"),
		string_of(old, "verdict"));
	report_put(f, string_of(old, "start_time"));
	fputs("</p>\n", f);
	put_changes(f, old, root);
	put_series(f, base, of);
	fputs("</section>\n", f);
	json_decref(old);
	return 0;
}

static const char * const kinds[] = { "ram", "scratch", "preserved" };

static json_int_t number_of(json_t *range, const char *key)
{
	return json_integer_value(json_object_get(range, key));
}

static bool told_of(json_t *range, json_int_t generation, json_int_t node, const char *kind)
{
	return number_of(range, "generation") == generation &&
	       (node < 0 || number_of(range, "node") == node) &&
	       (!kind || !strcmp(string_of(range, "kind"), kind));
}

/* one node: RAM, and in it what is scratch and what is preserved */
static void put_node(FILE *f, json_t *memory, json_int_t gen, json_int_t node, double low,
		     double high)
{
	double total[ARRAY_SIZE(kinds)] = { };
	json_t *r;
	size_t i;

	fprintf(f, "<p class=\"node\">node %lld</p>\n", (long long)node);
	fputs("<svg class=\"memory\" viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" ", f);
	fputs("aria-hidden=\"true\">\n", f);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		json_array_foreach(memory, i, r) {
			double x, width;

			if (!told_of(r, gen, node, kinds[k]))
				continue;
			total[k] += number_of(r, "size");
			x = 1000 * (number_of(r, "from") - low) / (high - low);
			width = 1000.0 * number_of(r, "size") / (high - low);
			/* a page is not to be seen at all among gigabytes */
			fprintf(f, "<rect class=\"%s\" x=\"%.2f\" width=\"%.2f\" ", kinds[k], x,
				width < 1.5 ? 1.5 : width);
			fprintf(f, "y=\"%d\" height=\"%d\"/>\n", k ? 3 : 0, k ? 14 : 20);
		}
	}
	fputs("</svg>\n<p class=\"node\">", f);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		fprintf(f, "%s<span class=\"key %s\"></span> %s %.0f KiB", k ? ", " : "", kinds[k],
			kinds[k], total[k] / 1024);
	fputs("</p>\n", f);
}

static void put_ranges(FILE *f, json_t *memory, json_int_t gen)
{
	static const char * const words[] = { "node", "kind", "from", "to", NULL };
	static const char * const numbers[] = { "KiB", NULL };
	json_t *r;
	size_t i;

	fputs("<details><summary>ranges</summary>", f);
	begin_table(f, "ranges of memory", words, numbers, none);
	json_array_foreach(memory, i, r) {
		json_int_t from = number_of(r, "from"), size = number_of(r, "size");

		if (!told_of(r, gen, -1, NULL))
			continue;
		fprintf(f, "<tr class=\"range\"><td>%lld</td><td>%s</td>",
			(long long)number_of(r, "node"), string_of(r, "kind"));
		fprintf(f, "<td>0x%llx</td><td>0x%llx</td><td class=\"n\">%lld</td></tr>\n",
			(long long)from, (long long)(from + size - 1), (long long)size / 1024);
	}
	end_table(f);
	fputs("</details>\n", f);
}

/* the maps of one scenario, a kernel after the other */
static void put_maps(FILE *f, json_t *s)
{
	json_t *memory = json_object_get(s, "memory"), *r;
	json_int_t last = 0, nodes = 0;
	double low = 0, high = 0;
	size_t i;

	json_array_foreach(memory, i, r) {
		double from = number_of(r, "from"), to = from + number_of(r, "size");

		low = !i || from < low ? from : low;
		high = to > high ? to : high;
		if (number_of(r, "generation") > last)
			last = number_of(r, "generation");
		if (number_of(r, "node") > nodes)
			nodes = number_of(r, "node");
	}
	for (json_int_t gen = 0; gen <= last; gen++) {
		bool any = false;

		json_array_foreach(memory, i, r)
			any |= told_of(r, gen, -1, NULL);
		if (!any)
			continue;
		fputs("<details open class=\"map\"><summary>", f);
		report_put(f, string_of(s, "name"));
		fprintf(f, ", generation %lld</summary>\n", (long long)gen);
		for (json_int_t node = 0; node <= nodes; node++) {
			any = false;
			json_array_foreach(memory, i, r)
				any |= told_of(r, gen, node, NULL);
			if (any)
				put_node(f, memory, gen, node, low, high);
		}
		put_ranges(f, memory, gen);
		fputs("</details>\n", f);
	}
	if (json_object_get(s, "memory_left"))
		fprintf(f, "<p>%lld more ranges were not told.</p>\n",
			integer_of(s, "memory_left"));
}

static void put_memory(FILE *f, json_t *root)
{
	unsigned int n = 0;
	json_t *s;
	size_t i;

	fputs("<section id=\"memory\"><h2>Memory</h2>\n"
	      "<p>By physical address, from the lowest to the highest of all nodes.</p>\n", f);
	json_array_foreach(json_object_get(root, "scenarios"), i, s) {
		if (!json_array_size(json_object_get(s, "memory")))
			continue;
		put_maps(f, s);
		n++;
	}
	if (!n)
		fputs("<p>No scenario of this run looked at the preserved-memory map.</p>\n", f);
	fputs("</section>\n", f);
}

static json_t *chart_of(json_t *charts, const char *name, const char *unit)
{
	json_t *c = json_object_get(charts, name);

	if (!c) {
		c = json_pack("{s:s,s:s,s:[],s:[]}", "name", name, "unit", unit, "x", "y");
		json_object_set_new(charts, name, c);
	}
	return c;
}

static void add_point(json_t *chart, double x, json_t *y)
{
	json_array_append_new(json_object_get(chart, "x"), json_real(x));
	json_array_append(json_object_get(chart, "y"), y);
}

/* those that are worth a chart, as a list */
static json_t *with_points(json_t *charts)
{
	json_t *list = json_array(), *c;
	const char *name;

	json_object_foreach(charts, name, c)
		if (json_array_size(json_object_get(c, "x")) >= POINTS_MIN)
			json_array_append(list, c);
	json_decref(charts);
	return list;
}

/* what is measured in each kernel of a chain; what is measured over inputs; samples */
static json_t *chart_data(json_t *root)
{
	json_t *chains = json_object(), *curves = json_object(), *series = json_array(), *m;
	json_t *samples;
	size_t i;

	json_array_foreach(json_object_get(root, "measurements"), i, m) {
		const char *name = string_of(m, "name"), *unit = string_of(m, "unit"), *dot;
		const char *scenario = string_of(m, "scenario");
		json_t *value = json_object_get(m, "value");
		char of[512], *end;
		double x;

		snprintf(of, sizeof(of), "%s %s", scenario, name);
		if (!strncmp(name, "chain.", 6)) {
			add_point(chart_of(chains, of, unit), integer_of(m, "generation"), value);
			continue;
		}
		if (strncmp(scenario, "perf.", 5))
			continue;
		dot = strrchr(name, '.');
		x = dot ? strtod(dot + 1, &end) : 0;
		if (dot && dot[1] && !*end) {
			snprintf(of, sizeof(of), "%s %.*s", scenario, (int)(dot - name), name);
			add_point(chart_of(curves, of, unit), x, value);
		}
		snprintf(of, sizeof(of), "%s g%lld %s", scenario, integer_of(m, "generation"),
			 name);
		samples = json_object_get(m, "samples");
		if (json_array_size(samples) < SAMPLES_MIN)
			continue;
		json_array_append_new(series, json_pack("{s:s,s:s,s:O}", "name", of, "unit", unit,
							"samples", samples));
	}
	return json_pack("{s:o,s:o,s:o}", "chains", with_points(chains), "curves",
			 with_points(curves), "series", series);
}

static void put_slopes(FILE *f, json_t *root)
{
	static const char * const words[] = { "series", NULL };
	static const char * const numbers[] = { "each generation", "error", NULL };
	static const char * const more[] = { "unit", NULL };
	json_t *m, *last = json_object();
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(root, "measurements"), i, m) {
		char of[512];

		if (!json_object_get(json_object_get(m, "summary"), "slope"))
			continue;
		snprintf(of, sizeof(of), "%s %s", string_of(m, "scenario"), string_of(m, "name"));
		json_object_set(last, of, m);
	}
	if (!json_object_size(last)) {
		json_decref(last);
		return;
	}
	fputs("<details><summary>slopes</summary>", f);
	begin_table(f, "slopes", words, numbers, more);
	json_object_foreach(last, key, m) {
		json_t *sum = json_object_get(m, "summary");

		fputs("<tr><th scope=\"row\">", f);
		report_put(f, key);
		fprintf(f, "</th><td class=\"n\">%.4f</td><td class=\"n\">%.4f</td>",
			json_number_value(json_object_get(sum, "slope")),
			json_number_value(json_object_get(sum, "error")));
		fprintf(f, "<td>%s</td></tr>\n", string_of(m, "unit"));
	}
	end_table(f);
	fputs("</details>\n", f);
	json_decref(last);
}

static void put_figures(FILE *f, json_t *root)
{
	static const char * const words[] = { "scenario", "series", NULL };
	static const char * const numbers[] = { "generation", "value", NULL };
	static const char * const more[] = { "unit", NULL };
	json_t *m;
	size_t i;

	fputs("<details><summary>all figures</summary>", f);
	begin_table(f, "figures", words, numbers, more);
	json_array_foreach(json_object_get(root, "measurements"), i, m) {
		if (strncmp(string_of(m, "scenario"), "perf.", 5))
			continue;
		fprintf(f, "<tr><td>%s</td><td>%s</td><td class=\"n\">%lld</td>",
			string_of(m, "scenario"), string_of(m, "name"),
			integer_of(m, "generation"));
		fprintf(f, "<td class=\"n\">%.10g</td><td>%s</td></tr>\n",
			json_number_value(json_object_get(m, "value")), string_of(m, "unit"));
	}
	end_table(f);
	fputs("</details>\n", f);
}

/* in a script's element nothing ends but by "</" */
static void put_data(FILE *f, json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT | JSON_ENSURE_ASCII);

	for (char *p = text; *p; p++) {
		if (*p == '<')
			fputs("\\u003c", f);
		else
			fputc(*p, f);
	}
	free(text);
}

static const char page_head[] =
"<!doctype html>\n"
"<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';\n"
"style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
"<link rel=\"icon\" href=\"data:,\">\n"
"<title>KHO: ";

static const char page_parts[] =
"<nav aria-label=\"parts\"><ul>\n"
"<li><a href=\"#failures\">Failures</a></li>\n"
"<li><a href=\"#known\">Known issues</a></li>\n"
"<li><a href=\"#scenarios\">Scenarios</a></li>\n"
"<li><a href=\"#coverage\">Requirements</a></li>\n"
"<li><a href=\"#memory\">Memory</a></li>\n"
"<li><a href=\"#chains\">Chains</a></li>\n"
"<li><a href=\"#costs\">What it costs</a></li>\n"
"</ul></nav>\n"
"<main>\n";

static const char page_chains[] =
"<section id=\"chains\"><h2>Chains</h2>\n"
"<div class=\"charts\" id=\"chains-charts\"></div>\n";

static const char page_costs[] =
"</section>\n"
"<section id=\"costs\"><h2>What it costs</h2>\n"
"<div class=\"charts\" id=\"curves-charts\"></div>\n"
"<p><label for=\"series\">samples of</label> <select id=\"series\"></select></p>\n"
"<div id=\"histogram\"></div>\n";

static int put_page(FILE *f, json_t *root, const char *of, const char *base, const char *charts)
{
	json_t *data = chart_data(root);
	int err;

	fputs(page_head, f);
	report_put(f, string_of(json_object_get(root, "kernel"), "release"));
	fprintf(f, ": %s</title>\n<style>\n", string_of(root, "verdict"));
	fprintf(f, "%s</style></head>\n<body>\n", report_css);
	put_head(f, root);
	fputs(page_parts, f);
	if (base)
		fputs("<p><a href=\"#base\">Compared with a base</a></p>\n", f);
	put_failures(f, root);
	err = put_base(f, root, of, base);
	put_known(f, root);
	put_scenarios(f, root);
	put_coverage(f, root);
	put_memory(f, root);
	fputs(page_chains, f);
	put_slopes(f, root);
	fputs(page_costs, f);
	put_figures(f, root);
	fputs("</section>\n</main>\n", f);
	if (!charts)
		fputs("<p>No charts: libjs-chart.js is not where this was written.</p>\n", f);
	fputs("<script type=\"application/json\" id=\"data\">", f);
	put_data(f, data);
	fputs("</script>\n", f);
	if (charts)
		fprintf(f, "<script>\n%s\n</script>\n<script>\n%s</script>\n", charts,
			report_js);
	fputs("</body></html>\n", f);
	json_decref(data);
	return err;
}

/**
 * report_html() - write what a run found out as a page
 * @root: the results
 * @of: their file
 * @base: results of a run that they are compared with, or NULL
 * @path: the page's file
 *
 * Return: 0, or -1, complained about
 */
int report_html(json_t *root, const char *of, const char *base, const char *path)
{
	struct kho_blob charts = { };
	FILE *f;
	int err;

	if (kho_read_file(CHART_JS, &charts))
		complain("%s: no charts in the page: the package libjs-chart.js has them", path);
	f = fopen(path, "we");
	err = f ? put_page(f, root, of, base, charts.data) : 0;
	kho_blob_free(&charts);
	if (f && (ferror(f) | fclose(f)))
		f = NULL;
	if (!f)
		complain("%s: %s", path, strerror(errno));
	return f ? err : -1;
}
