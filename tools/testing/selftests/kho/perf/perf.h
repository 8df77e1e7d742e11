/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * perf.h - how probes measure, and how they tell
 *
 * In a machine that counts instructions (scenarios named "exact") guest time is their
 * number, and two runs give the same figures.  Anywhere else it is time.  The two are
 * never in one series: mode and unit are in the name.
 *
 * A part of each program that includes it, as the harness is.
 */
#ifndef KHO_PERF_H
#define KHO_PERF_H

#include "kho_test.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* log2 buckets of a histogram; what is longer is counted in the last */
#define PERF_BUCKETS	40

/* rounds of the reference loop, and how often it is run for its shortest time */
#define PERF_ROUNDS	20000
#define PERF_TRIES	7

/* samples of a line of output */
#define PERF_LINE	200

/* points of a curve, at most */
#define PERF_POINTS	16

static inline bool perf_exact(void)
{
	return strstr(kho_scenario_name(), "exact");
}

static inline const char *perf_unit(void)
{
	return perf_exact() ? "instructions" : "ns";
}

/**
 * perf_counter() - the processor's counter, which goes on over a kexec
 *
 * Return: its value, or 0 on an architecture that it is not known of
 */
static inline u64 perf_counter(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	u64 val;

	asm volatile("mrs %0, cntvct_el0" : "=r" (val));
	return val;
#else
	return 0;
#endif
}

/**
 * perf_now() - the time, or how many instructions were executed
 *
 * Where instructions are counted the processor's counter has each of them; what the
 * clock makes of it is rounded.
 *
 * Return: nanoseconds or instructions, from some moment on
 */
static inline u64 perf_now(void)
{
	struct timespec ts;

#ifdef __x86_64__
	if (perf_exact())
		return perf_counter();
#endif
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/**
 * perf_reference() - how long the machine needs for what never changes
 *
 * A loop of nothing but the processor: what makes it slower (another frequency, a
 * busy host) makes slower what is measured beside it.  The shortest of some tries,
 * for an interrupt makes only one of them longer.
 *
 * Return: nanoseconds
 */
static inline u64 perf_reference(void)
{
	u64 best = ~0ULL;

	for (int i = 0; i < PERF_TRIES; i++) {
		u64 x = 88172645463325252ULL, t = perf_now();

		for (int j = 0; j < PERF_ROUNDS; j++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			/* not to be calculated beforehand */
			asm volatile("" : "+r" (x));
		}
		t = perf_now() - t;
		if (t < best)
			best = t;
	}
	return best;
}

/* a line of a file, "none" where there is no such file; what it says is for a person */
static inline void perf_environment_of(const char *key, const char *path)
{
	struct kho_blob b;

	if (kho_read_file(path, &b)) {
		printf("# kho: environment %s=none\n", key);
		return;
	}
	printf("# kho: environment %s=%.*s\n", key, (int)strcspn(b.data, "\n"),
	       (char *)b.data);
	kho_blob_free(&b);
}

/* what times depend on beside the kernel: the processor, its clock, its mitigations */
static inline void perf_environment(void)
{
	static const char * const of[][2] = {
		{ "cpus", "/sys/devices/system/cpu/online" },
		{ "nodes", "/sys/devices/system/node/online" },
		{ "smt", "/sys/devices/system/cpu/smt/control" },
		{ "driver", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver" },
		{ "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor" },
		{ "khz", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq" },
		{ "boost", "/sys/devices/system/cpu/cpufreq/boost" },
		{ "no_turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo" },
		{ "clocksource",
		  "/sys/devices/system/clocksource/clocksource0/current_clocksource" },
		{ "thp", "/sys/kernel/mm/transparent_hugepage/enabled" },
	};
	static const char dir[] = "/sys/devices/system/cpu/vulnerabilities";
	struct dirent **e;
	struct kho_blob b;
	int n;

	if (!kho_read_file("/proc/cpuinfo", &b)) {
		const char *model = strstr(b.data, "model name\t: ");

		if (model)
			printf("# kho: environment cpu=%.*s\n", (int)strcspn(model + 13, "\n"),
			       model + 13);
		kho_blob_free(&b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		perf_environment_of(of[i][0], of[i][1]);
	n = scandir(dir, &e, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", dir, e[i]->d_name);
		if (*e[i]->d_name != '.')
			perf_environment_of(e[i]->d_name, path);
		free(e[i]);
	}
	if (n >= 0)
		free(e);
}

static inline int perf_by_size(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* the reference loop's time of the series before; each test is a process of its own */
static u64 *perf_referred;

static void __attribute__((constructor(200))) perf_share(void)
{
	perf_referred = mmap(NULL, sizeof(*perf_referred), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/**
 * perf_tell_in() - a series: figures, raw samples, and a histogram for a person
 *
 * By the clock, the reference loop is run between any two series: how long it took is
 * told with each, and by how many percent more or less after it than before.
 *
 * @group: the first part of its name
 * @name: what was measured
 * @unit: of the samples
 * @sample: each call's cost
 * @n: how many, at least one
 *
 * Return: the median
 */
static inline u64 perf_tell_in(const char *group, const char *name, const char *unit,
			       const u64 *sample, int n)
{
	unsigned int bucket[PERF_BUCKETS] = { };
	u64 *s = calloc(n, sizeof(*s)), median, after = 0, before;

	memcpy(s, sample, n * sizeof(*s));
	qsort(s, n, sizeof(*s), perf_by_size);
	median = s[n / 2];
	before = *perf_referred;
	if (!strcmp(unit, "ns"))
		*perf_referred = after = perf_reference();
	if (after && !before)
		perf_environment();
	printf("# kho: value name=%s.%s.%s unit=%s value=%llu n=%d", group,
	       perf_exact() ? "exact" : "clock", name, unit, median, n);
	if (after)
		printf(" reference=%llu", before ? (before + after) / 2 : after);
	if (after && before)
		printf(" drift=%.1f", 100 * fabs((double)after - before) / before);
	printf(" min=%llu p90=%llu p99=%llu p999=%llu max=%llu samples=", s[0],
	       s[n * 90 / 100], s[n * 99 / 100], s[n * 999LL / 1000], s[n - 1]);
	/* in the order in which they came; a line has room for some */
	for (int i = 0; i < n; i++) {
		if (i && i % PERF_LINE == 0)
			printf("\n# kho: more name=%s.%s.%s samples=", group,
			       perf_exact() ? "exact" : "clock", name);
		printf("%s%llu", i % PERF_LINE ? "," : "", sample[i]);
	}
	printf("\n");
	for (int i = 0; i < n; i++) {
		int b = s[i] ? 63 - __builtin_clzll(s[i]) : 0;

		bucket[b < PERF_BUCKETS ? b : PERF_BUCKETS - 1]++;
	}
	for (int b = 0; n > 1 && b < PERF_BUCKETS; b++)
		if (bucket[b])
			printf("# %s %s %llu..%llu: %u\n", name,
			       b == PERF_BUCKETS - 1 ? "beyond" : "in", 1ULL << b,
			       (2ULL << b) - 1, bucket[b]);
	fflush(stdout);
	free(s);
	return median;
}

/**
 * perf_tell() - a series of costs, as perf_tell_in()
 * @group: the first part of its name
 * @name: what was measured
 * @sample: each call's cost, in perf_unit()
 * @n: how many, at least one
 *
 * Return: the median
 */
static inline u64 perf_tell(const char *group, const char *name, const u64 *sample, int n)
{
	return perf_tell_in(group, name, perf_unit(), sample, n);
}

/**
 * struct perf_curve - what something costs, over how much of it there is
 * @name: of its figures: "preserve.each"
 * @of: what the input is a number of: "pages"
 * @n: points
 * @x: inputs, ascending
 * @y: costs
 */
struct perf_curve {
	const char *name, *of;
	int n;
	double x[PERF_POINTS], y[PERF_POINTS];
};

static inline void perf_point(struct perf_curve *c, double x, double y)
{
	if (c->n == PERF_POINTS)
		return;
	c->x[c->n] = x;
	c->y[c->n++] = y;
}

/* the exponent p of y = a + b * x^p, by least squares; what is flat has 0 */
static inline double perf_exponent(const struct perf_curve *c)
{
	double best = INFINITY, p_best = 0;

	if (c->n < 3 || c->y[c->n - 1] - c->y[0] < 0.05 * c->y[0])
		return 0;
	for (int i = 1; i <= 300; i++) {
		double p = i / 100.0, sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0, cov, rest;

		for (int j = 0; j < c->n; j++) {
			double x = pow(c->x[j], p);

			sx += x;
			sy += c->y[j];
			sxx += x * x;
			sxy += x * c->y[j];
			syy += c->y[j] * c->y[j];
		}
		cov = sxy - sx * sy / c->n;
		rest = syy - sy * sy / c->n - cov * cov / (sxx - sx * sx / c->n);
		if (rest < best) {
			best = rest;
			p_best = p;
		}
	}
	return p_best;
}

/**
 * perf_growth() - tell how a cost grows, and what one more of its input costs
 * @group: the first part of the series' names
 * @c: the curve
 *
 * Return: the order of growth: 0 for what is constant, 1 for what is linear
 */
static inline double perf_growth(const char *group, const struct perf_curve *c)
{
	double order = perf_exponent(c), slope = 0;
	const char *mode = perf_exact() ? "exact" : "clock";

	if (c->n > 1)
		slope = (c->y[c->n - 1] - c->y[c->n - 2]) / (c->x[c->n - 1] - c->x[c->n - 2]);
	for (int i = 0; i < c->n; i++)
		printf("# %s: %.0f %s: %.0f %s\n", c->name, c->x[i], c->of, c->y[i], perf_unit());
	printf("# kho: value name=%s.%s.%s.each unit=%s value=%.4f n=%d order=%.2f of=%s\n", group,
	       mode, c->name, perf_unit(), slope, c->n, order, c->of);
	fflush(stdout);
	return order;
}

#endif /* KHO_PERF_H */
