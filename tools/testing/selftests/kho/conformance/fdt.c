// SPDX-License-Identifier: GPL-2.0-only
/*
 * fdt.c - the state trees, and what they hand over
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kho_test.h"

#include <libfdt.h>

#include "fdt_check.h"

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"

static struct kho_problems problems;
static struct kho_root root;
static struct kho_reservations resv;

static void expect_no_problems(struct __test_metadata *_metadata, const char *what)
{
	for (unsigned int n = 0; n < problems.nr && n < KHO_PROBLEMS_MAX; n++)
		TH_LOG("%s: %s", what, problems.text[n]);
	EXPECT_EQ(0, problems.nr);
}

static void read_blob(struct __test_metadata *_metadata, const char *path,
		      struct kho_blob *blob)
{
	int err = kho_read_file(path, blob);

	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", path, strerror(-err));
	}
}

static bool handed_over(void)
{
	int gen = kho_generation();

	return gen < 0 ? !access(IN, F_OK) : gen > 0;
}

static const char *no_handover(void)
{
	return kho_why_not() ?: handed_over() ? NULL :
	       "cold boot: nothing was handed over";
}

static const char *no_reserve_mem(void)
{
	return kho_why_not() ?:
	       kho_cmdline_get(NULL, "reserve_mem", 0, NULL, 0) ?
	       "no reserve_mem= on the command line" : NULL;
}

/* a tree as the kernel may have it, in one direction */
static void check_root(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;

	read_blob(_metadata, path, &b);
	memset(&problems, 0, sizeof(problems));
	kho_check_root(b.data, b.len, KHO_COMPATIBLE, &root, &problems);
	kho_blob_free(&b);
}

KHO_TEST(u9, out_fdt_is_there)
{
	EXPECT_EQ(0, access(OUT "/fdt", R_OK)) {
		TH_LOG(OUT "/fdt: %s", strerror(errno));
	}
}

KHO_TEST(d9, out_fdt_is_complete)
{
	check_root(_metadata, OUT "/fdt");
	expect_no_problems(_metadata, OUT "/fdt");
}

KHO_TEST_WHERE(d10, in_fdt_is_complete, no_handover())
{
	check_root(_metadata, IN "/fdt");
	expect_no_problems(_metadata, IN "/fdt");
}

static bool in_ram(u64 addr, u64 size)
{
	static struct kho_region ram[256];
	int n = kho_iomem_ram(ram, 256);

	for (int i = 0; i < n; i++)
		if (addr >= ram[i].addr && addr + size > addr &&
		    addr + size <= ram[i].addr + ram[i].size)
			return true;
	return false;
}

static bool in_scratch(u64 addr, u64 size)
{
	static struct kho_region r[KHO_REGIONS_MAX];
	int n = kho_scratch_read(OUT, r, KHO_REGIONS_MAX);

	for (int i = 0; i < n; i++)
		if (r[i].size && addr < r[i].addr + r[i].size &&
		    addr + size > r[i].addr)
			return true;
	return false;
}

/* what the tree and the directory say of the subtrees must be one */
static void subtrees_agree(struct __test_metadata *_metadata, const char *dir)
{
	struct dirent *e;
	char path[600];
	int files = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/sub_fdts", dir);
	d = opendir(path);
	ASSERT_NE(NULL, d);
	while ((e = readdir(d)))
		files += *e->d_name != '.';
	closedir(d);
	EXPECT_EQ(root.nr, files);
	for (int i = 0; i < root.nr; i++) {
		const struct kho_subnode *s = &root.sub[i];
		struct kho_blob b = { };
		int err;

		snprintf(path, sizeof(path), "%s/sub_fdts/%s", dir, s->name);
		err = kho_read_file(path, &b);
		EXPECT_EQ(0, err) {
			TH_LOG("%s: %s", path, strerror(-err));
		}
		EXPECT_EQ(s->size, b.len) {
			TH_LOG("%s: %zu bytes, blob-size %llu", path, b.len, s->size);
		}
		kho_blob_free(&b);
		EXPECT_TRUE(in_ram(s->data, s->size)) {
			TH_LOG("%s: 0x%llx is not System RAM", path, s->data);
		}
		/* handed-over memory never lies where the next kernel will boot */
		EXPECT_FALSE(in_scratch(s->data, s->size)) {
			TH_LOG("%s: 0x%llx is in scratch", path, s->data);
		}
	}
}

/* one failure is told once: D9 is about the tree that cannot be read */
static const char *no_out_fdt(void)
{
	const char *why = kho_why_not();
	struct kho_blob b;

	if (why)
		return why;
	why = "out/fdt is missing or cut off, which is for D9 to say";
	if (kho_read_file(OUT "/fdt", &b))
		return why;
	if (b.len >= sizeof(struct fdt_header) && fdt_totalsize(b.data) <= b.len)
		why = NULL;
	kho_blob_free(&b);
	return why;
}

KHO_TEST_WHERE(d11, out_subtrees_agree_with_fdt, no_out_fdt())
{
	check_root(_metadata, OUT "/fdt");
	EXPECT_LT(0, root.nr);
	subtrees_agree(_metadata, OUT);
}

KHO_TEST_WHERE(d12, in_subtrees_agree_with_fdt, no_handover())
{
	check_root(_metadata, IN "/fdt");
	EXPECT_LT(0, root.nr);
	subtrees_agree(_metadata, IN);
}

/* of the tree that is about to be handed over, and of the one that was */
static void root_rules(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;
	int err = kho_read_file(path, &b);

	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", path, strerror(-err));
	}
	memset(&problems, 0, sizeof(problems));
	kho_check_root(b.data, b.len, KHO_COMPATIBLE, &root, &problems);
	kho_blob_free(&b);
	expect_no_problems(_metadata, path);
	EXPECT_TRUE(in_ram(root.map, sysconf(_SC_PAGESIZE))) {
		TH_LOG("preserved-memory-map 0x%llx is not System RAM", root.map);
	}
	EXPECT_FALSE(in_scratch(root.map, sysconf(_SC_PAGESIZE))) {
		TH_LOG("preserved-memory-map 0x%llx is in scratch", root.map);
	}
}

KHO_TEST_WHERE(f3, out_map_is_memory, no_out_fdt())
{
	root_rules(_metadata, OUT "/fdt");
}

KHO_TEST_WHERE(f3, in_map_is_memory, no_handover())
{
	root_rules(_metadata, IN "/fdt");
}

/* both must hold the same: in/ is what out/ was in the generation before */
static const char * const constant[] = { "kexec-metadata", "memblock" };

KHO_TEST(u16, in_is_what_out_was)
{
	struct kho_blob before, b;
	char path[300];
	int gen = kho_generation();

	if (gen < 0)
		SKIP(return, "not in a machine of khotest: the previous state is not known");
	for (size_t i = 0; i < ARRAY_SIZE(constant); i++) {
		snprintf(path, sizeof(path), OUT "/sub_fdts/%s", constant[i]);
		if (!kho_read_file(path, &b)) {
			ASSERT_EQ(0, kho_state_save(constant[i], b.data, b.len));
			kho_blob_free(&b);
		}
		if (!gen)
			continue;
		snprintf(path, sizeof(path), IN "/sub_fdts/%s", constant[i]);
		if (kho_state_load(constant[i], gen - 1, &before)) {
			EXPECT_NE(0, access(path, F_OK)) {
				TH_LOG("%s was not handed over and is there", path);
			}
			continue;
		}
		read_blob(_metadata, path, &b);
		EXPECT_EQ(before.len, b.len);
		EXPECT_EQ(0, memcmp(before.data, b.data,
				    b.len < before.len ? b.len : before.len)) {
			TH_LOG("%s is not what it was in the generation before", path);
		}
		kho_blob_free(&b);
		kho_blob_free(&before);
	}
	/* where the kernel shows the tree, it must be the one that arrived */
	if (!kho_read_file(OUT "/fdt", &b)) {
		ASSERT_EQ(0, kho_state_save("fdt", b.data, b.len));
		kho_blob_free(&b);
	}
	if (gen && !kho_state_load("fdt", gen - 1, &before)) {
		read_blob(_metadata, IN "/fdt", &b);
		/* the length that the header gives: out/fdt itself may be cut (D9) */
		EXPECT_LE(sizeof(struct fdt_header), before.len);
		EXPECT_EQ(fdt_totalsize(before.data), b.len) {
			TH_LOG("in/fdt has %zu bytes, the tree in out/fdt had %u",
			       b.len, fdt_totalsize(before.data));
		}
		EXPECT_LE(before.len, b.len);
		EXPECT_EQ(0, memcmp(before.data, b.data,
				    b.len < before.len ? b.len : before.len));
		kho_blob_free(&b);
		kho_blob_free(&before);
	}
}

KHO_TEST_WHERE(d10, in_fdt_is_constant, no_handover())
{
	struct kho_blob a, b;

	read_blob(_metadata, IN "/fdt", &a);
	read_blob(_metadata, IN "/fdt", &b);
	EXPECT_EQ(a.len, b.len);
	EXPECT_EQ(0, memcmp(a.data, b.data, a.len));
	kho_blob_free(&a);
	kho_blob_free(&b);
}

static void luo(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;

	if (kho_read_file(path, &b))
		SKIP(return, "no live update blob here");
	memset(&problems, 0, sizeof(problems));
	kho_check_luo(b.data, b.len, &problems);
	expect_no_problems(_metadata, path);
	kho_blob_free(&b);
}

KHO_TEST(d14, out_luo)
{
	luo(_metadata, OUT "/sub_fdts/LUO");
}

/* what a file shows must not be memory that was given away in the meantime */
KHO_TEST(d14, in_luo)
{
	u64 flags;

	luo(_metadata, IN "/sub_fdts/LUO");
	if (access(IN "/sub_fdts/LUO", F_OK))
		return;
	check_root(_metadata, IN "/fdt");
	for (int i = 0; i < root.nr; i++) {
		if (strcmp(root.sub[i].name, "LUO"))
			continue;
		/* less than none: the kernel lets nobody look */
		EXPECT_GE(0, kho_pages_marked(root.sub[i].data, 1, 1ULL << KPF_BUDDY,
					      NULL, &flags)) {
			TH_LOG(IN "/sub_fdts/LUO shows the page at 0x%llx", root.sub[i].data);
			TH_LOG("which is free (/proc/kpageflags 0x%llx)", flags);
		}
	}
}

/* kexec metadata */

static void metadata(struct __test_metadata *_metadata, const char *path,
		     struct kho_metadata *m)
{
	struct kho_blob b;
	int err = kho_read_file(path, &b);

	memset(m, 0, sizeof(*m));
	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", path, strerror(-err));
	}
	memset(&problems, 0, sizeof(problems));
	kho_check_metadata(b.data, b.len, m, &problems);
	expect_no_problems(_metadata, path);
	kho_blob_free(&b);
}

KHO_TEST(k1, out_layout)
{
	struct kho_metadata m;

	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
}

KHO_TEST_WHERE(k1, in_layout, no_handover())
{
	struct kho_metadata m;

	metadata(_metadata, IN "/sub_fdts/kexec-metadata", &m);
}

KHO_TEST(k5, out_release_is_this_kernels)
{
	struct kho_metadata m;
	struct utsname u;

	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
	ASSERT_EQ(0, uname(&u));
	EXPECT_STREQ(u.release, m.release);
}

KHO_TEST(k3, counts)
{
	struct kho_metadata m;
	int gen = kho_generation();

	if (gen < 0)
		SKIP(return, "not in a machine of khotest: the count is not known");
	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
	EXPECT_EQ(gen + 1, m.count);
	if (!gen)
		return;
	metadata(_metadata, IN "/sub_fdts/kexec-metadata", &m);
	EXPECT_EQ(gen, m.count);
}

KHO_TEST(k2, logged_once)
{
	char line[256] = "", want[256];
	int gen = kho_generation();
	struct kho_blob b;
	struct utsname u;

	if (gen < 0)
		SKIP(return, "not in a machine of khotest: the count is not known");
	ASSERT_EQ(0, uname(&u));
	ASSERT_EQ(0, kho_state_save("release", u.release, strlen(u.release)));
	EXPECT_EQ(!!gen, kho_klog_find("KHO: exec from:", line, sizeof(line)));
	if (!gen)
		return;
	ASSERT_EQ(0, kho_state_load("release", gen - 1, &b));
	snprintf(want, sizeof(want), "KHO: exec from: %.80s (count %d)",
		 (char *)b.data, gen);
	EXPECT_STREQ(want, line);
	kho_blob_free(&b);
}

KHO_TEST(k4, cold_boot_counts_anew)
{
	struct kho_metadata m;

	if (kho_generation() != 0)
		SKIP(return, "not a cold boot of a machine of khotest");
	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
	EXPECT_EQ(1, m.count);
}

/* reserve_mem */

/* the reservations as the memblock tree has them */
static void reservations(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;
	int err = kho_read_file(path, &b);

	ASSERT_EQ(0, err) {
		TH_LOG("%s: %s", path, strerror(-err));
	}
	memset(&problems, 0, sizeof(problems));
	kho_check_memblock(b.data, b.len, &resv, &problems);
	expect_no_problems(_metadata, path);
	kho_blob_free(&b);
}

KHO_TEST_WHERE(m3, out_tree, no_reserve_mem())
{
	reservations(_metadata, OUT "/sub_fdts/memblock");
}

KHO_TEST_WHERE(m3, in_tree, no_reserve_mem() ?: no_handover())
{
	reservations(_metadata, IN "/sub_fdts/memblock");
}

KHO_TEST(m4, tree_iff_reserved)
{
	bool asked = !kho_cmdline_get(NULL, "reserve_mem", 0, NULL, 0);

	EXPECT_EQ(asked, !access(OUT "/sub_fdts/memblock", F_OK));
}

/* size:align:name as the kernel reads it */
static bool asked_for(unsigned int nth, u64 *size, u64 *align, char *name,
		      size_t name_size)
{
	char val[128], *p = val;
	u64 *out[] = { size, align };

	if (kho_cmdline_get(NULL, "reserve_mem", nth, val, sizeof(val)))
		return false;
	for (int i = 0; i < 2; i++) {
		*out[i] = kho_memparse(p, &p);
		if (*p++ != ':')
			return false;
	}
	snprintf(name, name_size, "%s", p);
	return true;
}

static const struct kho_region *reservation(const char *name)
{
	for (int i = 0; i < resv.nr; i++)
		if (!strcmp(resv.name[i], name))
			return &resv.range[i];
	return NULL;
}

KHO_TEST_WHERE(m1, reservations_are_as_asked_for, no_reserve_mem())
{
	u64 size, align;
	char name[64];
	int n;

	reservations(_metadata, OUT "/sub_fdts/memblock");
	for (n = 0; asked_for(n, &size, &align, name, sizeof(name)); n++) {
		const struct kho_region *r = reservation(name);

		ASSERT_NE(NULL, r) {
			TH_LOG("%s is not reserved", name);
		}
		EXPECT_EQ(size, r->size);
		EXPECT_EQ(0, r->addr % align);
		EXPECT_TRUE(in_ram(r->addr, r->size));
		EXPECT_FALSE(in_scratch(r->addr, r->size)) {
			TH_LOG("%s at 0x%llx is in scratch", name, r->addr);
		}
	}
	EXPECT_EQ(n, resv.nr);
}

KHO_TEST_WHERE(m2, addresses_stay, no_reserve_mem())
{
	struct kho_blob b;
	u64 size, align;
	char name[64];

	if (kho_generation() < 0)
		SKIP(return, "not in a machine of khotest: earlier addresses are not known");
	reservations(_metadata, OUT "/sub_fdts/memblock");
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("reservations", &resv, sizeof(resv)));
		return;
	}
	ASSERT_EQ(0, kho_state_load("reservations", 0, &b));
	ASSERT_EQ(sizeof(resv), b.len);
	for (int n = 0; asked_for(n, &size, &align, name, sizeof(name)); n++) {
		const struct kho_reservations *old = b.data;
		const struct kho_region *r = reservation(name);

		ASSERT_NE(NULL, r);
		for (int i = 0; i < old->nr; i++)
			if (!strcmp(old->name[i], name)) {
				EXPECT_EQ(old->range[i].addr, r->addr) {
					TH_LOG("%s was at 0x%llx and is at 0x%llx",
					       name, old->range[i].addr, r->addr);
				}
			}
	}
	kho_blob_free(&b);
}

KHO_TEST_WHERE(m5, revival_is_logged, no_reserve_mem())
{
	char name[64], want[128];
	u64 size, align;

	for (int n = 0; asked_for(n, &size, &align, name, sizeof(name)); n++) {
		snprintf(want, sizeof(want),
			 "Revived memory reservation '%s' from KHO", name);
		EXPECT_EQ(handed_over(), kho_klog_find(want, NULL, 0)) {
			TH_LOG("%s", want);
		}
	}
}

/* written in the cold boot, found in every generation, every byte of it */
static void content(struct __test_metadata *_metadata, bool whole_pages)
{
	u64 size, align, bad, flags = 0, page = sysconf(_SC_PAGESIZE);
	char name[64];
	int seen = 0;
	long lost;

	if (kho_generation() < 0)
		SKIP(return, "not in a machine of khotest: nobody wrote into the reservations");
	reservations(_metadata, OUT "/sub_fdts/memblock");
	for (int n = 0; asked_for(n, &size, &align, name, sizeof(name)); n++) {
		const struct kho_region *r = reservation(name);
		void *map;
		int err;

		if (whole_pages != !(size % page))
			continue;
		ASSERT_NE(NULL, r);
		err = kho_phys_map(r->addr, r->size, !kho_generation(), &map);
		if (err == -ENOENT || err == -EPERM)
			SKIP(return, "/dev/mem: %s: the kernel lets nobody look",
			     strerror(-err));
		ASSERT_EQ(0, err);
		if (!kho_generation())
			kho_pattern_fill(map, r->size, n + 1);
		err = kho_pattern_check(map, r->size, n + 1, &bad);
		EXPECT_EQ(0, err) {
			TH_LOG("%s: byte %llu of %llu (at 0x%llx) is not what generation 0 wrote",
			       name, bad, r->size, r->addr + bad);
		}
		kho_phys_unmap(map, r->addr, r->size);
		lost = kho_pages_marked(r->addr, r->size, KHO_PAGES_ALLOCATED, &bad,
					&flags);
		EXPECT_EQ(0, lost) {
			TH_LOG("%s: %ld pages are the page allocator's, the first at byte %llu",
			       name, lost, lost > 0 ? bad - r->addr : 0);
			TH_LOG("%s: (/proc/kpageflags 0x%llx)", name, flags);
		}
		seen++;
	}
	if (!seen)
		SKIP(return, "no such reservation on the command line");
}

KHO_TEST_WHERE(m8, content_of_whole_pages, no_reserve_mem())
{
	content(_metadata, true);
}

KHO_TEST_WHERE(m8, content_of_partial_page, no_reserve_mem())
{
	content(_metadata, false);
}

TEST_HARNESS_MAIN
