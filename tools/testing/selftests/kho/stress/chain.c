// SPDX-License-Identifier: GPL-2.0-only
/*
 * chain.c - many KHO kexecs from one cold boot
 *
 * What is preserved: one reservation written once, in the cold boot, and one
 * written anew in each generation for the next.
 */
#include "kho_test.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fdt_check.h"

KHO_SCENARIO(chain) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chain",
	.summary = "a chain of KHO kexecs; --generations says how many kernels",
	.memory_mib = 512, .cpus = 1, .generations = 5,
	.cmdline = "kho=on liveupdate=on reserve_mem=4M:4K:once reserve_mem=1028K:4K:anew",
};

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"
#define ONCE	1

static struct kho_reservations resv;
static struct kho_problems problems;

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       kho_why_not();
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
	return problems.nr || resv.nr != 2 ? -EBADMSG : 0;
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
	struct utsname u;

	ASSERT_EQ(0, uname(&u));
	for (int i = 0; i < (gen ? 2 : 1); i++) {
		ASSERT_EQ(0, kho_read_file(path[i], &b));
		memset(&problems, 0, sizeof(problems));
		kho_check_metadata(b.data, b.len, &m, &problems);
		kho_blob_free(&b);
		EXPECT_EQ(0, problems.nr) {
			TH_LOG("%s: %s", path[i], problems.text[0]);
		}
		EXPECT_EQ(gen + !i, m.count);
		/* one kernel in the whole chain */
		EXPECT_STREQ(u.release, m.release);
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

KHO_TEST_WHERE(m2, addresses_stay, not_here())
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

KHO_TEST_WHERE(m8, content_of_the_cold_boot, not_here())
{
	content(_metadata, "once", ONCE, kho_generation() ? 0 : ONCE);
}

KHO_TEST_WHERE(m8, content_of_the_generation_before, not_here())
{
	/* seeds never repeat: what is two generations old is wrong, too */
	content(_metadata, "anew", 1000 + kho_generation() - 1,
		1000 + kho_generation());
}

KHO_TEST_WHERE(p1, memory_is_told, not_here())
{
	static const char * const keys[] = { "MemTotal", "MemFree", "CmaFree", "Slab" };
	u64 kib;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char name[32];

		ASSERT_EQ(0, kho_meminfo(keys[i], &kib)) {
			TH_LOG("%s", keys[i]);
		}
		snprintf(name, sizeof(name), "chain.%s", keys[i]);
		for (char *p = name; *p; p++)
			*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
		printf("# kho: value name=%s unit=kib value=%llu\n", name, kib);
		fflush(stdout);
	}
}

TEST_HARNESS_MAIN
