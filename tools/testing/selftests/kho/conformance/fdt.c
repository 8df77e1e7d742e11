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
	int known = kho_handed_over();

	return known < 0 ? !access(IN, F_OK) : known;
}

/* KHO kexecs since the last boot without a handover; -1: not known */
static int count(void)
{
	const struct kho_boot *b = kho_boot_of(kho_generation());

	return b ? (int)b->count : -1;
}

static const char *no_handover(void)
{
	return kho_no_debugfs() ?: handed_over() ? NULL :
	       "cold boot: nothing was handed over";
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

/* packed, it is as long as it was */
static void packed(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;
	u32 size;

	read_blob(_metadata, path, &b);
	ASSERT_LE(sizeof(struct fdt_header), b.len);
	size = fdt_totalsize(b.data);
	ASSERT_EQ(size, b.len);
	EXPECT_EQ(0, fdt_pack(b.data));
	EXPECT_EQ(size, fdt_totalsize(b.data));
	kho_blob_free(&b);
}

KHO_TEST(u9, out_fdt_is_there)
{
	EXPECT_EQ(0, access(OUT "/fdt", R_OK)) {
		TH_LOG(OUT "/fdt: %s", strerror(errno));
	}
}

KHO_CHECKS(f1, out_fdt_is_complete);
KHO_CHECKS(f2, out_fdt_is_complete);
KHO_CHECKS(f4, out_fdt_is_complete);
KHO_CHECKS(f5, out_fdt_is_complete);
KHO_CHECKS(f9, out_fdt_is_complete);
KHO_TEST(d9, out_fdt_is_complete)
{
	check_root(_metadata, OUT "/fdt");
	expect_no_problems(_metadata, OUT "/fdt");
}

KHO_CHECKS(f1, in_fdt_is_complete);
KHO_CHECKS(f2, in_fdt_is_complete);
KHO_CHECKS(f4, in_fdt_is_complete);
KHO_CHECKS(f5, in_fdt_is_complete);
KHO_CHECKS(f9, in_fdt_is_complete);
KHO_TEST_WHERE(d10, in_fdt_is_complete, no_handover())
{
	check_root(_metadata, IN "/fdt");
	expect_no_problems(_metadata, IN "/fdt");
}

KHO_TEST_WHERE(f8, in_fdt_is_packed, no_handover())
{
	packed(_metadata, IN "/fdt");
}

static bool in_scratch(u64 addr, u64 size)
{
	static struct kho_region r[KHO_REGIONS_MAX];

	return kho_regions_overlap(r, kho_scratch_read(OUT, r, KHO_REGIONS_MAX),
				   addr, size);
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
		EXPECT_TRUE(kho_in_ram(s->data, s->size)) {
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
	const char *why = kho_no_debugfs();
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

KHO_CHECKS(u15, out_subtrees_agree_with_fdt);
KHO_CHECKS(f4, out_subtrees_agree_with_fdt);
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
	EXPECT_TRUE(kho_in_ram(root.map, sysconf(_SC_PAGESIZE))) {
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
		if (!handed_over())
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
	if (handed_over() && !kho_state_load("fdt", gen - 1, &before)) {
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

/* the kernel's own test, where it is built in and saved something */
static void own_test(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;

	if (kho_read_file(path, &b))
		SKIP(return, "the kernel's own test saved nothing here");
	memset(&problems, 0, sizeof(problems));
	kho_check_tree(b.data, b.len, "kho-test-v1", &problems);
	expect_no_problems(_metadata, path);
	kho_blob_free(&b);
}

KHO_TEST(d14, out_own_test)
{
	own_test(_metadata, OUT "/sub_fdts/kho_test");
}

/* as "khotest decode" does it: each is of a kind that is known, and in order */
KHO_TEST(d14, blobs_are_decoded)
{
	struct dirent *e;
	DIR *d = opendir(OUT "/sub_fdts");

	ASSERT_NE(NULL, d);
	while ((e = readdir(d))) {
		char path[600], *text;
		struct kho_blob b;
		size_t size;
		FILE *f;

		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), OUT "/sub_fdts/%s", e->d_name);
		read_blob(_metadata, path, &b);
		memset(&problems, 0, sizeof(problems));
		f = open_memstream(&text, &size);
		kho_blob_print(b.data, b.len, f, &problems);
		fclose(f);
		expect_no_problems(_metadata, path);
		EXPECT_LT(0, size);
		free(text);
		kho_blob_free(&b);
	}
	closedir(d);
}

static void luo(struct __test_metadata *_metadata, const char *path)
{
	struct kho_blob b;

	if (kho_read_file(path, &b))
		SKIP(return, "no live update blob here");
	memset(&problems, 0, sizeof(problems));
	kho_check_luo(b.data, b.len, KHO_LUO_COMPATIBLE, &problems);
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
	int n = count();

	if (n < 0)
		SKIP(return, "not in a machine of khotest: the count is not known");
	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
	EXPECT_EQ(n + 1, m.count);
	if (!n)
		return;
	metadata(_metadata, IN "/sub_fdts/kexec-metadata", &m);
	EXPECT_EQ(n, m.count);
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
	EXPECT_EQ(count() > 0, kho_klog_find("KHO: exec from:", line, sizeof(line)));
	if (count() <= 0)
		return;
	ASSERT_EQ(0, kho_state_load("release", gen - 1, &b));
	snprintf(want, sizeof(want), "KHO: exec from: %.80s (count %d)",
		 (char *)b.data, count());
	EXPECT_STREQ(want, line);
	kho_blob_free(&b);
}

KHO_TEST(k4, cold_boot_counts_anew)
{
	struct kho_metadata m;

	if (count())
		SKIP(return, "not a boot without a handover, or not in a machine of khotest");
	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
	EXPECT_EQ(1, m.count);
}

/* what arrived is what the command line of the kernel before asked for */
KHO_TEST_WHERE(m3, in_tree, no_handover())
{
	static struct kho_reservations resv;
	struct kho_blob b;

	if (kho_read_file(IN "/sub_fdts/memblock", &b))
		SKIP(return, "no reservations were handed over");
	memset(&problems, 0, sizeof(problems));
	kho_check_memblock(b.data, b.len, &resv, &problems);
	expect_no_problems(_metadata, IN "/sub_fdts/memblock");
	kho_blob_free(&b);
}

/* the device tree that this kernel was given, where its architecture has one */

#define GIVEN	"/sys/firmware/fdt"

static const char *no_given_tree(void)
{
	return kho_handed_over() < 0 ?
	       "not in a machine of khotest: not known how this kernel was booted" :
	       access(GIVEN, F_OK) ? "this kernel was given no device tree" : NULL;
}

/* what of /chosen is an address and a size, and nothing behind them */
static bool in_chosen(struct __test_metadata *_metadata, const char *name, struct kho_region *r)
{
	const fdt32_t *val = NULL;
	int node, len = 0, cells[2];
	u64 num[2] = { };
	struct kho_blob b;

	read_blob(_metadata, GIVEN, &b);
	EXPECT_EQ(0, fdt_check_full(b.data, b.len)) {
		TH_LOG(GIVEN " is no device tree");
		kho_blob_free(&b);
		return false;
	}
	cells[0] = fdt_address_cells(b.data, 0);
	cells[1] = fdt_size_cells(b.data, 0);
	node = fdt_path_offset(b.data, "/chosen");
	if (node >= 0)
		val = fdt_getprop(b.data, node, name, &len);
	if (val) {
		EXPECT_EQ((cells[0] + cells[1]) * (int)sizeof(*val), len) {
			TH_LOG("%s has %d bytes", name, len);
			val = NULL;
		}
	}
	for (int i = 0; i < 2 && val; i++)
		for (int cell = 0; cell < cells[i]; cell++)
			num[i] = num[i] << 32 | fdt32_to_cpu(*val++);
	kho_blob_free(&b);
	r->addr = num[0];
	r->size = num[1];
	return val;
}

/* of a handover before this one nothing is left in it */
KHO_CHECKS(kx1, chosen_iff_kho_kexec);
KHO_CHECKS(kx4, chosen_iff_kho_kexec);
KHO_TEST_WHERE(h2, chosen_iff_kho_kexec, no_given_tree())
{
	int gen = kho_generation();
	bool want = gen > 0 && kho_boot_of(gen)->step.way == KHO_BY_KEXEC &&
		    kho_boot_of(gen - 1)->on;
	struct kho_region r;

	EXPECT_EQ(want, in_chosen(_metadata, "linux,kho-fdt", &r));
	EXPECT_EQ(want, in_chosen(_metadata, "linux,kho-scratch", &r));
}

KHO_CHECKS(h3, chosen_is_tree_and_regions);
KHO_TEST_WHERE(h2, chosen_is_tree_and_regions, no_given_tree())
{
	static struct kho_region r[KHO_REGIONS_MAX];
	u64 page = sysconf(_SC_PAGESIZE);
	struct kho_region fdt, array;
	int n;

	if (!in_chosen(_metadata, "linux,kho-fdt", &fdt) ||
	    !in_chosen(_metadata, "linux,kho-scratch", &array))
		SKIP(return, "nothing was handed over");
	EXPECT_EQ(0, fdt.addr % page);
	EXPECT_EQ(page, fdt.size);
	EXPECT_TRUE(kho_in_ram(fdt.addr, fdt.size));
	EXPECT_TRUE(kho_in_ram(array.addr, array.size));
	EXPECT_EQ(0, array.size % 16);
	if (kho_no_debugfs() || !handed_over())
		return;
	n = kho_scratch_read(OUT, r, KHO_REGIONS_MAX);
	EXPECT_EQ(16 * n, array.size);
	/* the tree is preserved memory, the array was loaded into scratch */
	EXPECT_FALSE(kho_regions_overlap(r, n, fdt.addr, fdt.size));
	EXPECT_TRUE(kho_regions_overlap(r, n, array.addr, array.size));
}

TEST_HARNESS_MAIN
