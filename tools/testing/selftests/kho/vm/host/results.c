// SPDX-License-Identifier: GPL-2.0-only
/*
 * results.c - what was found out, as KTAP, as results.json and as a summary
 *
 * results.json is replaced as a whole, by a rename: a reader sees the state of
 * some moment, never half a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

/* of one value; whoever has more says so by another one */
#define SAMPLES_MAX	100000
#define SCHEMA_VERSION	1
/* how long results.json may be behind, in seconds, and in what it takes to write it */
#define BEHIND_MAX	2
#define BEHIND_WRITES	20
/* from so many generations on passes of a check are counted, and not told one by one */
#define TOLD_MAX	100
/* and of values only each tenth is kept */
#define VALUES_MAX	1000

static const char * const status_names[ST_COUNT] = {
	[ST_PASS] = "PASS", [ST_FAIL] = "FAIL", [ST_SKIP] = "SKIP",
	[ST_XFAIL] = "XFAIL", [ST_MISS] = "MISS",
};

static struct {
	const char *dir;
	json_t *root;
	json_t *scenarios;
	json_t *checks;
	json_t *values;
	json_t *known;
	json_t *last;
	unsigned int count[ST_COUNT];
	unsigned int known_passed;
	unsigned int tested;
	unsigned int ktap;
	double start;
	double written;
	double took;
	bool dirty;
	bool broken;
} res;

/**
 * now() - time that only goes forward
 *
 * Return: seconds
 */
double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/**
 * text() - a JSON string of bytes that need not be text
 * @s: any bytes up to a NUL
 *
 * Return: the string; what is not printable ASCII stands in it as \xHH
 */
json_t *text(const char *s)
{
	json_t *j;
	char *buf;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	if (!f)
		abort();
	for (; *s; s++) {
		unsigned char c = *s;

		if ((c >= ' ' && c <= '~') || c == '\t')
			fputc(c, f);
		else
			fprintf(f, "\\x%02x", c);
	}
	if (fclose(f))
		abort();
	j = json_string(buf);
	free(buf);
	return j;
}

static json_t *seconds(double s)
{
	return json_real((long long)(s * 1e6) / 1e6);
}

static int known_read(const char *path)
{
	json_error_t e;
	json_t *root = json_load_file(path, 0, &e), *list, *i;
	size_t n;

	if (!root && !strcmp(path, "/dev/null")) {
		res.known = json_array();
		return 0;
	}
	if (!root) {
		complain("%s:%d: %s", path, e.line, e.text);
		return -EINVAL;
	}
	list = json_object_get(root, "issues");
	json_array_foreach(list, n, i) {
		static const char * const must[] = { "id", "test", "reference" };
		json_t *scn = json_object_get(i, "scenario");

		for (size_t m = 0; m < ARRAY_SIZE(must); m++) {
			if (json_is_string(json_object_get(i, must[m])))
				continue;
			complain("%s: issue %zu has no \"%s\"", path, n, must[m]);
			return -EINVAL;
		}
		if (!json_is_string(scn) && !json_is_array(scn)) {
			complain("%s: issue %zu has no \"scenario\"", path, n);
			return -EINVAL;
		}
		if (json_is_array(json_object_get(i, "kernels")))
			continue;
		complain("%s: issue %zu has no list \"kernels\"", path, n);
		return -EINVAL;
	}
	if (!json_is_array(list)) {
		complain("%s: no list \"issues\"", path);
		return -EINVAL;
	}
	res.known = json_incref(list);
	json_decref(root);
	return 0;
}

/* a known issue may name what the check says of it: anything else is news */
static bool says(json_t *issue, const char *reason, json_t *evidence)
{
	const char *want = json_string_value(json_object_get(issue, "evidence"));
	json_t *line;
	size_t n;

	if (!want || !fnmatch(want, reason, 0))
		return true;
	json_array_foreach(evidence, n, line)
		if (!fnmatch(want, json_string_value(line), 0))
			return true;
	return false;
}

/* a pattern, or a list of them */
static bool matches(json_t *want, const char *name)
{
	json_t *one;
	size_t n;

	if (json_is_string(want))
		return !fnmatch(json_string_value(want), name, 0);
	json_array_foreach(want, n, one)
		if (json_is_string(one) && !fnmatch(json_string_value(one), name, 0))
			return true;
	return false;
}

/* the known issue that this failure is, or that a failure here would be */
static json_t *known_issue(const char *scenario, const char *test,
			   unsigned int generation, const char *release,
			   enum status status, const char *reason, json_t *evidence)
{
	json_t *i, *g;
	size_t n;

	json_array_foreach(res.known, n, i) {
		g = json_object_get(i, "generation_min");
		if (g && generation < (unsigned int)json_integer_value(g))
			continue;
		g = json_object_get(i, "generation_max");
		if (g && generation > (unsigned int)json_integer_value(g))
			continue;
		if (!matches(json_object_get(i, "scenario"), scenario) ||
		    fnmatch(json_string_value(json_object_get(i, "test")), test, 0))
			continue;
		/* what fails only now and then is not gone when it passes */
		if (status == ST_PASS && json_is_true(json_object_get(i, "sometimes")))
			continue;
		if (status == ST_FAIL && !says(i, reason, evidence))
			continue;
		/* of one architecture alone */
		if (json_object_get(i, "arch") && !matches(json_object_get(i, "arch"), qemu_arch()))
			continue;
		if (matches(json_object_get(i, "kernels"), release))
			return i;
	}
	return NULL;
}

/**
 * results_open() - begin a run's results
 * @o: where to, known issues
 * @k: kernel under test
 * @scenarios: how many are to run
 *
 * Return: 0, or a negative errno, complained about
 */
int results_open(const struct options *o, const struct kernel *k, int scenarios)
{
	char stamp[64];
	struct utsname u;
	time_t t = time(NULL);
	json_t *host, *kernel;

	if (known_read(o->known_issues))
		return -EINVAL;
	res.dir = o->results;
	res.start = now();
	res.root = json_object();
	res.scenarios = json_array();
	res.checks = json_array();
	res.values = json_array();
	res.last = json_object();
	uname(&u);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S+00:00", gmtime(&t));
	json_object_set_new(res.root, "schema", json_integer(SCHEMA_VERSION));
	json_object_set_new(res.root, "suite", json_string("kho"));
	json_object_set_new(res.root, "start_time", json_string(stamp));
	json_object_set_new(res.root, "status", json_string("running"));
	json_object_set_new(res.root, "planned_scenarios", json_integer(scenarios));
	kernel = json_object();
	json_object_set_new(kernel, "image", text(k->path));
	json_object_set_new(kernel, "size", json_integer(k->size));
	if (k->arch)
		json_object_set_new(kernel, "arch", text(k->arch));
	if (*k->sha256)
		json_object_set_new(kernel, "sha256", text(k->sha256));
	json_object_set_new(kernel, "release", text(k->release));
	json_object_set_new(kernel, "config", k->config ? text(k->config_from) :
			    json_string("unknown"));
	json_object_set_new(res.root, "kernel", kernel);
	host = json_object();
	json_object_set_new(host, "machine", text(u.machine));
	json_object_set_new(host, "release", text(u.release));
	json_object_set_new(host, "qemu", json_string(o->here ? "none" : qemu_binary()));
	if (!o->here)
		json_object_set_new(host, "qemu_version", text(qemu_version()));
	json_object_set_new(host, "accel", text(o->here ? "none" : o->accel));
	json_object_set_new(host, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_set_new(res.root, "host", host);
	json_object_set(res.root, "scenarios", res.scenarios);
	json_object_set(res.root, "results", res.checks);
	json_object_set(res.root, "measurements", res.values);
	printf("KTAP version 1\n");
	return results_write(true);
}

/**
 * results_named() - the entry of a scenario
 * @name: its name
 *
 * Return: the entry, NULL if there is none
 */
json_t *results_named(const char *name)
{
	json_t *s;
	size_t n;

	json_array_foreach(res.scenarios, n, s)
		if (!strcmp(json_string_value(json_object_get(s, "name")), name))
			return s;
	return NULL;
}

/* what a person types to run the scenario alone */
static char *repeat(const struct scenario *s, const struct options *o,
		    unsigned int generations)
{
	char gens[16], self[PATH_MAX + 16];
	const char *const option[][2] = {
		{ "--kernel", strcmp(o->kernel, "unknown") ? o->kernel : NULL },
		{ "--kconfig", o->kconfig },
		{ "--initrd", o->initrd },
		{ "--generations", generations ? gens : NULL },
		{ "--append", o->append },
		{ "--accel", strcmp(o->accel, "tcg") ? o->accel : NULL },
		{ "--programs", strcmp(o->programs, o->own) ? o->programs : NULL },
		{ "--sysroot", o->sysroot },
	};
	char *argv[2 * ARRAY_SIZE(option) + 4 * ALSO_MAX + 10] = { self, "run" };
	char also[ALSO_MAX][PATH_MAX + 64], module[ALSO_MAX + 1][PATH_MAX + 64], name[32];
	int n = 2;

	snprintf(self, sizeof(self), "%s/khotest", o->own);
	if (o->here)
		argv[n++] = "--here";
	if (o->kexec_here)
		argv[n++] = "--kexec-this-machine";
	snprintf(gens, sizeof(gens), "%u", generations);
	for (size_t i = 0; i < ARRAY_SIZE(option); i++) {
		if (!option[i][1])
			continue;
		argv[n++] = (char *)option[i][0];
		argv[n++] = (char *)option[i][1];
	}
	for (int i = 0; i < ALSO_MAX && scenario_kernel(s, i, name, sizeof(name)); i++) {
		const struct kernel *k = options_kernel(o, name);

		snprintf(also[i], sizeof(also[i]), "%s=%s", name, k ? k->path : "IMAGE");
		argv[n++] = "--also";
		argv[n++] = also[i];
	}
	for (int i = 0; s->decl.flags & KHO_SC_MODULE && i < o->nr_module; i++) {
		snprintf(module[i], sizeof(module[i]), "%s%s%s", o->module[i].name,
			 *o->module[i].name ? "=" : "", o->module[i].path);
		argv[n++] = "--module";
		argv[n++] = module[i];
	}
	argv[n++] = (char *)s->decl.name;
	return shell_quote(argv);
}

/**
 * results_repeat() - note the command that runs a scenario alone
 * @scn: its entry
 * @s: the scenario
 * @o: what it is run with
 * @generations: instead of what it declares, 0 for that
 */
void results_repeat(json_t *scn, const struct scenario *s, const struct options *o,
		    unsigned int generations)
{
	char *cmd = repeat(s, o, generations);

	json_object_set_new(scn, "repeat", text(cmd));
	free(cmd);
}

/**
 * results_scenario() - begin a scenario's results
 * @s: the scenario
 * @o: what it is run with
 *
 * Return: its entry, to be filled in by the runner
 */
json_t *results_scenario(const struct scenario *s, const struct options *o)
{
	json_t *j = json_object();

	json_object_set_new(j, "name", text(s->decl.name));
	json_object_set_new(j, "summary", text(s->decl.summary));
	json_object_set_new(j, "status", json_string("planned"));
	json_object_set_new(j, "generations_planned",
			    json_integer(scenario_generations(s, o)));
	json_object_set_new(j, "generations", json_integer(0));
	results_repeat(j, s, o, o->generations);
	json_array_append_new(res.scenarios, j);
	return j;
}

/* a pass like the one of the generation before it: that one then stands for both */
static bool fold(const char *key, json_t *j, unsigned int generation)
{
	json_t *last = json_object_get(res.last, key), *until;

	until = json_object_get(last, "until") ?: json_object_get(last, "generation");
	if (generation < TOLD_MAX || !last ||
	    json_integer_value(until) + 1 != (json_int_t)generation ||
	    strcmp(json_string_value(json_object_get(last, "status")), "PASS") ||
	    strcmp(json_string_value(json_object_get(j, "status")), "PASS") ||
	    json_object_get(j, "evidence") || json_object_get(j, "known_issue") ||
	    !json_equal(json_object_get(last, "kernel"), json_object_get(j, "kernel")))
		return false;
	json_object_set_new(last, "until", json_integer(generation));
	json_object_set_new(last, "duration",
			    json_real(json_number_value(json_object_get(last, "duration")) +
				      json_number_value(json_object_get(j, "duration"))));
	return true;
}

/* how many results an entry stands for */
static unsigned int stands_for(json_t *check)
{
	json_t *until = json_object_get(check, "until");

	return until ? json_integer_value(until) -
	       json_integer_value(json_object_get(check, "generation")) + 1 : 1;
}

/**
 * results_check() - the result of one check
 * @scn: its scenario's entry
 * @generation: in which it ran
 * @release: kernel release of that generation
 * @requirement: what it is about, "" for what is about the machine
 * @test: its name
 * @status: what came of it; a FAIL that is a known issue becomes XFAIL
 * @seconds_taken: how long it took, on the host
 * @reason: of a SKIP or MISS, "" else
 * @evidence: what it said, or NULL; the reference is taken over
 *
 * Return: what it counts as
 */
enum status results_check(json_t *scn, unsigned int generation, const char *release,
			  const char *requirement, const char *test,
			  enum status status, double seconds_taken, const char *reason,
			  json_t *evidence)
{
	const char *scenario = json_string_value(json_object_get(scn, "name"));
	json_t *j = json_object(), *issue, *line;
	char full[256], key[512];
	size_t n;

	snprintf(full, sizeof(full), "%s%s%s", requirement,
		 *requirement ? "." : "", test);
	for (char *p = full; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	issue = known_issue(scenario, full, generation, release, status, reason,
			    evidence);
	if (issue && status == ST_FAIL)
		status = ST_XFAIL;
	json_object_set_new(j, "scenario", json_string(scenario));
	json_object_set_new(j, "generation", json_integer(generation));
	json_object_set_new(j, "test", text(full));
	if (*requirement)
		json_object_set_new(j, "requirement", text(requirement));
	json_object_set_new(j, "kernel", text(release));
	json_object_set_new(j, "status", json_string(status_names[status]));
	json_object_set_new(j, "duration", seconds(seconds_taken));
	if (*reason)
		json_object_set_new(j, "reason", text(reason));
	if (issue)
		json_object_set(j, "known_issue", json_object_get(issue, "id"));
	if (issue && status == ST_PASS) {
		json_object_set_new(j, "unexpected_pass", json_true());
		res.known_passed++;
	}
	res.count[status]++;
	res.tested += *requirement && (status == ST_PASS || status == ST_XFAIL);

	if (evidence && (status == ST_FAIL || status == ST_XFAIL || status == ST_MISS))
		json_array_foreach(evidence, n, line)
			printf("# %s\n", json_string_value(line));
	if (*reason)
		printf("# %s\n", json_string_value(json_object_get(j, "reason")));
	printf("%s %u kho.%s.g%u.%s%s\n",
	       status == ST_FAIL || status == ST_MISS ? "not ok" : "ok", ++res.ktap,
	       scenario, generation, json_string_value(json_object_get(j, "test")),
	       status == ST_SKIP ? " # SKIP" : status == ST_XFAIL ? " # XFAIL" : "");
	fflush(stdout);
	if (evidence && json_array_size(evidence))
		json_object_set(j, "evidence", evidence);
	json_decref(evidence);
	res.dirty = true;
	snprintf(key, sizeof(key), "%s/%s", scenario, full);
	if (fold(key, j, generation)) {
		json_decref(j);
		return status;
	}
	json_object_set(res.last, key, j);
	json_array_append_new(res.checks, j);
	return status;
}

/**
 * results_value() - a measured value
 * @scn: its scenario's entry
 * @generation: in which it was measured
 * @release: kernel release of that generation
 * @test: the program that said it
 * @value: from ktap_value(); the reference is taken over
 */
void results_value(json_t *scn, unsigned int generation, const char *release,
		   const char *test, json_t *value)
{
	/* records.log has all of them */
	if (generation > VALUES_MAX && generation % 10) {
		json_decref(value);
		return;
	}
	json_object_set(value, "scenario", json_object_get(scn, "name"));
	json_object_set_new(value, "generation", json_integer(generation));
	json_object_set_new(value, "kernel", text(release));
	json_object_set_new(value, "program", text(test));
	json_array_append_new(res.values, value);
	res.dirty = true;
}

/**
 * results_more() - more samples of what was measured last by that name
 * @scn: its scenario's entry
 * @name: of the value
 * @samples: as they came; the reference is taken over
 *
 * Return: true if there was such a value
 */
bool results_more(json_t *scn, const char *name, json_t *samples)
{
	json_t *of = json_object_get(scn, "name"), *v = NULL, *list;
	size_t n = json_array_size(res.values);
	bool is = false;

	while (n-- && !is) {
		v = json_array_get(res.values, n);
		is = json_object_get(v, "scenario") == of &&
		     !strcmp(json_string_value(json_object_get(v, "name")), name);
	}
	list = is ? json_object_get(v, "samples") : NULL;
	is = list && json_array_size(list) < SAMPLES_MAX;
	if (is)
		json_array_extend(list, samples);
	json_decref(samples);
	return is;
}

/* all that is counted, of what there is */
static void recount(void)
{
	json_t *c;
	size_t n;

	memset(res.count, 0, sizeof(res.count));
	res.known_passed = 0;
	res.tested = 0;
	res.ktap = 0;
	json_array_foreach(res.checks, n, c) {
		const char *st = json_string_value(json_object_get(c, "status"));
		unsigned int times = stands_for(c);
		char key[512];

		for (int i = 0; i < ST_COUNT; i++)
			res.count[i] += strcmp(st, status_names[i]) ? 0 : times;
		if (json_object_get(c, "requirement") &&
		    (!strcmp(st, "PASS") || !strcmp(st, "XFAIL")))
			res.tested += times;
		res.known_passed += json_is_true(json_object_get(c, "unexpected_pass"));
		res.ktap += json_object_get(c, "pending") ? 0 : times;
		snprintf(key, sizeof(key), "%s/%s",
			 json_string_value(json_object_get(c, "scenario")),
			 json_string_value(json_object_get(c, "test")));
		json_object_set(res.last, key, c);
	}
}

/**
 * results_failed() - has a check of a scenario failed, or is one missing?
 * @scn: its entry
 *
 * Return: true if so
 */
bool results_failed(json_t *scn)
{
	json_t *c;
	size_t n;

	json_array_foreach(res.checks, n, c) {
		const char *st = json_string_value(json_object_get(c, "status"));

		if (json_equal(json_object_get(c, "scenario"), json_object_get(scn, "name")) &&
		    (!strcmp(st, "FAIL") || !strcmp(st, "MISS")))
			return true;
	}
	return false;
}

/**
 * results_expect() - note what is true if nobody comes back to say more
 * @scn: the scenario that goes on elsewhere
 * @generation: where
 * @reason: what is then to be said
 */
void results_expect(json_t *scn, unsigned int generation, const char *reason)
{
	json_array_append_new(res.checks,
			      json_pack("{s:O, s:i, s:s, s:s, s:s, s:f, s:s, s:b}", "scenario",
					json_object_get(scn, "name"), "generation", generation,
					"test", "machine", "kernel", "", "status",
					status_names[ST_MISS], "duration", 0.0, "reason", reason,
					"pending", 1));
	recount();
}

/**
 * results_forget() - somebody came back: what results_expect() noted is not true
 */
void results_forget(void)
{
	for (size_t n = json_array_size(res.checks); n--; )
		if (json_object_get(json_array_get(res.checks, n), "pending"))
			json_array_remove(res.checks, n);
	recount();
}

/* a machine in order is no verdict: some requirement must have been tested */
static int verdict(const char *status)
{
	if (res.count[ST_FAIL] || res.count[ST_MISS] || strcmp(status, "complete"))
		return EX_FAIL;
	return res.tested ? EX_PASS : EX_SKIP;
}

static const char *verdict_name(int v)
{
	return v == EX_PASS ? "PASS" : v == EX_SKIP ? "SKIP" : "FAIL";
}

static void totals(const char *status)
{
	json_t *t = json_object();

	for (int i = 0; i < ST_COUNT; i++)
		json_object_set_new(t, status_names[i], json_integer(res.count[i]));
	json_object_set_new(res.root, "totals", t);
	json_object_set_new(res.root, "known_issues_passed",
			    json_integer(res.known_passed));
	json_object_set_new(res.root, "duration", seconds(now() - res.start));
	json_object_set_new(res.root, "status", json_string(status));
	json_object_set_new(res.root, "verdict",
			    json_string(!strcmp(status, "running") ? "NONE" :
					verdict_name(verdict(status))));
}

static int write_file(void)
{
	char path[1024], tmp[1024];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/results.json", res.dir);
	snprintf(tmp, sizeof(tmp), "%s/results.json.new", res.dir);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		err = -errno;
	} else {
		if (json_dumpfd(res.root, fd, JSON_INDENT(1) | JSON_SORT_KEYS) ||
		    write(fd, "\n", 1) != 1 || fsync(fd))
			err = errno ? -errno : -EIO;
		if (close(fd) && !err)
			err = -errno;
		if (!err && rename(tmp, path))
			err = -errno;
		if (err)
			unlink(tmp);
	}
	if (err && !res.broken)
		complain("%s: %s: results stay as they were last written", path,
			 strerror(-err));
	if (err)
		res.broken = true;
	return err;
}

/**
 * results_write() - bring results.json up to date
 * @force: now, and not only if it is too far behind
 *
 * Return: 0, or a negative errno, complained about
 */
int results_write(bool force)
{
	double t = now();

	int err;

	if (!force && (!res.dirty || t - res.written < BEHIND_MAX ||
		       t - res.written < res.took * BEHIND_WRITES))
		return 0;
	totals("running");
	res.dirty = false;
	err = write_file();
	res.written = now();
	res.took = res.written - t;
	return err;
}

/**
 * results_suspend() - leave results that hold if the run never goes on
 *
 * Return: 0, or a negative errno, complained about
 */
int results_suspend(void)
{
	totals("interrupted");
	return write_file();
}

/**
 * results_broken() - could results not be written?
 *
 * Return: true if so; there is no use in going on then
 */
bool results_broken(void)
{
	return res.broken;
}

/**
 * results_show() - print the summary of a run
 * @root: its results, in order, see results_load()
 */
void results_show(json_t *root)
{
	json_t *s, *c, *line;
	const char *status = json_string_value(json_object_get(root, "status"));
	const char *ver = json_string_value(json_object_get(root, "verdict"));
	json_t *kernel = json_object_get(root, "kernel");
	unsigned int all[ST_COUNT] = { }, boots = 0, kernels = 0;
	size_t n, m, l;

	fprintf(stderr, "\n%-36s %5s %5s %5s %5s %5s %5s %8s\n", "scenario", "gens",
		"PASS", "FAIL", "XFAIL", "SKIP", "MISS", "seconds");
	json_array_foreach(json_object_get(root, "scenarios"), n, s) {
		unsigned int count[ST_COUNT] = { };
		const char *name = json_string_value(json_object_get(s, "name"));

		json_array_foreach(json_object_get(root, "results"), m, c) {
			const char *of = json_string_value(json_object_get(c, "scenario"));
			const char *st = json_string_value(json_object_get(c, "status"));

			for (int i = 0; of && name && st && !strcmp(of, name) &&
			     i < ST_COUNT; i++)
				count[i] += strcmp(st, status_names[i]) ? 0 : stands_for(c);
		}
		for (int i = 0; i < ST_COUNT; i++)
			all[i] += count[i];
		boots += json_integer_value(json_object_get(s, "boots"));
		kernels += json_integer_value(json_object_get(s, "generations"));
		fprintf(stderr, "%-36s %2d/%-2d %5u %5u %5u %5u %5u %8.1f\n",
			name ? name : "?",
			(int)json_integer_value(json_object_get(s, "generations")),
			(int)json_integer_value(json_object_get(s, "generations_planned")),
			count[ST_PASS], count[ST_FAIL], count[ST_XFAIL],
			count[ST_SKIP], count[ST_MISS],
			json_number_value(json_object_get(s, "duration")));
	}
	json_array_foreach(json_object_get(root, "results"), m, c) {
		const char *st = json_string_value(json_object_get(c, "status"));
		const char *of = json_string_value(json_object_get(c, "scenario"));

		if (!st || !of || (strcmp(st, "FAIL") && strcmp(st, "MISS")))
			continue;
		fprintf(stderr, "\n%s %s generation %d: %s\n", st, of,
			(int)json_integer_value(json_object_get(c, "generation")),
			json_string_value(json_object_get(c, "test")));
		if (json_object_get(c, "reason"))
			fprintf(stderr, "    %s\n",
				json_string_value(json_object_get(c, "reason")));
		json_array_foreach(json_object_get(c, "evidence"), l, line)
			if (l < 12)
				fprintf(stderr, "    %s\n", json_string_value(line));
		json_array_foreach(json_object_get(root, "scenarios"), l, s)
			if (!strcmp(of, json_string_value(json_object_get(s, "name"))))
				fprintf(stderr, "    again: %s\n",
					json_string_value(json_object_get(s, "repeat")));
	}
	fprintf(stderr, "\nkernel %s (%s)\n",
		json_string_value(json_object_get(kernel, "release")),
		json_string_value(json_object_get(kernel, "image")));
	fprintf(stderr, "%s: %u passed, %u failed, %u known issues, ", ver,
		all[ST_PASS], all[ST_FAIL], all[ST_XFAIL]);
	fprintf(stderr, "%u skipped, %u missing; %s in %.1f s\n", all[ST_SKIP],
		all[ST_MISS], status,
		json_number_value(json_object_get(root, "duration")));
	fprintf(stderr, "%u boots of machines, %u kernels ran in them\n", boots, kernels);
	/* where nothing could be tested no issue can be gone */
	if (strcmp(ver, "SKIP") &&
	    json_integer_value(json_object_get(root, "known_issues_passed")))
		fprintf(stderr, "%d checks passed where known issues expect a failure\n",
			(int)json_integer_value(json_object_get(root, "known_issues_passed")));
}

static bool same(json_t *a, json_t *b, const char *key)
{
	return json_equal(json_object_get(a, key), json_object_get(b, key));
}

/*
 * A check that passes in one generation and fails in another as a known issue
 * says is no news: the issue is there.  It may be gone where its check passed
 * throughout.
 */
static void still_known(void)
{
	json_t *passed, *c;
	size_t n, m;

	json_array_foreach(res.checks, n, passed) {
		if (!json_object_get(passed, "unexpected_pass"))
			continue;
		json_array_foreach(res.checks, m, c) {
			const char *st = json_string_value(json_object_get(c, "status"));

			if (strcmp(st, status_names[ST_XFAIL]) || !same(passed, c, "test") ||
			    !same(passed, c, "known_issue"))
				continue;
			json_object_del(passed, "unexpected_pass");
			json_object_del(passed, "known_issue");
			res.known_passed--;
			break;
		}
	}
}

/**
 * results_close() - end a run's results
 * @status: "complete", "interrupted" or "aborted"
 *
 * Return: exit status of the run
 */
int results_close(const char *status)
{
	int err;

	still_known();
	totals(status);
	err = write_file();
	printf("1..%u\n", res.ktap);
	printf("# Totals: pass:%u fail:%u xfail:%u xpass:0 skip:%u error:%u\n",
	       res.count[ST_PASS], res.count[ST_FAIL], res.count[ST_XFAIL],
	       res.count[ST_SKIP], res.count[ST_MISS]);
	fflush(stdout);
	results_show(res.root);
	fprintf(stderr, "results: %s/results.json\n", res.dir);
	if (err)
		return EX_FAIL;
	return verdict(status);
}

/* why a document is no results, NULL if it is */
static const char *not_results(json_t *root, char *why, size_t size)
{
	json_t *schema = json_object_get(root, "schema");

	if (!json_is_object(root))
		return "not an object";
	if (!json_is_integer(schema))
		return "no \"schema\": not results of this suite";
	if (json_integer_value(schema) != SCHEMA_VERSION)
		return "of another schema than this khotest knows";
	return schema_refuses(root, why, size) ? why : NULL;
}

/**
 * results_load() - read the results of a run
 * @of: its results directory, or the file
 * @path: the file that was read, to be freed
 *
 * Return: all of it, or NULL, complained about with file and reason
 */
json_t *results_load(const char *of, char **path)
{
	char wrong[512];
	struct stat st;
	json_error_t e;
	json_t *root;
	const char *why;

	if (asprintf(path, "%s%s", of, stat(of, &st) || S_ISDIR(st.st_mode) ?
		     "/results.json" : "") < 0)
		abort();
	root = json_load_file(*path, 0, &e);
	if (!root && e.line > 0)
		complain("%s:%d: %s", *path, e.line, e.text);
	else if (!root)
		complain("%s", e.text);
	if (!root)
		return NULL;
	why = not_results(root, wrong, sizeof(wrong));
	if (!why)
		return root;
	complain("%s: %s", *path, why);
	json_decref(root);
	return NULL;
}

/**
 * results_exit() - exit status of an earlier run
 * @root: its results
 *
 * Return: that
 */
int results_exit(json_t *root)
{
	const char *ver = json_string_value(json_object_get(root, "verdict"));

	return !strcmp(ver, "PASS") ? EX_PASS : !strcmp(ver, "SKIP") ? EX_SKIP : EX_FAIL;
}

/**
 * results_resume() - go on with a run that was left by results_suspend()
 * @o: where it is, known issues
 *
 * Return: 0, or a negative errno, complained about
 */
int results_resume(const struct options *o)
{
	struct tm tm = { };
	char *path;

	if (known_read(o->known_issues))
		return -EINVAL;
	res.root = results_load(o->results, &path);
	free(path);
	if (!res.root)
		return -EINVAL;
	res.dir = o->results;
	res.scenarios = json_object_get(res.root, "scenarios");
	res.checks = json_object_get(res.root, "results");
	res.values = json_object_get(res.root, "measurements");
	res.last = json_object();
	/* between two kernels there is no clock but this one */
	strptime(json_string_value(json_object_get(res.root, "start_time")),
		 "%Y-%m-%dT%H:%M:%S", &tm);
	res.start = now() - (time(NULL) - timegm(&tm));
	results_forget();
	if (!res.ktap)
		printf("KTAP version 1\n");
	return 0;
}
