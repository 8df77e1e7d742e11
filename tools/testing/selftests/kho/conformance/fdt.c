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
#include <linux/kernel-page-flags.h>

#include "fdt_check.h"

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"

static struct kho_problems problems;
static struct kho_root root;
static struct kho_reservations resv;

#define EXPECT_NO_PROBLEMS(what)					\
	do {								\
		for (unsigned int n_ = 0; n_ < problems.nr &&		\
		     n_ < KHO_PROBLEMS_MAX; n_++)			\
			TH_LOG("%s: %s", what, problems.text[n_]);	\
		EXPECT_EQ(0, problems.nr);				\
	} while (0)

#define READ(path, blob)						\
	do {								\
		int err_ = kho_read_file(path, blob);			\
									\
		ASSERT_EQ(0, err_) {					\
			TH_LOG("%s: %s", path, strerror(-err_));	\
		}							\
	} while (0)

static bool handed_over(void)
{
	int gen = kho_generation();

	return gen < 0 ? !access(IN, F_OK) : gen > 0;
}

#define NEED_HANDOVER()							\
	do {								\
		if (!handed_over())					\
			SKIP(return, "cold boot: nothing was handed over"); \
	} while (0)

#define NEED_RESERVE_MEM()						\
	do {								\
		if (kho_cmdline_get(NULL, "reserve_mem", 0, NULL, 0))	\
			SKIP(return, "no reserve_mem= on the command line"); \
	} while (0)

/* a tree as the kernel may have it, in one direction */
#define CHECK_ROOT(dir)							\
	do {								\
		struct kho_blob b_;					\
									\
		READ(dir "/fdt", &b_);					\
		memset(&problems, 0, sizeof(problems));			\
		kho_check_root(b_.data, b_.len, KHO_COMPATIBLE, &root,	\
			       &problems);				\
		kho_blob_free(&b_);					\
	} while (0)

KHO_TEST(u9, out_fdt_is_there)
{
	EXPECT_EQ(0, access(OUT "/fdt", R_OK)) {
		TH_LOG(OUT "/fdt: %s", strerror(errno));
	}
}

KHO_TEST(d9, out_fdt_is_complete)
{
	CHECK_ROOT(OUT);
	EXPECT_NO_PROBLEMS(OUT "/fdt");
}

KHO_TEST(d10, in_fdt_is_complete)
{
	NEED_HANDOVER();
	CHECK_ROOT(IN);
	EXPECT_NO_PROBLEMS(IN "/fdt");
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

/* the flags of the page at an address, as /proc/kpageflags has them */
static int page_flags(u64 addr, u64 *flags)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	u64 at = addr / sysconf(_SC_PAGESIZE) * sizeof(*flags);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, flags, sizeof(*flags), at);
	close(fd);
	return n == sizeof(*flags) ? 0 : -EIO;
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
#define NEED_OUT_FDT()							\
	do {								\
		struct kho_blob b_;					\
		bool cut_ = kho_read_file(OUT "/fdt", &b_) ||		\
			    b_.len < sizeof(struct fdt_header) ||	\
			    fdt_totalsize(b_.data) > b_.len;		\
									\
		if (cut_)						\
			SKIP(return, "out/fdt is missing or cut off, which is for D9 to say"); \
		kho_blob_free(&b_);					\
	} while (0)

KHO_TEST(d11, out_subtrees_agree_with_fdt)
{
	NEED_OUT_FDT();
	CHECK_ROOT(OUT);
	EXPECT_LT(0, root.nr);
	subtrees_agree(_metadata, OUT);
}

KHO_TEST(d12, in_subtrees_agree_with_fdt)
{
	NEED_HANDOVER();
	CHECK_ROOT(IN);
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
	EXPECT_NO_PROBLEMS(path);
	EXPECT_TRUE(in_ram(root.map, sysconf(_SC_PAGESIZE))) {
		TH_LOG("preserved-memory-map 0x%llx is not System RAM", root.map);
	}
	EXPECT_FALSE(in_scratch(root.map, sysconf(_SC_PAGESIZE))) {
		TH_LOG("preserved-memory-map 0x%llx is in scratch", root.map);
	}
}

KHO_TEST(f3, out_map_is_memory)
{
	NEED_OUT_FDT();
	root_rules(_metadata, OUT "/fdt");
}

KHO_TEST(f3, in_map_is_memory)
{
	NEED_HANDOVER();
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
		READ(path, &b);
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
		READ(IN "/fdt", &b);
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

KHO_TEST(d10, in_fdt_is_constant)
{
	struct kho_blob a, b;

	NEED_HANDOVER();
	READ(IN "/fdt", &a);
	READ(IN "/fdt", &b);
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
	EXPECT_NO_PROBLEMS(path);
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
	CHECK_ROOT(IN);
	for (int i = 0; i < root.nr; i++) {
		if (strcmp(root.sub[i].name, "LUO") ||
		    page_flags(root.sub[i].data, &flags))
			continue;
		EXPECT_EQ(0, flags >> KPF_BUDDY & 1) {
			TH_LOG(IN "/sub_fdts/LUO shows the page at 0x%llx, which is free (/proc/kpageflags 0x%llx)",
			       root.sub[i].data, flags);
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
	EXPECT_NO_PROBLEMS(path);
	kho_blob_free(&b);
}

KHO_TEST(k1, out_layout)
{
	struct kho_metadata m;

	metadata(_metadata, OUT "/sub_fdts/kexec-metadata", &m);
}

KHO_TEST(k1, in_layout)
{
	struct kho_metadata m;

	NEED_HANDOVER();
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
	EXPECT_NO_PROBLEMS(path);
	kho_blob_free(&b);
}

KHO_TEST(m3, out_tree)
{
	NEED_RESERVE_MEM();
	reservations(_metadata, OUT "/sub_fdts/memblock");
}

KHO_TEST(m3, in_tree)
{
	NEED_RESERVE_MEM();
	NEED_HANDOVER();
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
		*out[i] = strtoull(p, &p, 0);
		switch (*p) {
		case 'G': *out[i] <<= 10; /* fall through */
		case 'M': *out[i] <<= 10; /* fall through */
		case 'K': *out[i] <<= 10; p++;
		}
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

KHO_TEST(m1, reservations_are_as_asked_for)
{
	u64 size, align;
	char name[64];
	int n;

	NEED_RESERVE_MEM();
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

KHO_TEST(m2, addresses_stay)
{
	struct kho_blob b;
	u64 size, align;
	char name[64];

	NEED_RESERVE_MEM();
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

KHO_TEST(m5, revival_is_logged)
{
	char name[64], want[128];
	u64 size, align;

	NEED_RESERVE_MEM();
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
	u64 size, align, bad, first, last, page = sysconf(_SC_PAGESIZE);
	char name[64];
	int seen = 0;

	NEED_RESERVE_MEM();
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
			TH_LOG("%s: byte %llu of %llu (at 0x%llx) is not what was written in generation 0",
			       name, bad, r->size, r->addr + bad);
		}
		kho_phys_unmap(map, r->addr, r->size);
		/*
		 * A page that the allocator got can still hold the old bytes:
		 * what the kernel takes it for tells before it is too late.
		 */
		if (!page_flags(r->addr, &first) &&
		    !page_flags(r->addr + r->size - 1, &last)) {
			EXPECT_EQ(first, last) {
				TH_LOG("%s: its last page has flags 0x%llx, its first 0x%llx (/proc/kpageflags)",
				       name, last, first);
			}
		}
		seen++;
	}
	if (!seen)
		SKIP(return, "no such reservation on the command line");
}

KHO_TEST(m8, content_of_whole_pages)
{
	content(_metadata, true);
}

KHO_TEST(m8, content_of_partial_page)
{
	content(_metadata, false);
}

TEST_HARNESS_MAIN
