// SPDX-License-Identifier: GPL-2.0-only
/*
 * compare.c - what two runs, or many, measured: is it worse?
 *
 * Only what the scenarios perf.* measure is compared, and less of it is better.
 * A series is known by its scenario, its name, its unit, and what it was measured
 * with.  What is counted (instructions, bytes, pages) is the same to the digit when
 * nothing changed, so any difference is one.  What is timed is compared by rank: is
 * one run's sample rather than the other's the longer one?
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

/* percent that a counted series may change by, and a timed one */
#define COUNTED_PERCENT	0.5
#define TIMED_PERCENT	5.0
/* instead of a limit of its own: that of the kind of series */
#define BY_KIND		-1
/* how often a run is told to be worse by chance, over all of its series */
#define CHANCE		0.01
/* a reference loop that took this much longer is told of, percent */
#define SPEED_PERCENT	5.0
/* samples with which a rank says anything */
#define SAMPLES_MIN	8
#define RESAMPLES	400
/* runs that make a history */
#define HISTORY_MIN	2

/**
 * struct run - what a run measured
 * @path: its results
 * @name: for a person
 * @root: all of it
 * @series: the series' names, each with its measurement
 */
struct run {
	char *path;
	char *name;
	json_t *root;
	json_t *series;
};

/**
 * struct change - of a series, from one run to another
 * @key: its name
 * @was: the one value, of a timed series the median
 * @is: the other
 * @low: percent that it changed by at least, of a timed series
 * @high: and at most
 * @percent: by which it changed
 * @chance: that ranks are like that by chance; of a counted series 0
 * @drift: percent that the machines' speed changed by while it was measured
 * @effect: of a timed series: how often a new sample is the longer one, over how
 *	often it is the shorter one, -1 to 1 (Cliff's delta)
 * @timed: it is time
 * @told: what is to be said of it: "worse", "better", "same", "moved"
 */
struct change {
	const char *key;
	double was, is, low, high, percent, chance, drift, effect;
	bool timed;
	const char *told;
};

/* what the processor and the kernel count scatters as time does */
static bool is_timed(json_t *m)
{
	const char *unit = json_string_value(json_object_get(m, "unit"));

	return unit && (!strcmp(unit, "ns") || !strcmp(unit, "us") || !strcmp(unit, "ms") ||
			!strcmp(unit, "events"));
}

/* scenario, generation, name, what it was measured with, unit */
static char *series_key(json_t *m)
{
	json_t *par = json_object_get(m, "parameters"), *v;
	const char *key;
	char *buf;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	if (!f)
		abort();
	fprintf(f, "%s g%lld %s", json_string_value(json_object_get(m, "scenario")),
		(long long)json_integer_value(json_object_get(m, "generation")),
		json_string_value(json_object_get(m, "name")));
	json_object_foreach(par, key, v)
		fprintf(f, " %s=%s", key, json_string_value(v) ?: "?");
	fprintf(f, " [%s]", json_string_value(json_object_get(m, "unit")));
	if (fclose(f))
		abort();
	return buf;
}

static int refuse(struct run *r, const char *why)
{
	complain("%s: %s", r->path, why);
	return -EINVAL;
}

/* the measurements of a run, by their names */
static int run_series(struct run *r)
{
	json_t *m;
	size_t n;

	r->series = json_object();
	json_array_foreach(json_object_get(r->root, "measurements"), n, m) {
		const char *scn = json_string_value(json_object_get(m, "scenario"));
		const char *prog = json_string_value(json_object_get(m, "program"));
		char *key;

		if (!scn || !json_string_value(json_object_get(m, "name")) ||
		    !json_string_value(json_object_get(m, "unit")) ||
		    !json_is_number(json_object_get(m, "value")) ||
		    !json_is_object(json_object_get(m, "parameters")))
			return refuse(r,
				      "a measurement without scenario, name, unit, value or parameters");
		/* what init tells of each boot is for a person */
		if (strncmp(scn, "perf.", 5) || (prog && !strcmp(prog, "init")))
			continue;
		key = series_key(m);
		/* two of one name cannot be told from each other */
		if (json_object_get(r->series, key)) {
			complain("%s: measured twice: %s", r->path, key);
			free(key);
			return -EINVAL;
		}
		json_object_set(r->series, key, m);
		free(key);
	}
	if (!json_object_size(r->series))
		return refuse(r, "no scenario perf.* measured anything in this run");
	return 0;
}

static int run_load(struct run *r, const char *path)
{
	const char *status;
	char *end;
	int err;

	r->root = results_load(path, &r->path);
	if (!r->root)
		return -EINVAL;
	r->name = strdup(path);
	end = r->name + strlen(r->name);
	while (end > r->name + 1 && end[-1] == '/')
		*--end = '\0';
	err = run_series(r);
	status = json_string_value(json_object_get(r->root, "status"));
	/* what there is of it counts; that there may be less is to be known */
	if (!err && strcmp(status, "complete"))
		complain("%s: this run is not complete but %s", r->path, status);
	return err;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), ascending);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double *samples_of(json_t *m, size_t *n)
{
	json_t *list = json_object_get(m, "samples"), *s;
	double *v;
	size_t i;

	*n = json_array_size(list);
	if (!*n) {
		*n = 1;
		v = malloc(sizeof(*v));
		*v = json_number_value(json_object_get(m, "value"));
		return v;
	}
	v = malloc(*n * sizeof(*v));
	json_array_foreach(list, i, s)
		v[i] = json_number_value(s);
	return v;
}

/*
 * Mann and Whitney's test of two samples, sorted: the two-sided chance of ranks as
 * unlike as these, by the normal approximation with its correction for ties.
 */
static double rank_test(const double *a, size_t na, const double *b, size_t nb, double *effect)
{
	size_t i = 0, j = 0, n = na + nb;
	double u = 0, ties = 0, var, z;

	/* each b counts the a's below it, and half of its equals */
	while (i < na || j < nb) {
		double v = j >= nb || (i < na && a[i] <= b[j]) ? a[i] : b[j];
		size_t ea = 0, eb = 0, e;

		while (i + ea < na && a[i + ea] == v)
			ea++;
		while (j + eb < nb && b[j + eb] == v)
			eb++;
		u += eb * (i + ea / 2.0);
		e = ea + eb;
		ties += (double)e * e * e - e;
		i += ea;
		j += eb;
	}
	*effect = 2 * u / ((double)na * nb) - 1;
	var = (double)na * nb / 12 * (n + 1 - ties / ((double)n * (n - 1)));
	if (var <= 0)
		return 1;
	z = (fabs(u - (double)na * nb / 2) - 0.5) / sqrt(var);
	return z <= 0 ? 1 : erfc(z / M_SQRT2);
}

static u64 chance_state = 88172645463325252ULL;

/* the same in each run of this program: an answer is to be had again */
static size_t pick(size_t n)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return chance_state % n;
}

/* what the medians differ by, in 95 of 100 samples drawn from these samples */
static void bootstrap(const double *a, size_t na, const double *b, size_t nb, double *low,
		      double *high)
{
	double d[RESAMPLES], *x = malloc(na * sizeof(*x)), *y = malloc(nb * sizeof(*y));

	for (int r = 0; r < RESAMPLES; r++) {
		double m;

		for (size_t i = 0; i < na; i++)
			x[i] = a[pick(na)];
		for (size_t i = 0; i < nb; i++)
			y[i] = b[pick(nb)];
		m = median(x, na);
		d[r] = m ? 100 * (median(y, nb) - m) / m : 0;
	}
	qsort(d, RESAMPLES, sizeof(*d), ascending);
	*low = d[RESAMPLES * 25 / 1000];
	*high = d[RESAMPLES * 975 / 1000];
	free(x);
	free(y);
}

/* by how many percent a series may change */
static double limit_of(bool timed, double percent)
{
	return percent >= 0 ? percent : timed ? TIMED_PERCENT : COUNTED_PERCENT;
}

/* the timed series of a comparison share what may be told by chance */
static bool is_sure(const struct change *c, size_t timed)
{
	return !c->timed || c->chance * timed < CHANCE;
}

static double percent_of(double was, double is)
{
	return was ? 100 * (is - was) / was : is ? INFINITY : 0;
}

static double of_samples(json_t *m, const char *what)
{
	return json_number_value(json_object_get(json_object_get(m, "summary"), what));
}

/*
 * How much longer the new run's machine needs for what never changes: its times are
 * made shorter by that.
 */
static double slower(json_t *base, json_t *new)
{
	double was = of_samples(base, "reference"), is = of_samples(new, "reference");

	return was > 0 && is > 0 ? is / was : 1;
}

static void compare_one(struct change *c, json_t *base, json_t *new)
{
	size_t na, nb;
	double *a, *b, by;

	c->timed = is_timed(base);
	if (!c->timed) {
		c->was = json_number_value(json_object_get(base, "value"));
		c->is = json_number_value(json_object_get(new, "value"));
	} else {
		a = samples_of(base, &na);
		b = samples_of(new, &nb);
		by = slower(base, new);
		for (size_t i = 0; i < nb; i++)
			b[i] /= by;
		c->drift = of_samples(base, "drift") + of_samples(new, "drift");
		c->was = median(a, na);
		c->is = median(b, nb);
		c->chance = na < SAMPLES_MIN || nb < SAMPLES_MIN ? 1 :
			    rank_test(a, na, b, nb, &c->effect);
		bootstrap(a, na, b, nb, &c->low, &c->high);
		free(a);
		free(b);
	}
	c->percent = percent_of(c->was, c->is);
}

static void judge(struct change *c, size_t n, double percent)
{
	size_t timed = 0;

	for (size_t i = 0; i < n; i++)
		timed += c[i].timed;
	for (size_t i = 0; i < n; i++) {
		if (c[i].was == c[i].is || !is_sure(&c[i], timed))
			c[i].told = "same";
		else if (fabs(c[i].percent) <= limit_of(c[i].timed, percent) + c[i].drift)
			c[i].told = "moved";
		else
			c[i].told = c[i].percent > 0 ? "worse" : "better";
	}
}

static int worst_first(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->percent != y->percent)
		return x->percent < y->percent ? 1 : -1;
	return strcmp(x->key, y->key);
}

static void show_change(const struct change *c)
{
	printf("%-6s %+9.2f %%  %14.10g -> %-14.10g %s", c->told, c->percent, c->was, c->is,
	       c->key);
	/* a history has no two samples */
	if (c->timed && !c->effect)
		printf("  (p %.2g)", c->chance);
	else if (c->timed)
		printf("  (%+.1f to %+.1f %%, delta %+.2f, p %.2g, drift %.1f %%)", c->low,
		       c->high, c->effect, c->chance, c->drift);
	putchar('\n');
}

/* series that one run has and another has not */
static size_t show_alone(const struct run *r, const struct run *other)
{
	size_t n = 0;
	const char *key;
	json_t *m;

	json_object_foreach(r->series, key, m) {
		if (json_object_get(other->series, key))
			continue;
		printf("only in %s: %s\n", r->name, key);
		n++;
	}
	return n;
}

static const char *release_of(const struct run *r)
{
	return json_string_value(json_object_get(json_object_get(r->root, "kernel"), "release")) ?:
	       "?";
}

/* what the machines were like that scenarios of both runs were timed on */
static void show_environment(const struct run *base, const struct run *new)
{
	json_t *one, *other, *was, *v;
	size_t i, j;
	const char *key;

	json_array_foreach(json_object_get(base->root, "scenarios"), i, one) {
		json_t *name = json_object_get(one, "name");

		json_array_foreach(json_object_get(new->root, "scenarios"), j, other) {
			if (!name || !json_equal(name, json_object_get(other, "name")))
				continue;
			was = json_object_get(one, "environment");
			json_object_foreach(json_object_get(other, "environment"), key, v) {
				json_t *w = json_object_get(was, key);

				if (w && !json_equal(w, v))
					printf("%s: %s was \"%s\", is \"%s\"\n",
					       json_string_value(name) ?: "?", key,
					       json_string_value(w) ?: "?",
					       json_string_value(v) ?: "?");
			}
		}
	}
}

/* the machines' speed, in the middle of what was timed */
static void show_speed(const struct run *base, const struct run *new)
{
	double *by = calloc(json_object_size(base->series), sizeof(*by)), mid;
	const char *key;
	size_t n = 0;
	json_t *m;

	json_object_foreach(base->series, key, m) {
		json_t *other = json_object_get(new->series, key);

		if (other && of_samples(m, "reference") && of_samples(other, "reference"))
			by[n++] = slower(m, other);
	}
	mid = n ? 100 * (median(by, n) - 1) : 0;
	if (fabs(mid) > SPEED_PERCENT)
		printf("the reference loop takes %+.1f %%: times are corrected by that\n",
		       mid);
	free(by);
}

/* the series that both runs have; to be freed */
static struct change *changes_of(const struct run *base, const struct run *new, double percent,
				 size_t *n)
{
	struct change *c = calloc(json_object_size(base->series) + 1, sizeof(*c));
	const char *key;
	json_t *m;

	if (!c)
		abort();
	*n = 0;
	json_object_foreach(base->series, key, m) {
		json_t *other = json_object_get(new->series, key);

		if (!other)
			continue;
		c[*n].key = key;
		compare_one(&c[(*n)++], m, other);
	}
	judge(c, *n, percent);
	qsort(c, *n, sizeof(*c), worst_first);
	return c;
}

/**
 * compare_rows() - what became of each series from one run to another
 * @base: results directory of the one, or its file
 * @new: of the other
 *
 * Return: [{"told", "percent", "was", "is", "series"}], the worst first; NULL if they
 * cannot be compared, complained about
 */
json_t *compare_rows(const char *base, const char *new)
{
	struct run one = { }, other = { };
	json_t *rows;
	struct change *c;
	size_t n;

	if (run_load(&one, base) || run_load(&other, new))
		return NULL;
	rows = json_array();
	c = changes_of(&one, &other, BY_KIND, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, json_pack("{s:s,s:f,s:f,s:f,s:s}", "told", c[i].told,
						      "percent", c[i].percent, "was", c[i].was,
						      "is", c[i].is, "series", c[i].key));
	free(c);
	return rows;
}

static int compare_two(const char *base_path, const char *new_path, double percent, bool all)
{
	struct run base = { }, new = { };
	size_t n, worse = 0, better = 0, moved = 0, alone;
	struct change *c;

	if (run_load(&base, base_path) || run_load(&new, new_path))
		return EX_CANNOT;
	c = changes_of(&base, &new, percent, &n);
	printf("base %s: %s\nnew  %s: %s\n", base.name, release_of(&base), new.name,
	       release_of(&new));
	if (!n) {
		complain("%s and %s have no series in common", base.path, new.path);
		return EX_CANNOT;
	}
	show_environment(&base, &new);
	show_speed(&base, &new);
	for (size_t i = 0; i < n; i++) {
		bool same = !strcmp(c[i].told, "same");

		worse += !strcmp(c[i].told, "worse");
		better += !strcmp(c[i].told, "better");
		moved += !strcmp(c[i].told, "moved");
		if (!same || all)
			show_change(&c[i]);
	}
	alone = show_alone(&base, &new);
	alone += show_alone(&new, &base);
	printf("%zu series: %zu worse, %zu better, %zu moved within limits, ", n, worse, better,
	       moved);
	printf("%zu the same; %zu in one run only\n", n - worse - better - moved, alone);
	return worse ? EX_FAIL : EX_PASS;
}

static int by_time(const void *a, const void *b)
{
	const struct run *x = a, *y = b;
	int order = strcmp(json_string_value(json_object_get(x->root, "start_time")),
			   json_string_value(json_object_get(y->root, "start_time")));

	return order ?: strcmp(x->name, y->name);
}

/* the runs of a directory, oldest first; what is no run is told of and left out */
static struct run *history_load(const char *dir, size_t *nr)
{
	struct run *r = NULL;
	struct dirent **e;
	int n = scandir(dir, &e, NULL, alphasort);

	*nr = 0;
	if (n < 0) {
		complain("%s: %s", dir, strerror(errno));
		return NULL;
	}
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX], file[PATH_MAX + 16];

		snprintf(path, sizeof(path), "%s/%s", dir, e[i]->d_name);
		snprintf(file, sizeof(file), "%s/results.json", path);
		if (*e[i]->d_name != '.' && !access(file, F_OK)) {
			r = realloc(r, (*nr + 1) * sizeof(*r));
			memset(&r[*nr], 0, sizeof(*r));
			if (!run_load(&r[*nr], path))
				(*nr)++;
		}
		free(e[i]);
	}
	free(e);
	if (*nr)
		qsort(r, *nr, sizeof(*r), by_time);
	return r;
}

/*
 * Where a row of values changed: Pettitt's statistic, the split with the most unlike
 * sides.  Of counted values any step is one; the largest is told.
 */
static size_t split_of(const double *v, size_t n, bool timed, double *chance)
{
	double most = 0;
	size_t at = 0;

	*chance = 1;
	for (size_t k = 1; k < n; k++) {
		double s = 0;

		if (!timed) {
			s = v[k - 1] ? fabs(v[k] / v[k - 1] - 1) : v[k] != 0;
		} else {
			for (size_t i = 0; i < k; i++)
				for (size_t j = k; j < n; j++)
					s += (v[j] > v[i]) - (v[j] < v[i]);
			s = fabs(s);
		}
		if (s > most) {
			most = s;
			at = k;
		}
	}
	if (!timed)
		*chance = at ? 0 : 1;
	else
		*chance = fmin(1, 2 * exp(-6 * most * most / ((double)n * n * n + (double)n * n)));
	return at;
}

static int compare_history(const char *dir, double percent)
{
	size_t nr, found = 0, looked = 0, worse = 0, timed = 0;
	struct run *r = history_load(dir, &nr);
	double *v;
	const char *key;
	json_t *m;

	if (!r)
		return EX_CANNOT;
	if (nr < HISTORY_MIN) {
		complain("%s: %zu runs that measured something, and a history has %d at least",
			 dir, nr, HISTORY_MIN);
		return EX_CANNOT;
	}
	printf("%zu runs, from %s (%s) to %s (%s)\n", nr, r[0].name, release_of(&r[0]),
	       r[nr - 1].name, release_of(&r[nr - 1]));
	json_object_foreach(r[nr - 1].series, key, m)
		timed += is_timed(m);
	v = calloc(nr, sizeof(*v));
	json_object_foreach(r[nr - 1].series, key, m) {
		struct change c = { .key = key, .timed = is_timed(m) };
		size_t *of = calloc(nr, sizeof(*of)), n = 0, at;
		json_t *first = NULL;

		/* a run may lack it */
		for (size_t i = 0; i < nr; i++) {
			json_t *one = json_object_get(r[i].series, key);
			size_t ns;

			if (!one)
				continue;
			first = first ?: one;
			of[n] = i;
			if (c.timed) {
				double *s = samples_of(one, &ns);

				v[n++] = median(s, ns) / slower(first, one);
				free(s);
			} else {
				v[n++] = json_number_value(json_object_get(one, "value"));
			}
		}
		looked += n > 1;
		at = split_of(v, n, c.timed, &c.chance);
		if (at && is_sure(&c, timed)) {
			size_t from = of[at - 1], to = of[at];

			/* counted: the step; timed: what is usual on either side */
			c.was = c.timed ? median(v, at) : v[at - 1];
			c.is = c.timed ? median(v + at, n - at) : v[at];
			c.percent = percent_of(c.was, c.is);
			c.told = c.percent > 0 ? "worse" : "better";
			if (fabs(c.percent) > limit_of(c.timed, percent)) {
				show_change(&c);
				printf("       between %s (%s) and %s (%s)\n", r[from].name,
				       release_of(&r[from]), r[to].name, release_of(&r[to]));
				found++;
				worse += c.percent > 0;
			}
		}
		free(of);
	}
	free(v);
	printf("%zu series, %zu of them changed, %zu for the worse\n", looked, found, worse);
	return worse ? EX_FAIL : EX_PASS;
}

/**
 * compare() - the command "khotest compare"
 * @argc: arguments behind it
 * @argv: the arguments
 *
 * Return: exit status
 */
int compare(int argc, char **argv)
{
	const char *path[2] = { }, *history = NULL;
	double percent = BY_KIND;
	bool all = false;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		char *end;

		if (!strcmp(argv[i], "--all")) {
			all = true;
		} else if (!strcmp(argv[i], "--threshold") && i + 1 < argc) {
			percent = strtod(argv[++i], &end);
			if (*end || end == argv[i] || !(percent >= 0 && percent <= 1000)) {
				complain("--threshold %s: percent, from 0 to 1000", argv[i]);
				return EX_CANNOT;
			}
		} else if (!strcmp(argv[i], "--history") && i + 1 < argc) {
			history = argv[++i];
		} else if (*argv[i] != '-' && n < 2) {
			path[n++] = argv[i];
		} else {
			complain("what is %s?", argv[i]);
			help_usage("compare", stderr);
			return EX_CANNOT;
		}
	}
	if (history ? n : n != 2) {
		help_usage("compare", stderr);
		return EX_CANNOT;
	}
	return history ? compare_history(history, percent) :
	       compare_two(path[0], path[1], percent, all);
}
