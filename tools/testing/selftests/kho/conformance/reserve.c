// SPDX-License-Identifier: GPL-2.0-only
/*
 * reserve.c - reserve_mem= over handovers, in a world that changes
 *
 * From generation to generation reservations come and go, grow, move and change
 * their order.  What was reserved before under the same name and with the same
 * size, at an address of the alignment that is asked for, must be there again,
 * with every byte; all else is a new reservation, and disturbs nothing.
 */
#include "kho_test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fdt_check.h"
#include "asked.h"

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"
#define BATTERY	{ "kho_boot", "kho_debugfs", "kho_fdt", "kho_reserve" }

KHO_SCENARIO(forms) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.forms",
	.summary = "reserve_mem= in all its forms, valid, malformed and one too many",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on", .programs = BATTERY,
	.steps =
		/* one page; sizes in each unit and base; alignments of all kinds */
		"boot reserve_mem=4K:4K:page reserve_mem=0x8000:0x1000:hex\n"
		" reserve_mem=020000:0:octal reserve_mem=8k:64K:small\n"
		" reserve_mem=3M:2M:big reserve_mem=4096:1:unaligned\n"
		" reserve_mem=64K:16M:a_name_of_15_ch reserve_mem=16K:4K:x.y-z,1@2\n"
		"kexec reserve_mem=4K:4K:page reserve_mem=0x8000:0x1000:hex\n"
		" reserve_mem=020000:0:octal reserve_mem=8k:64K:small\n"
		" reserve_mem=3M:2M:big reserve_mem=4096:1:unaligned\n"
		" reserve_mem=64K:16M:a_name_of_15_ch reserve_mem=16K:4K:x.y-z,1@2\n"
		/* each refused one is told of, and harms none of the others */
		"reboot reserve_mem= reserve_mem=:4K:a reserve_mem=1M reserve_mem=1M:4K\n"
		" reserve_mem=1M:4K: reserve_mem=0:4K:zero reserve_mem=x:4K:b\n"
		" reserve_mem=1M:y:c reserve_mem=1M:4K:a_name_of_16_chr\n"
		" reserve_mem=1M:4K:good reserve_mem=2M:4K:good reserve_mem=4K:4K:also\n"
		"kexec reserve_mem= reserve_mem=1M:4K:good reserve_mem=2M:4K:good\n"
		" reserve_mem=4K:4K:also\n"
		/* eight and one more */
		"reboot reserve_mem=4K:4K:r1 reserve_mem=4K:4K:r2 reserve_mem=4K:4K:r3\n"
		" reserve_mem=4K:4K:r4 reserve_mem=4K:4K:r5 reserve_mem=4K:4K:r6\n"
		" reserve_mem=4K:4K:r7 reserve_mem=4K:4K:r8 reserve_mem=4K:4K:r9\n"
		"kexec reserve_mem=4K:4K:r1 reserve_mem=4K:4K:r2 reserve_mem=4K:4K:r3\n"
		" reserve_mem=4K:4K:r4 reserve_mem=4K:4K:r5 reserve_mem=4K:4K:r6\n"
		" reserve_mem=4K:4K:r7 reserve_mem=4K:4K:r8 reserve_mem=4K:4K:r9\n",
};

KHO_SCENARIO(less) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.less",
	.summary = "reservations dropped, reordered and realigned from kernel to kernel",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK,
	.programs = BATTERY,
	.steps =
		"boot kho=on kho_scratch=8M,64M,16M liveupdate=on\n"
		" reserve_mem=1M:4K:a reserve_mem=64K:64K:b\n"
		" reserve_mem=3M:2M:c reserve_mem=64K:4K:d reserve_mem=128K:4K:e\n"
		/* in another order, kho_scratch= and other producers changed */
		"kexec kho=1 kho_scratch=16M,32M,8M reserve_mem=64K:4K:d\n"
		" reserve_mem=3M:2M:c reserve_mem=1M:4K:a reserve_mem=128K:4K:e\n"
		" reserve_mem=64K:64K:b\n"
		/* some gone, some with an alignment that their address has anyway */
		"kexec kho=on liveupdate=on reserve_mem=3M:1M:c reserve_mem=1M:64:a\n"
		" reserve_mem=128K:0:e\n"
		/* one left; the last one; then none */
		"kexec kho=y kho_scratch=5% reserve_mem=1M:4K:a\n"
		"kexec kho=on\n"
		"kexec kho=on liveupdate=on\n",
};

KHO_SCENARIO(more) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.more",
	.summary = "reservations added, grown, realigned and renamed from kernel to kernel",
	/*
	 * From 7.3 on all memory that is not preserved serves a new kernel as
	 * scratch does; what is new is larger than any scratch region.
	 */
	.memory_mib = 7168, .low_mib = 1024, .cpus = 1, .step_seconds = 120,
	.cmdline = "kho=on kho_scratch=8M,192M,16M", .programs = BATTERY,
	.steps =
		"boot reserve_mem=1M:4K:a reserve_mem=200M:4K:b reserve_mem=200M:4K:c\n"
		/* one new, one larger; each may find another gigabyte to be in */
		"kexec reserve_mem=1M:4K:a reserve_mem=204M:4K:b reserve_mem=200M:4K:c\n"
		" reserve_mem=216M:4K:new\n"
		"kexec reserve_mem=1M:4K:a reserve_mem=204M:4K:b reserve_mem=200M:4K:c\n"
		" reserve_mem=216M:4K:new\n"
		/* one dropped, one smaller, one under another name */
		"kexec reserve_mem=1M:4K:a reserve_mem=204M:4K:renamed\n"
		" reserve_mem=196M:4K:c\n"
		"kexec reserve_mem=1M:4K:a reserve_mem=204M:4K:renamed\n"
		" reserve_mem=196M:4K:c\n",
};

KHO_SCENARIO(added) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.added",
	.summary = "a reservation added on a machine of less than 1 GiB",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on reserve_mem=1M:4K:a", .programs = BATTERY,
	.steps =
		"boot\n"
		"kexec reserve_mem=128K:4K:new\n"
		"kexec reserve_mem=128K:4K:new\n",
};

KHO_SCENARIO(realigned) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.realigned",
	.summary = "a reservation whose alignment becomes larger than that of its address",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on reserve_mem=1M:4K:a", .programs = BATTERY,
	.steps =
		"boot reserve_mem=64K:4K:b reserve_mem=64K:4K:c\n"
		"kexec reserve_mem=64K:16M:b reserve_mem=64K:4K:c\n",
};

KHO_SCENARIO(odd) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.odd",
	.summary = "reservations that neither begin nor end with a page",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on reserve_mem=1:1:one reserve_mem=100:0:tiny\n"
		   "reserve_mem=8K:64:across reserve_mem=12345:4K:odd\n"
		   "reserve_mem=64K:64K:whole",
	.programs = BATTERY, .generations = 4,
};

KHO_SCENARIO(gigabyte) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.gigabyte",
	.summary = "a reservation of a gigabyte and more, beyond 4 GiB too",
	.memory_mib = 4096, .low_mib = 1536, .cpus = 1, .step_seconds = 180,
	.cmdline = "kho=on kho_scratch=8M,128M,32M\n"
		   "reserve_mem=1025M:2M:large reserve_mem=4K:4K:page",
	.programs = BATTERY, .generations = 4,
};

/*
 * One key of two gigabytes.  The first kernel's own early memory and "page", which
 * keeps the gigabyte behind from serving as scratch, lie above it; what scratch
 * there is above does not hold the early memory of the kernels that follow, which
 * goes to the highest gigabyte that they take for free.
 */
KHO_SCENARIO(large) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.large",
	.summary = "a reservation of two whole gigabytes beyond 4 GiB",
	.memory_mib = 3584, .low_mib = 1024, .cpus = 1, .step_seconds = 60,
	.cmdline = "kho=on kho_scratch=256M,8M,8M\n"
		   "reserve_mem=2G:2G:large reserve_mem=4K:4K:page",
	.programs = BATTERY, .generations = 3,
};

KHO_SCENARIO(kaslr) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.reserve.kaslr",
	.summary = "reservations, and kernels that choose by chance where they are",
	/* scratch is a small part of where they could be */
	.memory_mib = 4096, .cpus = 1, .flags = KHO_SC_KASLR,
	.cmdline = "kho=on kho_scratch=8M,160M,16M liveupdate=on\n"
		   "reserve_mem=1M:4K:a reserve_mem=64M:2M:b",
	.programs = BATTERY, .generations = 6,
};

/* a reservation that lives */
struct kept {
	char name[KHO_LABEL_LEN];
	u64 addr;
	u64 size;
	/* of its pattern */
	u64 seed;
};

static struct kho_asked asked[KHO_ASKED_MAX];
static struct kho_refused refused;
static struct kho_reservations resv;
static struct kho_problems problems;

static const char *not_here(void)
{
	return kho_generation() < 0 ?
	       "not in a machine of khotest: nobody wrote into the reservations" :
	       kho_no_debugfs();
}

static const char *none_asked(void)
{
	return not_here() ?: kho_reserve_asked(NULL, asked, &refused) ? NULL :
	       "no reserve_mem= on the command line";
}

/* one failure is told once */
static const char *no_tree(void)
{
	return none_asked() ?: access(OUT "/sub_fdts/memblock", F_OK) ?
	       "no memblock tree, which is for M4 to say" : NULL;
}

static const struct kho_region *find(const char *name)
{
	for (int i = 0; i < resv.nr; i++)
		if (!strcmp(resv.name[i], name))
			return &resv.range[i];
	return NULL;
}

static void read_tree(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;
	int err = kho_read_file(path, &b);

	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", path, strerror(-err));
	}
	memset(&problems, 0, sizeof(problems));
	kho_check_memblock(b.data, b.len, &resv, &problems);
	kho_blob_free(&b);
	for (unsigned int n = 0; n < problems.nr && n < KHO_PROBLEMS_MAX; n++)
		TH_LOG("%s: %s", path, problems.text[n]);
	EXPECT_EQ(0, problems.nr);
}

/* what the generation before left for this one; how many */
static int kept_before(struct kept *k)
{
	struct kho_blob b;
	int n;

	if (kho_handed_over() != 1 ||
	    kho_state_load("reserve", kho_generation() - 1, &b))
		return 0;
	n = b.len / sizeof(*k);
	if (n > KHO_ASKED_MAX)
		n = KHO_ASKED_MAX;
	memcpy(k, b.data, n * sizeof(*k));
	kho_blob_free(&b);
	return n;
}

/* the one that must live on as what is asked for; NULL for a new one */
static const struct kept *lives_on(const struct kept *before, int nr,
				   const struct kho_asked *a)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(before[i].name, a->name) && before[i].size == a->size &&
		    !(before[i].addr & (a->align - 1)))
			return &before[i];
	return NULL;
}

KHO_TEST_WHERE(m3, out_tree, no_tree())
{
	read_tree(_metadata, OUT "/sub_fdts/memblock");
}

KHO_TEST_WHERE(m4, tree_iff_reserved, not_here())
{
	bool want = kho_reserve_asked(NULL, asked, &refused);

	EXPECT_EQ(want, !access(OUT "/sub_fdts/memblock", F_OK)) {
		TH_LOG("%s" OUT "/sub_fdts/memblock", want ? "no " : "");
	}
}

KHO_TEST_WHERE(m1, reservations_are_as_asked_for, no_tree())
{
	int n = kho_reserve_asked(NULL, asked, &refused);

	read_tree(_metadata, OUT "/sub_fdts/memblock");
	for (int i = 0; i < n; i++) {
		const struct kho_region *r = find(asked[i].name);
		static struct kho_region all[KHO_REGIONS_MAX];
		int m;

		EXPECT_NE(NULL, r) {
			TH_LOG("%s is not reserved", asked[i].name);
		}
		if (!r)
			continue;
		EXPECT_EQ(asked[i].size, r->size) {
			TH_LOG("%s: 0x%llx bytes, asked for 0x%llx", asked[i].name,
			       r->size, asked[i].size);
		}
		EXPECT_EQ(0, r->addr & (asked[i].align - 1)) {
			TH_LOG("%s at 0x%llx is not aligned to 0x%llx", asked[i].name,
			       r->addr, asked[i].align);
		}
		EXPECT_TRUE(kho_in_ram(r->addr, r->size)) {
			TH_LOG("%s at 0x%llx is not System RAM", asked[i].name, r->addr);
		}
		m = kho_scratch_read(OUT, all, KHO_REGIONS_MAX);
		EXPECT_FALSE(kho_regions_overlap(all, m, r->addr, r->size)) {
			TH_LOG("%s at 0x%llx is in scratch", asked[i].name, r->addr);
		}
		for (int j = 0; j < resv.nr; j++) {
			EXPECT_TRUE(&resv.range[j] == r ||
				    !kho_regions_overlap(&resv.range[j], 1, r->addr,
							 r->size)) {
				TH_LOG("%s and %s overlap", resv.name[j],
				       asked[i].name);
			}
		}
	}
	EXPECT_EQ(n, resv.nr);
}

KHO_TEST_WHERE(m1, refused_ones_are_logged, not_here())
{
	kho_reserve_asked(NULL, asked, &refused);
	EXPECT_EQ(refused.malformed,
		  kho_klog_find("reserve_mem: empty or malformed parameter", NULL, 0));
	EXPECT_EQ(refused.no_room,
		  kho_klog_find("reserve_mem: no more room for reserved memory",
				NULL, 0));
	EXPECT_EQ(refused.twice, kho_klog_find("\" was already used", NULL, 0));
}

KHO_TEST_WHERE(m2, addresses_stay, no_tree())
{
	int n = kho_reserve_asked(NULL, asked, &refused), m;
	struct kept before[KHO_ASKED_MAX];
	bool any = false;

	m = kept_before(before);
	read_tree(_metadata, OUT "/sub_fdts/memblock");
	for (int i = 0; i < n; i++) {
		const struct kept *was = lives_on(before, m, &asked[i]);
		const struct kho_region *r = find(asked[i].name);

		if (!was)
			continue;
		any = true;
		EXPECT_EQ(was->addr, r ? r->addr : 0) {
			TH_LOG("%s was at 0x%llx and is at 0x%llx", was->name,
			       was->addr, r ? r->addr : 0);
		}
	}
	if (!any)
		SKIP(return, "no reservation of the kernel before lives on");
}

KHO_TEST_WHERE(m5, revival_is_logged, not_here())
{
	int n = kho_reserve_asked(NULL, asked, &refused), m;
	struct kept before[KHO_ASKED_MAX];
	char want[128];

	m = kept_before(before);
	for (int i = 0; i < n; i++) {
		int lives = !!lives_on(before, m, &asked[i]);

		snprintf(want, sizeof(want),
			 "Revived memory reservation '%s' from KHO", asked[i].name);
		EXPECT_EQ(lives, kho_klog_find(want, NULL, 0)) {
			TH_LOG("%s%s", lives ? "" : "not to be logged: ", want);
		}
		for (int j = 0; j < m && !lives; j++) {
			if (strcmp(before[j].name, asked[i].name))
				continue;
			snprintf(want, sizeof(want), "KHO reserve-mem '%s' has wrong",
				 asked[i].name);
			EXPECT_EQ(1, kho_klog_find(want, NULL, 0)) {
				TH_LOG("not logged: %s", want);
			}
		}
	}
}

KHO_TEST_WHERE(m7, others_are_dropped, kho_handed_over() == 1 ? not_here() :
	       "nothing was handed over")
{
	int n = kho_reserve_asked(NULL, asked, &refused), m, dropped = 0;
	struct kept before[KHO_ASKED_MAX];

	m = kept_before(before);
	memset(&resv, 0, sizeof(resv));
	if (!no_tree())
		read_tree(_metadata, OUT "/sub_fdts/memblock");
	for (int i = 0; i < m; i++) {
		bool wanted = false;

		for (int j = 0; j < n; j++)
			wanted |= !strcmp(asked[j].name, before[i].name);
		if (wanted)
			continue;
		dropped++;
		EXPECT_EQ(NULL, find(before[i].name)) {
			TH_LOG("%s is not asked for any more", before[i].name);
		}
		/* nobody may write into what nobody freed */
		EXPECT_GE(0, kho_pages_marked(before[i].addr, before[i].size,
					      KHO_PAGES_ALLOCATED, NULL, NULL)) {
			TH_LOG("%s: memory was given away in the generation it came to",
			       before[i].name);
		}
	}
	if (!dropped)
		SKIP(return, "all reservations are asked for again");
}

/* of more than this only some pages are written, which are spread over all of it */
#define EVERY_BYTE	(1536ULL << 20)
/* no power of two: on the way each place in what is larger is met */
#define PAGES_APART	2039

static void fill(void *mem, u64 size, u64 seed)
{
	u64 page = sysconf(_SC_PAGESIZE);

	if (size <= EVERY_BYTE) {
		kho_pattern_fill(mem, size, seed);
		return;
	}
	for (u64 at = 0; at + page <= size; at += PAGES_APART * page)
		kho_pattern_fill((char *)mem + at, page, seed + at);
}

static int check(const void *mem, u64 size, u64 seed, u64 *bad)
{
	u64 page = sysconf(_SC_PAGESIZE);

	if (size <= EVERY_BYTE)
		return kho_pattern_check(mem, size, seed, bad);
	for (u64 at = 0; at + page <= size; at += PAGES_APART * page) {
		int err = kho_pattern_check((const char *)mem + at, page, seed + at, bad);

		if (!err)
			continue;
		*bad += at;
		return err;
	}
	return 0;
}

/*
 * Written when it was reserved, found in every generation, every byte of it.
 * What the page allocator has its hands on is lost, even if nobody wrote there
 * yet.
 */
static void content(struct __test_metadata *_metadata, bool whole_pages)
{
	int n = kho_reserve_asked(NULL, asked, &refused), m, seen = 0;
	u64 page = sysconf(_SC_PAGESIZE);
	struct kept before[KHO_ASKED_MAX];

	m = kept_before(before);
	read_tree(_metadata, OUT "/sub_fdts/memblock");
	for (int i = 0; i < n; i++) {
		const struct kept *was = lives_on(before, m, &asked[i]);
		const struct kho_region *r = find(asked[i].name);
		u64 flags = 0, bad = 0, first;
		long lost;
		void *map;
		int err;

		if (!r || whole_pages != !((asked[i].size | r->addr) % page))
			continue;
		lost = kho_pages_marked(r->addr, r->size, KHO_PAGES_ALLOCATED, &first,
					&flags);
		EXPECT_EQ(0, lost) {
			TH_LOG("%s: %ld pages are the page allocator's, the first at 0x%llx",
			       asked[i].name, lost, lost > 0 ? first : 0);
			TH_LOG("%s: (/proc/kpageflags 0x%llx)", asked[i].name, flags);
		}
		seen++;
		if (!was)
			continue;
		err = kho_phys_map(r->addr, r->size, false, &map);
		if (err == -ENOENT || err == -EPERM)
			SKIP(return, "/dev/mem: %s: the kernel lets nobody look",
			     strerror(-err));
		ASSERT_EQ(0, err);
		err = check(map, r->size, was->seed, &bad);
		EXPECT_EQ(0, err) {
			TH_LOG("%s: byte %llu of %llu (at 0x%llx) is not what was written",
			       asked[i].name, bad, r->size, r->addr + bad);
		}
		kho_phys_unmap(map, r->addr, r->size);
	}
	if (!seen)
		SKIP(return, "no such reservation on the command line");
}

KHO_TEST_WHERE(m8, content_of_whole_pages, no_tree())
{
	content(_metadata, true);
}

KHO_TEST_WHERE(m8, content_of_partial_page, no_tree())
{
	content(_metadata, false);
}

/* early memory of one kernel and of another, in KiB: pages of memory and all */
#define EARLY_KIB	(32 << 10)

/* each key is reserved, and not more than it */
KHO_TEST_WHERE(r12, nothing_else_is_lost, not_here())
{
	int n = kho_reserve_asked(NULL, asked, &refused), m;
	struct kept before[KHO_ASKED_MAX];
	u64 was, now;

	ASSERT_EQ(0, kho_meminfo("MemTotal", &now));
	ASSERT_EQ(0, kho_state_save("memory", &now, sizeof(now)));
	m = kept_before(before);
	if (!m || m != n)
		SKIP(return, "not the reservations of the kernel before");
	for (int i = 0; i < n; i++)
		if (!lives_on(before, m, &asked[i]))
			SKIP(return, "not the reservations of the kernel before");
	ASSERT_EQ(0, kho_state_get("memory", kho_generation() - 1, &was, sizeof(was)));
	EXPECT_LT(was, now + EARLY_KIB) {
		TH_LOG("MemTotal: %llu KiB, before the handover %llu KiB", now, was);
	}
}

/* the last check of all: from here on what there is belongs to the next one */
KHO_TEST_WHERE(m6, kept_for_the_next, none_asked())
{
	int n = kho_reserve_asked(NULL, asked, &refused), m, nr = 0;
	struct kept before[KHO_ASKED_MAX], now[KHO_ASKED_MAX];

	m = kept_before(before);
	memset(now, 0, sizeof(now));
	memset(&resv, 0, sizeof(resv));
	if (!no_tree())
		read_tree(_metadata, OUT "/sub_fdts/memblock");
	for (int i = 0; i < n; i++) {
		const struct kept *was = lives_on(before, m, &asked[i]);
		const struct kho_region *r = find(asked[i].name);
		struct kept *k = &now[nr];
		void *map;
		int err;

		/* what must live on must do so in the next generation, too */
		if (was && (!r || r->addr == was->addr))
			now[nr++] = *was;
		/* but one that moved was told of, and is a new one from here on */
		if (!r || (was && r->addr == was->addr))
			continue;
		strcpy(k->name, asked[i].name);
		k->addr = r->addr;
		k->size = r->size;
		k->seed = 100 * (u64)(kho_generation() + 1) + i;
		nr++;
		err = kho_phys_map(r->addr, r->size, true, &map);
		ASSERT_EQ(0, err) {
			TH_LOG("/dev/mem: %s", strerror(-err));
		}
		fill(map, r->size, k->seed);
		kho_phys_unmap(map, r->addr, r->size);
	}
	ASSERT_EQ(0, kho_state_save("reserve", now, nr * sizeof(*now)));
}

TEST_HARNESS_MAIN
