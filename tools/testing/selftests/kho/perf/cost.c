// SPDX-License-Identifier: GPL-2.0-only
/*
 * cost.c - what preserving costs: each operation, and how that grows
 *
 * Single operations of the in-kernel API are looped over by the test producer's module,
 * which reads the counter around each; what works on many pages or sessions is measured
 * around the whole, over several sizes, and the order of growth is fitted to it.
 */
#include "perf.h"

#include "live_map.h"
#include "module.h"
#include "luo.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#define REQUIRES	.memory_mib = 1536, .generations = 1, .cmdline = "kho=on liveupdate=on"

KHO_SCENARIO(exact) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.cost.exact",
	.summary = "what preserving costs and how that grows, in instructions",
	.cpus = 1, .flags = KHO_SC_EXACT | KHO_SC_MODULE, .step_seconds = 120, REQUIRES,
};

KHO_SCENARIO(clocked) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.cost.clock",
	.summary = "what preserving costs and how that grows, by the clock, on all CPUs",
	.nr_nodes = 2, .node = { { 1536, 2 }, { 512, 2 } }, .generations = 1,
	.flags = KHO_SC_PARALLEL | KHO_SC_MODULE, .step_seconds = 120,
	.cmdline = "kho=on liveupdate=on",
};

/* calls of a single operation */
#define CALLS		200
/* the order of growth is what it should be within this; time scatters */
#define NEAR		0.15
#define GROUP		"cost"
/* of the largest memfd: 1 GiB, by pages of 4 KiB */
#define MEMFD_PAGES	262144
#define SHMEM_HUGE	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* behind look(), which does not know it */
static void __attribute__((constructor(2000))) begin(void)
{
	no_module = load_module(perf_exact() ? "cycles=1" : "");
}

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this needs all of it" :
	       no_producer();
}

/* a line "samples OP VALUE..." of the module's reply */
static int take(const char *op, u64 *sample, int max)
{
	char begin[32], *p, *end;
	int n = 0;

	snprintf(begin, sizeof(begin), "samples %s", op);
	p = strstr(reply, begin);
	for (p = p ? p + strlen(begin) : NULL; p && *p == ' ' && n < max; p = end)
		sample[n++] = strtoull(p, &end, 10);
	return n;
}

/* what the opposite costs is told beside it; returns what the operation does */
static u64 looped(struct __test_metadata *_metadata, const char *name, const char *op,
		  const char *back, const char *of, int times, const char *where)
{
	static u64 sample[1000];
	char series[96];
	u64 cost = 0;
	int err, n;

	err = producer("loop %s %s %d %s", of, strcmp(op, "add") ? "preserve" : "subtree", times,
		       where);
	ASSERT_EQ(0, err) {
		TH_LOG("loop %s: %s", of, strerror(-err));
	}
	for (int which = 0; which < 2; which++) {
		n = take(which ? back : op, sample, ARRAY_SIZE(sample));
		ASSERT_LT(0, n);
		snprintf(series, sizeof(series), "%s.%s", which ? back : op, name);
		if (which)
			perf_tell(GROUP, series, sample, n);
		else
			cost = perf_tell(GROUP, series, sample, n);
	}
	return cost;
}

static u64 preserved(struct __test_metadata *_metadata, const char *name, const char *of)
{
	return looped(_metadata, name, "preserve", "unpreserve", of, CALLS, "1");
}

static void expect_order(struct __test_metadata *_metadata, const struct perf_curve *c, double want)
{
	double order = perf_growth(GROUP, c);

	/* elsewhere what else the machine does has a part in it */
	if (!perf_exact())
		return;
	EXPECT_GE(NEAR, fabs(order - want)) {
		TH_LOG("%s grows with the power %.2f of %s, must be %.0f", c->name, order, c->of,
		       want);
	}
}

/* the first folio of an order builds the map down to its leaf, later ones find it there */
KHO_TEST_WHERE(p1, folios, not_here())
{
	struct perf_curve c = { .name = "preserve.folio", .of = "orders" };

	for (int order = 0; order <= 10; order++) {
		char of[32], name[32];

		snprintf(of, sizeof(of), "folio %d", order);
		snprintf(name, sizeof(name), "folio.%d.first", order);
		looped(_metadata, name, "preserve", "unpreserve", of, 1, "1");
		snprintf(name, sizeof(name), "folio.%d", order);
		perf_point(&c, order + 1, preserved(_metadata, name, of));
	}
	/* one key whatever its size */
	expect_order(_metadata, &c, 0);
}

KHO_TEST_WHERE(p1, memory_of_kho_alloc_preserve, not_here())
{
	for (int pages = 1; pages <= 256; pages *= 16) {
		char of[32], name[32];

		snprintf(of, sizeof(of), "kho %llu", pages * page_size());
		snprintf(name, sizeof(name), "alloc.%d", pages);
		preserved(_metadata, name, of);
	}
}

/* a run of pages is as many keys as it has powers of two, each page by itself is one */
KHO_TEST_WHERE(p1, pages, not_here())
{
	struct perf_curve run = { .name = "preserve.run", .of = "pages" };
	struct perf_curve each = { .name = "preserve.each", .of = "pages" };
	struct perf_curve back = { .name = "unpreserve.each", .of = "pages" };

	/* the page allocator has no more in one piece */
	for (int pages = 64; pages <= 1024; pages *= 2) {
		u64 t, best = ~0ULL, best_back = ~0ULL;
		char of[32], name[32];

		snprintf(of, sizeof(of), "pages %d", pages);
		snprintf(name, sizeof(name), "run.%d", pages);
		perf_point(&run, pages, preserved(_metadata, name, of));
		ASSERT_EQ(0, producer("new each pages %d", pages));
		/* where the map has its leaves already; a timer's tick is in one of them at most */
		for (int round = 0; round < 4; round++) {
			t = perf_now();
			ASSERT_EQ(0, producer("each each preserve"));
			t = perf_now() - t;
			if (round && t < best)
				best = t;
			t = perf_now();
			ASSERT_EQ(0, producer("each each unpreserve"));
			t = perf_now() - t;
			if (round && t < best_back)
				best_back = t;
		}
		perf_point(&each, pages, best);
		perf_point(&back, pages, best_back);
		ASSERT_EQ(0, producer("put each"));
	}
	expect_order(_metadata, &run, 0);
	expect_order(_metadata, &each, 1);
	expect_order(_metadata, &back, 1);
}

KHO_TEST_WHERE(p1, vmalloc, not_here())
{
	static const char * const kind[] = { "vmalloc", "huge" };

	for (size_t k = 0; k < ARRAY_SIZE(kind); k++) {
		char name[32], of[32];
		struct perf_curve c = { .of = "pages" };

		snprintf(name, sizeof(name), "preserve.%s", kind[k]);
		c.name = name;
		/* from where there are huge pages in it */
		for (int pages = k ? 1024 : 256; pages <= 8192; pages *= 2) {
			char series[32];

			snprintf(of, sizeof(of), "%s %d", kind[k], pages);
			snprintf(series, sizeof(series), "%s.%d", kind[k], pages);
			perf_point(&c, pages,
				   looped(_metadata, series, "preserve", "unpreserve", of, 20,
					  "1"));
		}
		expect_order(_metadata, &c, 1);
	}
}

/* a name is looked for among all, and the tree's end is moved */
KHO_TEST_WHERE(p1, subtrees, not_here())
{
	struct perf_curve c = { .name = "add.subtree", .of = "subtrees" };
	int there = 0, err = 0;

	/* until the tree is full but for the one that is added and removed */
	for (int want = 0; !err; want += 10) {
		char name[32];

		while (there < want && !err) {
			ASSERT_EQ(0, producer("new s%d folio 0", there));
			err = producer("add s%d probe.%d 1", there, there);
			there++;
		}
		/* it takes no more: the last one, which is not there, and the one before it */
		if (err) {
			ASSERT_LT(1, there);
			EXPECT_EQ(0, producer("put s%d", --there));
			EXPECT_EQ(0, producer("remove s%d", --there));
			EXPECT_EQ(0, producer("put s%d", there));
		}
		snprintf(name, sizeof(name), err ? "subtree.full" : "subtree.%d", want);
		perf_point(&c, there + 1,
			   looped(_metadata, name, "add", "remove", "folio 0", CALLS, "1"));
		ASSERT_GT(PERF_POINTS, c.n);
	}
	while (there--) {
		EXPECT_EQ(0, producer("remove s%d", there));
		EXPECT_EQ(0, producer("put s%d", there));
	}
	expect_order(_metadata, &c, 1);
}

/* how full the map is makes no difference to who adds to it */
KHO_TEST_WHERE(p1, deep_maps, not_here() ?: closed())
{
	struct perf_curve c = { .name = "preserve.deep", .of = "keys" };

	for (int have = 1; have <= 1024; have *= 32) {
		char name[32];

		ASSERT_EQ(0, producer("new deep pages %d", have));
		ASSERT_EQ(0, producer("each deep preserve"));
		snprintf(name, sizeof(name), "deep.%d", have);
		perf_point(&c, have, preserved(_metadata, name, "folio 0"));
		read_map(_metadata);
		/* of what is not in one piece it is more, by as much as it is scattered */
		printf("# kho: value name=" GROUP ".map.%d unit=bytes value=%llu n=%zu\n", have,
		       map.nr_nodes * page_size(), map.nr);
		ASSERT_EQ(0, producer("each deep unpreserve"));
		ASSERT_EQ(0, producer("put deep"));
	}
	expect_order(_metadata, &c, 0);
}

/* from the smallest there is to a virtual machine's */
static void memfds(struct __test_metadata *_metadata, const char *name, int from)
{
	struct perf_curve c = { .name = name, .of = "pages" };
	int dev = device();

	if (dev < 0)
		SKIP(return, "no live update: %s", strerror(-dev));
	for (int pages = from; pages <= MEMFD_PAGES; pages *= 8) {
		int fd = memfd_create("kho", MFD_CLOEXEC);
		u64 t = 0;

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fallocate(fd, 0, 0, pages * page_size()));
		/* the first finds no leaves in the map */
		for (int round = 0; round < 2; round++) {
			int s = create(dev, "probe");

			ASSERT_LE(0, s);
			t = perf_now();
			ASSERT_EQ(0, preserve(s, fd, 1));
			t = perf_now() - t;
			close(s);
		}
		perf_point(&c, pages, t);
		close(fd);
	}
	close(dev);
	expect_order(_metadata, &c, 1);
}

KHO_TEST_WHERE(p1, memfds_by_size, not_here())
{
	memfds(_metadata, "preserve.memfd", 1);
}

KHO_TEST_WHERE(p1, memfds_of_huge_pages, not_here())
{
	if (kho_write(SHMEM_HUGE, "always"))
		SKIP(return, "memfds of this kernel have no huge pages");
	memfds(_metadata, "preserve.memfd_huge", 512);
	EXPECT_EQ(0, kho_write(SHMEM_HUGE, "never"));
}

/* of some calls: now and then one makes room for those that follow */
#define AROUND		32

KHO_TEST_WHERE(p1, files_of_a_session, not_here())
{
	struct perf_curve c = { .name = "preserve.file", .of = "files" };
	enum { FILES = 512 };
	static u64 sample[FILES + 1];
	int dev = device(), s;

	if (dev < 0)
		SKIP(return, "no live update: %s", strerror(-dev));
	s = create(dev, "probe");
	ASSERT_LE(0, s);
	for (int i = 1; i <= FILES; i++) {
		int fd = patterned(page_size(), i);
		char name[32];
		u64 t = perf_now();

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, preserve(s, fd, i));
		sample[i] = perf_now() - t;
		close(fd);
		if (i < 2 * AROUND || (i & (i - 1)))
			continue;
		snprintf(name, sizeof(name), "preserve.file.%d", i);
		perf_point(&c, i, perf_tell(GROUP, name, sample + i - AROUND + 1, AROUND));
	}
	close(s);
	close(dev);
	perf_growth(GROUP, &c);
}

/* each name is compared with all that are there */
KHO_TEST_WHERE(p1, sessions, not_here())
{
	struct perf_curve c = { .name = "create.session", .of = "sessions" };
	enum { SESSIONS = 1024 };
	static u64 sample[SESSIONS + 1];
	static int s[SESSIONS + 1];
	int dev = device(), n;

	if (dev < 0)
		SKIP(return, "no live update: %s", strerror(-dev));
	for (n = 1; n <= SESSIONS; n++) {
		char name[64];
		u64 t;

		snprintf(name, sizeof(name), "probe.%d", n);
		t = perf_now();
		s[n] = create(dev, name);
		sample[n] = perf_now() - t;
		if (s[n] < 0)
			break;
		if (n < 2 * AROUND || (n & (n - 1)))
			continue;
		snprintf(name, sizeof(name), "create.session.%d", n);
		perf_point(&c, n, perf_tell(GROUP, name, sample + n - AROUND + 1, AROUND));
	}
	EXPECT_LT(512, n) {
		TH_LOG("session %d: %s", n, strerror(-s[n]));
	}
	while (--n)
		close(s[n]);
	close(dev);
	perf_growth(GROUP, &c);
}

/* one CPU more, until all work at once: the map has one lock */
KHO_TEST_WHERE(p1, cpus, not_here())
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char name[32], where[32];

	for (int n = 1; n <= cpus; n++) {
		snprintf(name, sizeof(name), "cpus.%d", n);
		snprintf(where, sizeof(where), "%d", n);
		looped(_metadata, name, "preserve", "unpreserve", "folio 0", CALLS, where);
	}
}

/* from a CPU of the first node: the memory of each */
KHO_TEST_WHERE(p1, nodes, not_here())
{
	char name[64], where[32];
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(first), &first));
	for (int nid = 0; nid < KHO_NODES_MAX; nid++) {
		snprintf(name, sizeof(name), "/sys/devices/system/node/node%d", nid);
		if (access(name, F_OK))
			break;
		snprintf(name, sizeof(name), "node.%d", nid);
		snprintf(where, sizeof(where), "1 %d", nid);
		looped(_metadata, name, "preserve", "unpreserve", "folio 0", CALLS, where);
	}
}

TEST_HARNESS_MAIN
