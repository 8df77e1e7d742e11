// SPDX-License-Identifier: GPL-2.0-only
/*
 * export.c - results in the forms that other systems read
 *
 * KCIDB I/O v5.3 for KernelCI: the kernel's source is a checkout, its image a build,
 * each check a test, each measurement a test with a number; a known issue is an issue,
 * and a check that fails as it says an incident of it.  JUnit XML for whatever reads
 * only that.  Both are printed; nothing is sent anywhere.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* KCIDB takes no more of a log */
#define EXCERPT_MAX	16384
#define ORIGIN		"kho_suite"

static const char *string_of(json_t *of, const char *key)
{
	return json_string_value(json_object_get(of, key)) ?: "";
}

static long long integer_of(json_t *of, const char *key)
{
	return json_integer_value(json_object_get(of, key));
}

/* a part of a name, of what names may be made of */
static void put_part(FILE *f, const char *s)
{
	for (; *s; s++)
		fputc(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
			     *s) ? *s : '_', f);
}

/* "kselftest.kho.SCENARIO.gN.TEST": as the selftest's own KTAP has it */
static void put_path(FILE *f, json_t *of, const char *name)
{
	fprintf(f, "kselftest.kho.%s.g%lld.%s", string_of(of, "scenario"),
		integer_of(of, "generation"), name);
}

/**
 * struct kcidb - what is written
 * @origin: who says it
 * @url: where the results' files are to be found
 * @root: of the results
 * @build: the build's id: a kernel is what its image is
 * @tests: what is written of each check
 * @issues: of each known issue
 * @incidents: where one was seen
 */
struct kcidb {
	const char *origin, *url;
	json_t *root;
	char build[128];
	json_t *tests, *issues, *incidents;
};

/* the same for the same check of the same kernel */
static char *test_id(const struct kcidb *k, const char *path)
{
	char *id;

	if (asprintf(&id, "%s:%s:%s", k->origin, k->build + strlen(k->origin) + 1, path) < 0)
		abort();
	return id;
}

static json_t *begin_test(const struct kcidb *k, const char *path)
{
	char *id = test_id(k, path);
	json_t *t = json_object();

	json_object_set_new(t, "id", json_string(id));
	json_object_set_new(t, "build_id", json_string(k->build));
	json_object_set_new(t, "origin", json_string(k->origin));
	json_object_set_new(t, "path", json_string(path));
	json_object_set(t, "start_time", json_object_get(k->root, "start_time"));
	free(id);
	return t;
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

/* where it ran, and what the machine said meanwhile */
static void surroundings(const struct kcidb *k, json_t *t, json_t *of)
{
	json_t *s = scenario_named(k->root, string_of(of, "scenario")), *env;
	json_t *host = json_object_get(k->root, "host");

	env = json_pack("{s:o,s:o}", "comment",
			json_sprintf("%s %s, %s", string_of(host, "qemu"),
				     string_of(host, "qemu_version"), string_of(host, "accel")),
			"misc", json_pack("{s:s,s:s}", "cmdline", string_of(s, "cmdline"),
					  "kernel", string_of(of, "kernel")));
	if (json_object_get(s, "environment"))
		json_object_set(json_object_get(env, "misc"), "facts",
				json_object_get(s, "environment"));
	json_object_set_new(t, "environment", env);
	if (*string_of(s, "console"))
		json_object_set_new(t, "output_files",
				    json_pack("[{s:s,s:o}]", "name", "console.log", "url",
					      json_sprintf("%s/%s", k->url,
							   string_of(s, "console"))));
}

static char *lines(json_t *list, size_t max)
{
	char *buf;
	size_t len, i;
	json_t *l;
	FILE *f = open_memstream(&buf, &len);

	if (!f)
		abort();
	json_array_foreach(list, i, l)
		fprintf(f, "%s\n", json_string_value(l));
	if (fclose(f))
		abort();
	if (len > max)
		buf[max] = '\0';
	return buf;
}

static void known(struct kcidb *k, json_t *check, const char *test)
{
	const char *name = string_of(check, "known_issue");
	char issue[256], incident[1024];
	json_t *one;
	size_t i;

	snprintf(issue, sizeof(issue), "%s:%s", k->origin, name);
	snprintf(incident, sizeof(incident), "%s:%s", test, name);
	json_array_append_new(k->incidents,
			      json_pack("{s:s,s:s,s:s,s:i,s:s,s:b}", "id", incident, "origin",
					k->origin, "issue_id", issue, "issue_version", 1,
					"test_id", test, "present", 1));
	json_array_foreach(k->issues, i, one)
		if (!strcmp(string_of(one, "id"), issue))
			return;
	json_array_append_new(k->issues,
			      json_pack("{s:s,s:s,s:i,s:s,s:{s:b,s:b,s:b}}", "id", issue,
					"origin", k->origin, "version", 1, "comment", name,
					"culprit", "code", 1, "tool", 0, "harness", 0));
}

static void kcidb_check(struct kcidb *k, json_t *check)
{
	const char *status = string_of(check, "status");
	bool xfail = !strcmp(status, "XFAIL");
	json_t *t, *misc = json_object();
	char *path, *log;
	size_t len;
	FILE *f = open_memstream(&path, &len);

	if (!f)
		abort();
	put_path(f, check, string_of(check, "test"));
	if (fclose(f))
		abort();
	t = begin_test(k, path);
	/* that it is known to fail does not make it pass: an incident says so */
	json_object_set_new(t, "status", json_string(xfail ? "FAIL" : status));
	json_object_set(t, "duration", json_object_get(check, "duration"));
	if (*string_of(check, "reason"))
		json_object_set(t, "comment", json_object_get(check, "reason"));
	log = lines(json_object_get(check, "evidence"), EXCERPT_MAX);
	if (*log)
		json_object_set_new(t, "log_excerpt", json_string(log));
	surroundings(k, t, check);
	if (*string_of(check, "requirement"))
		json_object_set(misc, "requirement", json_object_get(check, "requirement"));
	if (json_object_get(check, "until"))
		json_object_set(misc, "until", json_object_get(check, "until"));
	json_object_set_new(t, "misc", json_pack("{s:o}", "kho", misc));
	json_array_append_new(k->tests, t);
	if (xfail)
		known(k, check, string_of(t, "id"));
	free(log);
	free(path);
}

/* in units that are prefixed by whoever shows them */
static json_t *number(json_t *value)
{
	static const struct {
		const char *unit, *of, *prefix;
		double per;
	} known[] = {
		{ "ns", "s", "metric", 1e9 },
		{ "us", "s", "metric", 1e6 },
		{ "ms", "s", "metric", 1e3 },
		{ "bytes", "B", "binary", 1 },
		{ "kib", "B", "binary", 1.0 / 1024 },
	};
	const char *unit = string_of(value, "unit");
	double v = json_number_value(json_object_get(value, "value"));

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(unit, known[i].unit))
			return json_pack("{s:f,s:s,s:s}", "value", v / known[i].per, "unit",
					 known[i].of, "prefix", known[i].prefix);
	return json_pack("{s:O,s:s}", "value", json_object_get(value, "value"), "unit", unit);
}

static void kcidb_value(struct kcidb *k, json_t *value)
{
	static const char * const kept[] = { "samples", "summary", "parameters", "program" };
	json_t *t, *misc = json_object(), *p;
	const char *key;
	char *path;
	size_t len;
	FILE *f = open_memstream(&path, &len);

	if (!f)
		abort();
	put_path(f, value, string_of(value, "name"));
	/* with these it is another series */
	json_object_foreach(json_object_get(value, "parameters"), key, p) {
		fputc('.', f);
		put_part(f, key);
		fputc('_', f);
		put_part(f, json_string_value(p));
	}
	if (fclose(f))
		abort();
	t = begin_test(k, path);
	json_object_set_new(t, "status", json_string("DONE"));
	json_object_set_new(t, "number", number(value));
	surroundings(k, t, value);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (json_object_get(value, kept[i]))
			json_object_set(misc, kept[i], json_object_get(value, kept[i]));
	json_object_set(misc, "unit", json_object_get(value, "unit"));
	json_object_set_new(t, "misc", json_pack("{s:o}", "kho", misc));
	json_array_append_new(k->tests, t);
	free(path);
}

/* as far as the image says it, an image is another one for each build */
static void kcidb_build(struct kcidb *k, json_t *doc)
{
	json_t *kernel = json_object_get(k->root, "kernel");
	json_t *host = json_object_get(k->root, "host");
	const char *release = string_of(kernel, "release");
	const char *sum = string_of(kernel, "sha256");
	char checkout[160];

	snprintf(checkout, sizeof(checkout), "%s:%s", k->origin, release);
	if (*sum)
		snprintf(k->build, sizeof(k->build), "%s:%.16s", k->origin, sum);
	else
		snprintf(k->build, sizeof(k->build), "%s:%s-%lld", k->origin, release,
			 integer_of(kernel, "size"));
	json_object_set_new(doc, "checkouts",
			    json_pack("[{s:s,s:s,s:s,s:b}]", "id", checkout, "origin", k->origin,
				      "git_commit_name", release, "valid", 1));
	json_object_set_new(doc, "builds",
			    json_pack("[{s:s,s:s,s:s,s:s,s:s,s:{s:{s:s,s:s}}}]", "id", k->build,
				      "checkout_id", checkout, "origin", k->origin,
				      "architecture", string_of(host, "machine"), "status",
				      "PASS", "misc", "kho", "image", string_of(kernel, "image"),
				      "sha256", sum));
}

static bool is_origin(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

/**
 * export_kcidb() - the command "khotest kcidb"
 * @argc: arguments behind it
 * @argv: the arguments
 *
 * Return: exit status
 */
int export_kcidb(int argc, char **argv)
{
	struct kcidb k = { .origin = ORIGIN };
	const char *from = NULL;
	char dir[PATH_MAX] = "", url[PATH_MAX + 16];
	char *path, *slash;
	json_t *doc, *one;
	size_t i;
	int err;

	for (int n = 0; n < argc; n++) {
		if (!strcmp(argv[n], "--origin") && n + 1 < argc) {
			k.origin = argv[++n];
		} else if (!strcmp(argv[n], "--url") && n + 1 < argc) {
			k.url = argv[++n];
		} else if (*argv[n] != '-' && !from) {
			from = argv[n];
		} else {
			complain("what is %s?", argv[n]);
			help_usage("kcidb", stderr);
			return EX_CANNOT;
		}
	}
	if (!from) {
		help_usage("kcidb", stderr);
		return EX_CANNOT;
	}
	if (!is_origin(k.origin) || strlen(k.origin) > 32) {
		complain("--origin %s: up to 32 of a-z, 0-9 and _", k.origin);
		return EX_CANNOT;
	}
	k.root = results_load(from, &path);
	if (!k.root)
		return EX_CANNOT;
	if (!k.url) {
		if (!realpath(path, dir)) {
			complain("%s: %s", path, strerror(errno));
			return EX_CANNOT;
		}
		slash = strrchr(dir, '/');
		*slash = '\0';
		snprintf(url, sizeof(url), "file://%s", dir);
		k.url = url;
	}
	k.tests = json_array();
	k.issues = json_array();
	k.incidents = json_array();
	doc = json_pack("{s:{s:i,s:i}}", "version", "major", 5, "minor", 3);
	kcidb_build(&k, doc);
	json_array_foreach(json_object_get(k.root, "results"), i, one)
		kcidb_check(&k, one);
	json_array_foreach(json_object_get(k.root, "measurements"), i, one)
		kcidb_value(&k, one);
	json_object_set_new(doc, "tests", k.tests);
	json_object_set_new(doc, "issues", k.issues);
	json_object_set_new(doc, "incidents", k.incidents);
	err = json_dumpf(doc, stdout, JSON_INDENT(1)) || putchar('\n') == EOF || fflush(stdout);
	if (err)
		complain("the document cannot be written: %s", strerror(errno));
	json_decref(doc);
	json_decref(k.root);
	free(path);
	return err ? EX_CANNOT : EX_PASS;
}

/* text of results is printable: what is left are the signs of XML */
static void xml(const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", stdout);
			break;
		case '<':
			fputs("&lt;", stdout);
			break;
		case '>':
			fputs("&gt;", stdout);
			break;
		case '"':
			fputs("&quot;", stdout);
			break;
		default:
			putchar(*s);
		}
	}
}

static void attribute(const char *name, const char *value)
{
	printf(" %s=\"", name);
	xml(value);
	putchar('"');
}

static void junit_case(json_t *check)
{
	static const struct {
		const char *status, *element;
	} of[] = {
		{ "FAIL", "failure" }, { "MISS", "error" }, { "SKIP", "skipped" },
		{ "XFAIL", "skipped" },
	};
	const char *status = string_of(check, "status"), *reason = string_of(check, "reason");
	const char *issue = string_of(check, "known_issue");
	char *log = lines(json_object_get(check, "evidence"), SIZE_MAX);

	printf("  <testcase classname=\"%s.g%lld\" time=\"%.3f\"", string_of(check, "scenario"),
	       integer_of(check, "generation"),
	       json_number_value(json_object_get(check, "duration")));
	attribute("name", string_of(check, "test"));
	puts(">");
	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		bool bad = i < 2;

		if (strcmp(status, of[i].status))
			continue;
		printf("   <%s", of[i].element);
		attribute("message", *issue ? issue : *reason ? reason : status);
		putchar('>');
		/* only failures have room for what was seen */
		if (bad)
			xml(log);
		printf("</%s>\n", of[i].element);
	}
	if (*log && strcmp(status, "FAIL") && strcmp(status, "MISS")) {
		printf("   <system-out>");
		xml(log);
		puts("</system-out>");
	}
	puts("  </testcase>");
	free(log);
}

/**
 * export_junit() - the command "khotest junit"
 * @argc: arguments behind it
 * @argv: the arguments
 *
 * Return: exit status
 */
int export_junit(int argc, char **argv)
{
	json_t *root, *s, *check;
	size_t i, j;
	char *path;

	if (argc != 1 || *argv[0] == '-') {
		help_usage("junit", stderr);
		return EX_CANNOT;
	}
	root = results_load(argv[0], &path);
	if (!root)
		return EX_CANNOT;
	puts("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
	printf("<testsuites");
	attribute("name", "kho");
	puts(">");
	json_array_foreach(json_object_get(root, "scenarios"), i, s) {
		const char *name = string_of(s, "name");
		unsigned int count[3] = { }, n = 0;

		json_array_foreach(json_object_get(root, "results"), j, check) {
			const char *status = string_of(check, "status");

			if (strcmp(string_of(check, "scenario"), name))
				continue;
			n++;
			count[0] += !strcmp(status, "FAIL");
			count[1] += !strcmp(status, "MISS");
			count[2] += !strcmp(status, "SKIP") || !strcmp(status, "XFAIL");
		}
		printf(" <testsuite tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\"", n,
		       count[0], count[1], count[2]);
		printf(" time=\"%.3f\"", json_number_value(json_object_get(s, "duration")));
		attribute("name", name);
		attribute("timestamp", string_of(root, "start_time"));
		puts(">");
		printf("  <properties><property name=\"kernel\"");
		attribute("value", string_of(s, "kernel"));
		printf("/><property name=\"repeat\"");
		attribute("value", string_of(s, "repeat"));
		puts("/></properties>");
		json_array_foreach(json_object_get(root, "results"), j, check)
			if (!strcmp(string_of(check, "scenario"), name))
				junit_case(check);
		puts(" </testsuite>");
	}
	puts("</testsuites>");
	json_decref(root);
	free(path);
	if (fflush(stdout) || ferror(stdout)) {
		complain("the document cannot be written: %s", strerror(errno));
		return EX_CANNOT;
	}
	return EX_PASS;
}
