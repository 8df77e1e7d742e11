// SPDX-License-Identifier: GPL-2.0-only
/*
 * latency.c - what loading a kernel and preserving memory cost
 *
 * kexec_file_load() is timed from outside; what happens within KHO by kprobes
 * and kretprobes of the perf kprobe PMU, through libperf, on the functions that
 * the running kernel has.  One function is called by one thread and does not
 * call itself: the n-th return belongs to the n-th entry.
 */
#include "perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <perf/core.h>
#include <perf/cpumap.h>
#include <perf/event.h>
#include <perf/evlist.h>
#include <perf/evsel.h>
#include <perf/mmap.h>
#include <perf/threadmap.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef HAVE_LIVEUPDATE
#include <linux/liveupdate.h>
#endif

KHO_SCENARIO(clocked) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.latency.clock",
	.summary = "kexec_file_load and KHO's functions, by the clock",
	.memory_mib = 512, .cpus = 1, .generations = 1,
	.cmdline = "kho=on liveupdate=on",
};

KHO_SCENARIO(exact) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.latency.exact",
	.summary = "kexec_file_load and KHO's functions, in instructions",
	.memory_mib = 512, .cpus = 1, .generations = 1, .flags = KHO_SC_EXACT,
	.step_seconds = 120,
	.cmdline = "kho=on liveupdate=on",
};

/* what of it is KHO's, and what each region of scratch more costs */
KHO_SCENARIO(off) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.latency.exact_off",
	.summary = "kexec_file_load with KHO off, in instructions",
	.memory_mib = 512, .cpus = 1, .generations = 1, .flags = KHO_SC_EXACT,
	.step_seconds = 120,
	.cmdline = "kho=off",
};

KHO_SCENARIO(nodes) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.latency.exact_nodes",
	.summary = "kexec_file_load with scratch on four nodes, in instructions",
	.nr_nodes = 4, .node = { { 512, 1 }, { 128, 0 }, { 128, 0 }, { 128, 0 } },
	.generations = 1, .flags = KHO_SC_EXACT,
	.step_seconds = 120,
	.cmdline = "kho=on liveupdate=on",
};

#define WARM_UP		3
#define LOADS		20
#define PROBED_LOADS	5
#define SESSIONS	20
#define MEMFD_SIZE	0x100000
#define SAMPLES_MAX	8192
#define RING_PAGES	256

static const char * const functions[] = {
	"kho_fill_kimage", "kho_locate_mem_hole", "kho_preserve_folio",
	"kho_unpreserve_folio", "kho_preserve_pages", "kho_unpreserve_pages",
	"kho_preserve_vmalloc", "kho_unpreserve_vmalloc", "kho_alloc_preserve",
	"kho_unpreserve_free", "kho_radix_add_key", "kho_radix_add_page",
	"kho_radix_del_key", "kho_radix_del_page", "kho_add_subtree",
	"kho_remove_subtree", "kho_restore_folio", "kho_retrieve_subtree",
	"memfd_luo_preserve", "luo_preserve_file",
};

/**
 * struct probe - a function with a probe at its entry and one at its return
 * @name: the function
 * @list: libperf's lists: entry, return
 * @time: when each was hit
 * @nr: how often
 * @lost: samples that the ring had no room for
 */
struct probe {
	const char *name;
	struct perf_evlist *list[2];
	u64 *time[2];
	int nr[2];
	u64 lost;
};

static struct probe probes[ARRAY_SIZE(functions)];
static int nr_probes;

static void tell(const char *name, const u64 *sample, int n)
{
	perf_tell("latency", name, sample, n);
}

static long kprobe_type(void)
{
	struct kho_blob b;
	long type;

	if (kho_read_file("/sys/bus/event_source/devices/kprobe/type", &b))
		return -1;
	type = strtol(b.data, NULL, 10);
	kho_blob_free(&b);
	return type;
}

/* is it a function of the running kernel? inlined ones are not */
static bool exists(const char *name, const char *kallsyms)
{
	char want[128];
	const char *p = kallsyms;

	snprintf(want, sizeof(want), " %s\n", name);
	while ((p = strstr(p, want))) {
		/* "address T name": data has other letters */
		if (p > kallsyms && (p[-1] == 't' || p[-1] == 'T'))
			return true;
		p++;
	}
	return false;
}

/* nothing of libperf may be called before; rings need the size of a page */
static void __attribute__((constructor)) set_up_libperf(void)
{
	libperf_init(NULL);
}

static struct perf_evlist *open_one(const char *name, bool ret, long type)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = ret,
		.kprobe_func = (uintptr_t)name,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TIME,
		.disabled = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	struct perf_thread_map *threads = perf_thread_map__new_dummy();
	struct perf_cpu_map *cpus = perf_cpu_map__new_any_cpu();
	struct perf_evlist *list = perf_evlist__new();
	struct perf_evsel *sel = perf_evsel__new(&attr);
	int err;

	if (!threads || !list || !sel)
		return NULL;
	perf_thread_map__set_pid(threads, 0, 0);
	perf_evlist__add(list, sel);
	perf_evlist__set_maps(list, cpus, threads);
	err = perf_evlist__open(list);
	if (err) {
		errno = -err;
		return NULL;
	}
	/* that one leaves errno as mmap() set it */
	return perf_evlist__mmap(list, RING_PAGES) ? NULL : list;
}

static void take(struct probe *p, int which)
{
	struct perf_mmap *map;
	union perf_event *e;

	perf_evlist__for_each_mmap(p->list[which], map, false) {
		if (perf_mmap__read_init(map) < 0)
			continue;
		while ((e = perf_mmap__read_event(map))) {
			if (e->header.type == PERF_RECORD_LOST)
				p->lost += e->lost.lost;
			if (e->header.type == PERF_RECORD_SAMPLE &&
			    p->nr[which] < SAMPLES_MAX)
				p->time[which][p->nr[which]++] = e->sample.array[0];
			perf_mmap__consume(map);
		}
		perf_mmap__read_done(map);
	}
}

static const char *no_machine(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this loads kernels" : NULL;
}

static const char *not_here(void)
{
	return no_machine() ?: kho_why_not();
}

/* an initramfs of some pages: the kernel's own copying is part of the cost */
static int small_initrd(void)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, 1 << 16)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int load(int initrd)
{
	if (lseek(initrd, 0, SEEK_SET))
		return -errno;
	return kho_kexec_load("/kho/kernel", initrd, "console=ttyS0");
}

/* with KHO off, too: what is more with it on is KHO's */
KHO_TEST_WHERE(p1, kexec_file_load, no_machine())
{
	u64 sample[LOADS], t;
	int initrd = small_initrd();

	ASSERT_LE(0, initrd);
	for (int i = -WARM_UP; i < LOADS; i++) {
		t = perf_now();
		ASSERT_EQ(0, load(initrd));
		t = perf_now() - t;
		ASSERT_EQ(0, kho_kexec_unload());
		if (i >= 0)
			sample[i] = t;
	}
	tell("kexec_file_load", sample, LOADS);
}

/**
 * struct counter - what the kernel or the processor counts meanwhile
 * @name: of its series
 * @type: of the event
 * @config: which of them
 * @sel: the open event, NULL where there is no such counter
 */
struct counter {
	const char *name;
	u32 type;
	u64 config;
	struct perf_evsel *sel;
};

#define MISSES(of, op)	((of) | PERF_COUNT_HW_CACHE_OP_##op << 8 |	\
			 PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

static struct counter counters[] = {
	{ "page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, NULL },
	{ "context_switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, NULL },
	{ "migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, NULL },
	{ "cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, NULL },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, NULL },
	{ "cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, NULL },
	{ "dtlb_load_misses", PERF_TYPE_HW_CACHE, MISSES(PERF_COUNT_HW_CACHE_DTLB, READ), NULL },
	{ "dtlb_store_misses", PERF_TYPE_HW_CACHE, MISSES(PERF_COUNT_HW_CACHE_DTLB, WRITE), NULL },
	{ "itlb_misses", PERF_TYPE_HW_CACHE, MISSES(PERF_COUNT_HW_CACHE_ITLB, READ), NULL },
};

static void open_counter(struct counter *c)
{
	struct perf_event_attr attr = {
		.type = c->type,
		.size = sizeof(attr),
		.config = c->config,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	struct perf_thread_map *threads = perf_thread_map__new_dummy();
	struct perf_evsel *sel = perf_evsel__new(&attr);
	int err;

	if (!threads || !sel)
		return;
	perf_thread_map__set_pid(threads, 0, 0);
	err = perf_evsel__open(sel, NULL, threads);
	if (err)
		printf("# %s: no such counter here: %s\n", c->name, strerror(-err));
	else
		c->sel = sel;
}

/* what it has counted, all of it where it had to share the processor's counter */
static double counted(const struct counter *c)
{
	struct perf_counts_values v = { };

	if (!c->sel || perf_evsel__read(c->sel, 0, 0, &v) || !v.run)
		return 0;
	return (double)v.val * v.ena / v.run;
}

/* of loads that are not timed: reading counters takes its time */
KHO_TEST_WHERE(p1, counters, no_machine())
{
	static u64 sample[ARRAY_SIZE(counters)][LOADS];
	int initrd = small_initrd(), open = 0;

	ASSERT_LE(0, initrd);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		open_counter(&counters[i]);
		open += !!counters[i].sel;
	}
	if (!open)
		SKIP(return, "neither the kernel nor the processor counts anything");
	for (int i = -WARM_UP; i < LOADS; i++) {
		double before[ARRAY_SIZE(counters)];

		for (size_t j = 0; j < ARRAY_SIZE(counters); j++)
			before[j] = counted(&counters[j]);
		ASSERT_EQ(0, load(initrd));
		ASSERT_EQ(0, kho_kexec_unload());
		for (size_t j = 0; j < ARRAY_SIZE(counters) && i >= 0; j++)
			sample[j][i] = counted(&counters[j]) - before[j];
	}
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		char name[64];

		snprintf(name, sizeof(name), "kexec_file_load.%s", counters[i].name);
		if (counters[i].sel)
			perf_tell_in("latency", name, "events", sample[i], LOADS);
	}
}

/* what a pair of probes adds to a call: to be kept in mind with all the others */
KHO_TEST_WHERE(p1, probe_cost, not_here())
{
	static const char name[] = "__x64_sys_getppid";
	enum { CALLS = 1000 };
	u64 without, with;
	struct perf_evlist *list[2];
	long type = kprobe_type();

	if (type < 0)
		SKIP(return, "the kernel has no kprobe PMU");
	for (int i = 0; i < 2; i++) {
		list[i] = open_one(name, i, type);
		if (!list[i])
			SKIP(return, "%s cannot be probed: %s", name, strerror(errno));
	}
	for (int round = 0; round < 2; round++) {
		without = perf_now();
		for (int i = 0; i < CALLS; i++)
			getppid();
		without = perf_now() - without;
	}
	perf_evlist__enable(list[0]);
	perf_evlist__enable(list[1]);
	with = perf_now();
	for (int i = 0; i < CALLS; i++)
		getppid();
	with = perf_now() - with;
	EXPECT_LT(without, with);
	with = with > without ? (with - without) / CALLS : 0;
	tell("probe_cost", &with, 1);
}

#ifdef HAVE_LIVEUPDATE
/* a memfd preserved and let go again, as a virtual machine's memory would be */
static int session(int dev, int n)
{
	struct liveupdate_ioctl_create_session create = { .size = sizeof(create) };
	struct liveupdate_session_preserve_fd preserve = { .size = sizeof(preserve) };
	int memfd, err = 0;
	char *p;

	snprintf((char *)create.name, sizeof(create.name), "kho_latency_%d", n);
	if (ioctl(dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &create))
		return -errno;
	memfd = memfd_create("guest", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, MEMFD_SIZE)) {
		err = -errno;
	} else {
		p = mmap(NULL, MEMFD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
		if (p == MAP_FAILED) {
			err = -errno;
		} else {
			memset(p, n, MEMFD_SIZE);
			munmap(p, MEMFD_SIZE);
		}
	}
	preserve.fd = memfd;
	preserve.token = n;
	if (!err && ioctl(create.fd, LIVEUPDATE_SESSION_PRESERVE_FD, &preserve))
		err = -errno;
	close(memfd);
	/* closing it before a kexec lets everything in it go */
	close(create.fd);
	return err;
}
#endif

KHO_TEST_WHERE(p1, functions, not_here())
{
	long type = kprobe_type();
	struct kho_blob kallsyms;
	int initrd = small_initrd(), dev = -1, ran = 0;

	if (type < 0)
		SKIP(return, "the kernel has no kprobe PMU");
	ASSERT_LE(0, initrd);
	ASSERT_EQ(0, kho_read_file("/proc/kallsyms", &kallsyms));
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		struct probe *p = &probes[nr_probes];

		if (!exists(functions[i], kallsyms.data)) {
			printf("# %s: not a function of this kernel, or inlined\n",
			       functions[i]);
			continue;
		}
		p->name = functions[i];
		for (int j = 0; j < 2; j++) {
			p->list[j] = open_one(p->name, j, type);
			p->time[j] = calloc(SAMPLES_MAX, sizeof(u64));
		}
		if (!p->list[0] || !p->list[1]) {
			printf("# %s: cannot be probed: %s\n", p->name, strerror(errno));
			continue;
		}
		nr_probes++;
	}
	kho_blob_free(&kallsyms);
	ASSERT_LT(0, nr_probes) {
		TH_LOG("none of KHO's functions can be probed");
	}
	for (int i = 0; i < 2 * nr_probes; i++)
		perf_evlist__enable(probes[i / 2].list[i % 2]);

	for (int i = 0; i < PROBED_LOADS; i++) {
		ASSERT_EQ(0, load(initrd));
		ASSERT_EQ(0, kho_kexec_unload());
	}
#ifdef HAVE_LIVEUPDATE
	dev = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
	for (int i = 0; dev >= 0 && i < SESSIONS; i++) {
		ASSERT_EQ(0, session(dev, i));
		for (int j = 0; j < 2 * nr_probes; j++)
			take(&probes[j / 2], j % 2);
	}
#endif
	if (dev < 0)
		printf("# no live update: its part of the path is not measured\n");

	for (int i = 0; i < nr_probes; i++) {
		struct probe *p = &probes[i];

		perf_evlist__disable(p->list[0]);
		perf_evlist__disable(p->list[1]);
		take(p, 0);
		take(p, 1);
		EXPECT_EQ(0, p->lost) {
			TH_LOG("%s: %llu samples lost", p->name, p->lost);
		}
		EXPECT_EQ(p->nr[0], p->nr[1]) {
			TH_LOG("%s: %d entries, %d returns", p->name, p->nr[0], p->nr[1]);
		}
		if (!p->nr[0] || p->nr[0] != p->nr[1]) {
			printf("# %s: was not called\n", p->name);
			continue;
		}
		for (int j = 0; j < p->nr[0]; j++) {
			EXPECT_LE(p->time[0][j], p->time[1][j]) {
				TH_LOG("%s: call %d returned before it began", p->name, j);
			}
			p->time[1][j] -= p->time[0][j];
		}
		tell(p->name, p->time[1], p->nr[1]);
		ran++;
	}
	EXPECT_LT(0, ran);
	fflush(stdout);
}

TEST_HARNESS_MAIN
