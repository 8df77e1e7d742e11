// SPDX-License-Identifier: GPL-2.0-only
/*
 * chain.c - many KHO kexecs from one cold boot
 *
 * What is preserved: one reservation written once, in the cold boot, and one
 * written anew in each generation for the next.
 */
#include "kho_test.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "fdt_check.h"

#define RESERVE	"reserve_mem=1M:4K:once reserve_mem=516K:4K:anew"

KHO_SCENARIO(chain) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chain",
	.summary = "a chain of KHO kexecs; --generations says how many kernels",
	.memory_mib = 512, .cpus = 1, .generations = 5, .flags = KHO_SC_CHAIN | KHO_SC_HERE,
	/* to have many: what interprets ACPI takes a third of a generation's time */
	.cmdline = "kho=on liveupdate=on acpi=off " RESERVE,
};

KHO_SCENARIO(kaslr) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.kaslr",
	.summary = "a chain of kernels that choose by chance where they are",
	.memory_mib = 512, .cpus = 1, .generations = 5, .flags = KHO_SC_CHAIN | KHO_SC_KASLR,
	.cmdline = "kho=on kho_levels=slopes " RESERVE,
	.programs = { "kho_chain" },
};

KHO_SCENARIO(smp) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.smp",
	.summary = "a chain of kernels with several CPUs and two nodes",
	.nr_nodes = 2, .node = { { 384, 2 }, { 256, 2 } }, .generations = 5,
	.flags = KHO_SC_CHAIN | KHO_SC_PARALLEL,
	.cmdline = "kho=on " RESERVE,
	.programs = { "kho_chain" },
};

#define TURNS	"kexec@previous\nkexec\nkexec@previous\nkexec\nkexec@previous\nkexec\n"

KHO_SCENARIO(turns) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.turns",
	.summary = "a chain in which this kernel and the release before take turns",
	.memory_mib = 512, .cpus = 1, .generations = 5, .flags = KHO_SC_CHAIN,
	.cmdline = "kho=on " RESERVE,
	.programs = { "kho_chain" },
	/* as many as a hundred */
	.steps = "boot\n"
		TURNS TURNS TURNS TURNS TURNS TURNS TURNS TURNS TURNS
		TURNS TURNS TURNS TURNS TURNS TURNS TURNS TURNS,
};

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"
#define ONCE	1

static struct kho_reservations resv;
static struct kho_problems problems;

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       kho_no_debugfs();
}

/* whoever lets the suite use a machine asks for the reservations itself, or not */
static const char *not_reserved(void)
{
	char val[256];
	int found = 0;

	if (not_here())
		return not_here();
	for (unsigned int i = 0; !kho_cmdline_get(kho_boot_of(0)->step.cmdline, "reserve_mem",
						  i, val, sizeof(val)); i++)
		found += !fnmatch("*:once", val, 0) || !fnmatch("*:anew", val, 0);
	if (found != 2)
		return "not on the command line: " RESERVE;
	return kho_config("CONFIG_STRICT_DEVMEM") == 1 ?
	       "CONFIG_STRICT_DEVMEM: nobody can look into reservations" : NULL;
}

/* reservations, in order or not at all */
static int reservations(void)
{
	struct kho_blob b;
	int err = kho_read_file(OUT "/sub_fdts/memblock", &b);

	if (err)
		return err;
	memset(&problems, 0, sizeof(problems));
	kho_check_memblock(b.data, b.len, &resv, &problems);
	kho_blob_free(&b);
	return problems.nr || resv.nr < 2 ? -EBADMSG : 0;
}

static const struct kho_region *find(const char *name)
{
	for (int i = 0; i < resv.nr; i++)
		if (!strcmp(resv.name[i], name))
			return &resv.range[i];
	return NULL;
}

KHO_TEST_WHERE(k3, counts, not_here())
{
	static const char * const path[] = {
		OUT "/sub_fdts/kexec-metadata", IN "/sub_fdts/kexec-metadata",
	};
	int gen = kho_generation();
	struct kho_metadata m;
	struct kho_blob b;
	char want[64], line[256] = "";
	struct utsname u, before;

	/* what others go by, worked out from the job alone */
	ASSERT_EQ(gen, kho_boot_of(gen)->count);
	ASSERT_EQ(0, uname(&u));
	before = u;
	if (gen)
		ASSERT_EQ(0, kho_state_get("kernel", gen - 1, &before, sizeof(before)));
	ASSERT_EQ(0, kho_state_save("kernel", &u, sizeof(u)));
	for (int i = 0; i < (gen ? 2 : 1); i++) {
		ASSERT_EQ(0, kho_read_file(path[i], &b));
		memset(&problems, 0, sizeof(problems));
		kho_check_metadata(b.data, b.len, &m, &problems);
		kho_blob_free(&b);
		EXPECT_EQ(0, problems.nr) {
			TH_LOG("%s: %s", path[i], problems.text[0]);
		}
		EXPECT_EQ(gen + !i, m.count);
		EXPECT_STREQ(i ? before.release : u.release, m.release);
	}
	if (!gen)
		return;
	snprintf(want, sizeof(want), "(count %d)", gen);
	EXPECT_EQ(1, kho_klog_find("KHO: exec from:", line, sizeof(line)));
	EXPECT_NE(NULL, strstr(line, want)) {
		TH_LOG("%s, must be %s", line, want);
	}
}

KHO_TEST_WHERE(s18, regions_are_those_of_the_cold_boot, not_here())
{
	static struct kho_region r[KHO_REGIONS_MAX];
	int n = kho_scratch_read(OUT, r, KHO_REGIONS_MAX);
	struct kho_blob b;

	ASSERT_LT(0, n);
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("scratch", r, n * sizeof(*r)));
		return;
	}
	ASSERT_EQ(0, kho_state_load("scratch", 0, &b));
	EXPECT_EQ(b.len, n * sizeof(*r));
	EXPECT_EQ(0, memcmp(b.data, r, b.len < n * sizeof(*r) ? b.len :
			    n * sizeof(*r)));
	kho_blob_free(&b);
}

KHO_TEST_WHERE(m2, addresses_stay, not_reserved())
{
	struct kho_blob b;

	ASSERT_EQ(0, reservations());
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("reservations", &resv, sizeof(resv)));
		return;
	}
	ASSERT_EQ(0, kho_state_load("reservations", 0, &b));
	ASSERT_EQ(sizeof(resv), b.len);
	EXPECT_EQ(0, memcmp(&resv, b.data, sizeof(resv)));
	kho_blob_free(&b);
}

static void content(struct __test_metadata *_metadata, const char *name,
		    u64 expect, u64 write)
{
	const struct kho_region *r;
	u64 bad;
	void *map;
	long lost;
	int err;

	ASSERT_EQ(0, reservations());
	r = find(name);
	ASSERT_NE(NULL, r);
	ASSERT_EQ(0, kho_phys_map(r->addr, r->size, true, &map));
	if (kho_generation()) {
		err = kho_pattern_check(map, r->size, expect, &bad);
		EXPECT_EQ(0, err) {
			TH_LOG("%s: byte %llu of %llu is not what was written", name,
			       bad, r->size);
		}
	}
	lost = kho_pages_marked(r->addr, r->size, KHO_PAGES_ALLOCATED, &bad, NULL);
	EXPECT_EQ(0, lost) {
		TH_LOG("%s: %ld pages are the page allocator's, the first at byte %llu",
		       name, lost, lost > 0 ? bad - r->addr : 0);
	}
	if (write)
		kho_pattern_fill(map, r->size, write);
	kho_phys_unmap(map, r->addr, r->size);
}

KHO_TEST_WHERE(m8, content_of_the_cold_boot, not_reserved())
{
	content(_metadata, "once", ONCE, kho_generation() ? 0 : ONCE);
}

KHO_TEST_WHERE(m8, content_of_the_generation_before, not_reserved())
{
	/* seeds never repeat: what is two generations old is wrong, too */
	content(_metadata, "anew", 1000 + kho_generation() - 1,
		1000 + kho_generation());
}

/* what there is, a name a line: CPUs, nodes, and the devices of all buses */
static int list_hardware(FILE *f)
{
	static const char * const files[] = {
		"/sys/devices/system/cpu/online", "/sys/devices/system/node/online",
		"/sys/devices/system/node/has_memory",
	};
	struct dirent **bus, **dev;
	int buses, devs;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct kho_blob b;

		if (kho_read_file(files[i], &b))
			continue;
		fprintf(f, "%s %s", files[i], (char *)b.data);
		kho_blob_free(&b);
	}
	buses = scandir("/sys/bus", &bus, NULL, alphasort);
	if (buses < 0)
		return -errno;
	for (int i = 0; i < buses; i++) {
		char path[512];

		snprintf(path, sizeof(path), "/sys/bus/%s/devices", bus[i]->d_name);
		devs = *bus[i]->d_name == '.' ? 0 : scandir(path, &dev, NULL, alphasort);
		for (int j = 0; j < devs; j++) {
			if (*dev[j]->d_name != '.')
				fprintf(f, "%s %s\n", bus[i]->d_name, dev[j]->d_name);
			free(dev[j]);
		}
		if (devs > 0)
			free(dev);
		free(bus[i]);
	}
	free(bus);
	return 0;
}

/* lines of one list that another does not have */
static void log_gone(struct __test_metadata *_metadata, const char *what, char *of,
		     const char *in)
{
	char *save, *line;

	for (line = strtok_r(of, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(in, line))
			TH_LOG("%s: %s", what, line);
}

KHO_TEST_WHERE(u6, hardware_is_that_of_the_cold_boot, not_here())
{
	struct kho_blob b;
	char *list;
	size_t len;
	FILE *f = open_memstream(&list, &len);

	ASSERT_NE(NULL, f);
	ASSERT_EQ(0, list_hardware(f));
	ASSERT_EQ(0, fclose(f));
	ASSERT_LT(0, len);
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("hardware", list, len));
		free(list);
		return;
	}
	ASSERT_EQ(0, kho_state_load("hardware", 0, &b));
	EXPECT_STREQ(b.data, list) {
		char *was = strdup(b.data);

		log_gone(_metadata, "gone", was, list);
		log_gone(_metadata, "new", list, b.data);
		free(was);
	}
	kho_blob_free(&b);
	free(list);
}

/*
 * What must not creep from generation to generation.  A leak over a handover is
 * memory that stays reserved, and reserved memory is counted to the page: it must be
 * just what it was.  The rest moves a little of itself, and a line is laid through
 * it: what it rises by in a generation, and how well that is known.
 */
struct series {
	const char *name, *unit;
	/* 1: more is worse, -1: less is worse */
	int worse;
	/* the same in each generation, but for the cold boot */
	bool exact;
};

static const struct series series[] = {
	{ "reserved", "pages", 1, true },
	{ "memtotal", "pages", -1, true },
	{ "cmatotal", "kib", 1, true },
	{ "free", "pages", -1, false },
	{ "slab", "kib", 1, false },
	{ "vmalloc", "kib", 1, false },
	{ "cmafree", "kib", -1, false },
	{ "boot", "us", 1, false },
};

#define SERIES	ARRAY_SIZE(series)
/* kernels that take turns */
#define KERNELS	2
/* a slope is judged from so many generations on */
#define JUDGED	10
/* and is one when it is so many times its own uncertainty */
#define SURE	6.0
/* a leak of one is seen: what rounds to none is none */
#define ONE	0.5

/**
 * struct levels - what is known of all generations of one kernel
 * @release: which
 * @n: generations
 * @first: values of the first
 * @x: sums of the generations' numbers, and of their squares
 * @xx: see @x
 * @y: sums of the values above @first, of their squares, and of the products
 * @yy: see @y
 * @xy: see @y
 */
struct levels {
	char release[65];
	u32 n;
	s64 first[SERIES];
	double x, xx;
	double y[SERIES], yy[SERIES], xy[SERIES];
};

static struct levels levels[KERNELS];

/* generations after which what is carried is the same again, at most */
#define PERIOD_MAX	64

/**
 * struct phases - what is known of a chain that carries more and less by turns
 * @n: generations that are compared with the one a period before
 * @past: values of the last period, by generation
 * @d: sums of what each value has changed by since the period before, and of the squares
 * @dd: see @d
 */
struct phases {
	u32 n;
	s64 past[SERIES][PERIOD_MAX];
	double d[SERIES], dd[SERIES];
};

static struct phases phases;

/* see payload.c; 0 where each generation carries as much as any other */
static int period(void)
{
	char val[16];
	int n;

	if (kho_cmdline_get(NULL, "kho_period", 0, val, sizeof(val)))
		return 0;
	n = atoi(val);
	return n > 0 && n <= PERIOD_MAX ? n : 0;
}

/* what a generation adds, from those that carry the same, and the standard error of that */
static double phase_slope(size_t i, s64 value, int gen, int every, double *error)
{
	s64 *past = &phases.past[i][gen % every];
	double d = value - *past, n = phases.n, rest;

	*past = value;
	*error = 0;
	if (!phases.n)
		return 0;
	phases.d[i] += d;
	phases.dd[i] += d * d;
	rest = (phases.dd[i] - phases.d[i] * phases.d[i] / n) / (n > 1 ? n - 1 : 1);
	*error = rest > 0 ? sqrt(rest / n) / every : 0;
	return phases.d[i] / n / every;
}

static int measure(s64 *v)
{
	static const char * const key[SERIES] = {
		[2] = "CmaTotal", [4] = "SUnreclaim", [5] = "VmallocUsed", [6] = "CmaFree",
	};
	long page = sysconf(_SC_PAGESIZE);
	s64 own = 0;
	struct kho_blob b;
	struct timespec t;
	u64 kib = 0;
	int err;

	clock_gettime(CLOCK_BOOTTIME, &t);
	v[7] = t.tv_sec * 1000000LL + t.tv_nsec / 1000;
	err = kho_read_file("/proc/zoneinfo", &b);
	if (err)
		return err;
	/* how large the initramfs is that the kernel keeps is our own doing */
	own += (kho_came_with("initrd") + page - 1) / page;
	/* the device tree has a test of its own */
	own += (kho_came_with("fdt") + page - 1) / page;
	v[1] = kho_lines_sum(b.data, "managed ") + own;
	/* what never became the page allocator's */
	v[0] = kho_lines_sum(b.data, "present ") - v[1];
	v[3] = kho_free_pages() + own;
	kho_blob_free(&b);
	/* what can be dropped is nobody's; of files there are none but in memory */
	err = kho_meminfo("SReclaimable", &kib);
	v[3] += kib * 1024 / page;
	for (size_t i = 0; i < SERIES && !err; i++) {
		if (!key[i])
			continue;
		err = kho_meminfo(key[i], &kib);
		v[i] = kib;
	}
	return err;
}

static struct levels *of_release(const char *release)
{
	for (int i = 0; i < KERNELS; i++) {
		if (!levels[i].n)
			snprintf(levels[i].release, sizeof(levels[i].release), "%s", release);
		if (!strcmp(levels[i].release, release))
			return &levels[i];
	}
	return NULL;
}

/* least squares: what a generation adds, and the standard error of that */
static double slope_of(const struct levels *l, size_t i, double *error)
{
	double n = l->n, sxx = l->xx - l->x * l->x / n;
	double sxy = l->xy[i] - l->x * l->y[i] / n;
	double syy = l->yy[i] - l->y[i] * l->y[i] / n;
	double slope = l->n > 2 ? sxy / sxx : 0;
	double rest = l->n > 2 ? (syy - slope * sxy) / (n - 2) / sxx : 0;

	*error = rest > 0 ? sqrt(rest) : 0;
	return slope;
}

KHO_TEST_WHERE(r12, nothing_creeps, not_here())
{
	int gen = kho_generation(), every = period();
	struct levels *l;
	char how[16] = "";
	s64 v[SERIES];
	u32 seen;
	struct utsname u;

	/* where chance has a part in what is reserved, only lines tell */
	kho_cmdline_get(NULL, "kho_levels", 0, how, sizeof(how));
	if (!kho_own_machine() && kho_cmdline_get(NULL, "nokaslr", 0, NULL, 0))
		snprintf(how, sizeof(how), "slopes");
	ASSERT_EQ(0, uname(&u));
	ASSERT_EQ(0, measure(v));
	if (gen > 1)
		ASSERT_EQ(0, kho_state_get("levels", gen - 1, levels, sizeof(levels)));
	if (every && gen > 1)
		ASSERT_EQ(0, kho_state_get("phases", gen - 1, &phases, sizeof(phases)));
	phases.n += every && gen > every;
	l = of_release(u.release);
	ASSERT_NE(NULL, l) {
		TH_LOG("more than %d kernels take turns", KERNELS);
	}
	/* the cold boot is another kind of boot */
	if (gen) {
		if (!l->n)
			memcpy(l->first, v, sizeof(l->first));
		l->n++;
		l->x += gen;
		l->xx += (double)gen * gen;
	}
	seen = every ? phases.n : l->n;
	for (size_t i = 0; i < SERIES; i++) {
		const struct series *s = &series[i];
		double d = v[i] - l->first[i], slope, error;

		printf("# kho: value name=chain.%s unit=%s value=%lld", s->name, s->unit, v[i]);
		if (!gen) {
			putchar('\n');
			continue;
		}
		l->y[i] += d;
		l->yy[i] += d * d;
		l->xy[i] += d * gen;
		slope = every ? phase_slope(i, v[i], gen, every, &error) : slope_of(l, i, &error);
		printf(" slope=%.4f error=%.4f generations=%u\n", slope, error, seen);
		if (s->exact && strcmp(how, "slopes")) {
			EXPECT_EQ(l->first[i], v[i]) {
				TH_LOG("%s: %lld %s, in this kernel's first generation %lld",
				       s->name, v[i], s->unit, l->first[i]);
			}
			continue;
		}
		/* time depends on what else the machine does, unless it is counted */
		if (!strcmp(s->name, "boot") || seen < JUDGED)
			continue;
		EXPECT_FALSE(slope * s->worse > ONE && slope * s->worse > SURE * error) {
			TH_LOG("%s: %.3f +- %.3f %s more in each of %u generations", s->name,
			       slope, error, s->unit, seen);
		}
	}
	fflush(stdout);
	ASSERT_EQ(0, kho_state_save("levels", levels, sizeof(levels)));
	if (every)
		ASSERT_EQ(0, kho_state_save("phases", &phases, sizeof(phases)));
}

/*
 * A kernel of kexec_file_load() gets the device tree of who loaded it, changed.  What is
 * taken out of it and put in again has to leave it as large as it was.
 */
KHO_TEST_WHERE(r12, device_tree_keeps_its_size, not_here())
{
	struct {
		s64 size;
		struct utsname u;
	} now, was;
	int gen = kho_generation();

	if (!kho_came_with("fdt"))
		SKIP(return, "no device tree here");
	memset(&now, 0, sizeof(now));
	ASSERT_EQ(0, uname(&now.u));
	/* the command line is the scenario's, and its end is that of a word */
	now.size = kho_came_with("fdt") -
		   (kho_came_with("devicetree/base/chosen/bootargs") + 3) / 4 * 4;
	printf("# kho: value name=chain.devicetree unit=bytes value=%lld\n", now.size);
	fflush(stdout);
	ASSERT_EQ(0, kho_state_save("devicetree", &now, sizeof(now)));
	/* firmware's is another one */
	if (gen < 2)
		SKIP(return, "no device tree of a kexec to compare it with");
	ASSERT_EQ(0, kho_state_get("devicetree", gen - 1, &was, sizeof(was)));
	if (!strcmp(was.u.release, now.u.release))
		EXPECT_EQ(was.size, now.size) {
			TH_LOG("device tree: %lld bytes more than in the generation before: %lld",
			       now.size - was.size, now.size);
		}
}

/* what there was to see of memory, for whoever looks into a failure */
static void snapshot(FILE *f)
{
	static const char * const path[] = {
		OUT "/scratch_phys", OUT "/scratch_len", "/proc/meminfo",
		"/proc/zoneinfo",
	};
	/* of zoneinfo what is counted above; the rest is long */
	static const char * const zone[] = {
		"Node ", "pages free", "spanned", "present", "managed", "cma",
	};

	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		char *line, *save;
		struct kho_blob b;

		if (kho_read_file(path[i], &b))
			continue;
		for (line = strtok_r(b.data, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			bool told = !strstr(path[i], "zoneinfo");

			for (size_t j = 0; j < ARRAY_SIZE(zone) && !told; j++)
				told = !!strstr(line, zone[j]);
			if (told)
				fprintf(f, "%s: %s\n", path[i], line);
		}
		kho_blob_free(&b);
	}
}

static void tell(int gen, char *text)
{
	char *line, *save;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("# generation %d: %s\n", gen, line);
}

static void end(int status, void *arg __maybe_unused)
{
	int gen = kho_generation();
	char *now = NULL;
	struct kho_blob b;
	size_t len = 0;
	FILE *f = open_memstream(&now, &len);

	if (!f)
		return;
	snapshot(f);
	fclose(f);
	kho_state_save("snapshot", now, len);
	if (status == KSFT_FAIL && gen && !kho_state_load("snapshot", gen - 1, &b)) {
		tell(gen - 1, b.data);
		kho_blob_free(&b);
	}
	if (status == KSFT_FAIL)
		tell(gen, now);
	free(now);
}

int main(int argc, char **argv)
{
	if (kho_generation() >= 0)
		on_exit(end, NULL);
	return test_harness_run(argc, argv);
}
