// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs.c - the debugfs interface and the scratch regions
 *
 * The checks know from the command line and the generation what must hold, and
 * not from what they find.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kho_test.h"

#include "asked.h"

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"

/* reserve_mem= with a partial page at the end, too: any size may be asked for */
#define PRODUCERS \
	"liveupdate=on reserve_mem=1M:4K:kho_a reserve_mem=2112K:2M:kho_b reserve_mem=12345:4K:kho_odd"

#define BATTERY	{ "kho_boot", "kho_debugfs", "kho_fdt", "kho_reserve" }

/* each way of saying yes is used in some generation */
#define SPELLINGS .steps = "boot kho=on\nkexec kho=1\nkexec kho=y\n"

KHO_SCENARIO(numa1) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.numa1",
	.flags = KHO_SC_QUICK,
	.summary = "the contract on one node, no producers, default scratch",
	.memory_mib = 512, .cpus = 1, .generations = 3,
	.programs = BATTERY, SPELLINGS,
};

KHO_SCENARIO(numa1_producers) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.numa1_producers",
	.summary = "the contract on one node, reserve_mem and live update",
	.memory_mib = 512, .cpus = 1, .generations = 3,
	.cmdline = PRODUCERS " kho_scratch=8M,64M,32M",
	.programs = BATTERY, SPELLINGS,
};

KHO_SCENARIO(numa2) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.numa2",
	.summary = "the contract on two nodes, no producers, explicit scratch",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } }, .generations = 3,
	.cmdline = "kho_scratch=8M,64M,32M",
	.programs = BATTERY, SPELLINGS,
};

KHO_SCENARIO(numa2_producers) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.numa2_producers",
	.flags = KHO_SC_QUICK,
	.summary = "the contract on two nodes, reserve_mem and live update",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } }, .generations = 3,
	.cmdline = PRODUCERS,
	.programs = BATTERY, SPELLINGS,
};

/* which memory is whose is told by the firmware, and not by a device tree */
KHO_SCENARIO(uefi) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.uefi",
	.flags = KHO_SC_UEFI,
	.summary = "the contract on a machine with UEFI and ACPI: two nodes, reserve_mem",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } }, .generations = 3,
	.step_seconds = 60,
	.cmdline = "kho_scratch=8M,64M,32M reserve_mem=1M:4K:kho_a reserve_mem=2112K:2M:kho_b",
	.programs = { "kho_boot", "kho_debugfs", "kho_fdt", "kho_reserve", "kho_map" },
	SPELLINGS,
};

#define CONTRACT	{ "kho_boot", "kho_debugfs", "kho_fdt" }

/* one cold boot and two handovers */
#define TWICE	"boot kho=on\nkexec kho=on\nkexec kho=on\n"

/* what does not fit there together does so in the next region */
KHO_SCENARIO(split) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.split",
	.summary = "a lowmem region that takes a kernel, and not its initramfs beside it",
	.memory_mib = 512, .cpus = 1, .cmdline = "kho_scratch=16M,64M,32M",
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(here) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.here",
	.summary = "the contract on the machine that khotest runs on (run --here)",
	.flags = KHO_SC_HERE | KHO_SC_ON_DEMAND,
	.memory_mib = 512, .cpus = 1, .generations = 3, .cmdline = "kho=on",
	.programs = { "kho_boot", "kho_debugfs", "kho_fdt", "kho_map" },
};

KHO_SCENARIO(numa4) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.numa4",
	.summary = "four nodes, default scratch",
	.nr_nodes = 4, .node = { { 256, 1 }, { 256, 1 }, { 256, 1 }, { 256, 1 } },
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(numa8) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.numa8",
	.summary = "eight nodes, explicit scratch",
	.nr_nodes = 8, .cmdline = "kho_scratch=8M,64M,8M",
	.node = { { 256, 1 }, { 128, 1 }, { 128, 1 }, { 128, 1 },
		  { 128, 1 }, { 128, 1 }, { 128, 1 }, { 128, 1 } },
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(uneven) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.uneven",
	.summary = "three nodes of very different size",
	.nr_nodes = 3, .node = { { 96, 1 }, { 1024, 1 }, { 192, 1 } },
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(memoryless) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.memoryless",
	.summary = "nodes without memory, the first one among them",
	.nr_nodes = 4, .node = { { 0, 1 }, { 512, 1 }, { 0, 1 }, { 256, 1 } },
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(cpuless) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.cpuless",
	.summary = "nodes without CPUs",
	.nr_nodes = 3, .node = { { 384, 1 }, { 256, 0 }, { 128, 0 } },
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(high) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.high",
	.summary = "memory above and below 4 GiB, one node and default scratch",
	.memory_mib = 1024, .low_mib = 512, .cpus = 1,
	.programs = CONTRACT, .steps = TWICE,
};

KHO_SCENARIO(high_nodes) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.high_nodes",
	.summary = "memory above and below 4 GiB, a node across the gap and one above",
	.nr_nodes = 2, .low_mib = 256, .node = { { 512, 1 }, { 512, 1 } },
	.cmdline = "kho_scratch=8M,64M,32M",
	.programs = CONTRACT, .steps = TWICE,
};

/* the last node has less memory than its scratch region is to have */
KHO_SCENARIO(small_node) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.small_node",
	.summary = "a node smaller than its scratch",
	.nr_nodes = 2, .node = { { 512, 1 }, { 160, 1 } },
	.programs = CONTRACT,
	.steps =
		"boot- kho=on kho_scratch=8M,64M,192M\n"
		"kexec kho=on kho_scratch=8M,64M,32M\n"
		"kexec kho=on\n",
};

/* deferred struct page init, huge pages from before the page allocator */
KHO_SCENARIO(variant) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.variant",
	.summary = "deferred struct page init, huge pages at boot, KHO on by default",
	/* one CPU: see Documentation/known-issues/stopped-cpu-still-runs.rst */
	.nr_nodes = 2, .node = { { 4096, 1 }, { 512, 0 } }, .low_mib = 1024,
	.flags = KHO_SC_OWN_TEST,
	.cmdline = "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=8",
	.programs = CONTRACT,
	.steps =
		"boot@variant\n"
		"kexec@variant\n"
		"kexec@variant\n"
		"kexec kho=on\n"
		"kexec@variant\n",
};

static struct kho_region scratch[KHO_REGIONS_MAX];
static int nr_scratch;
/* the largest block of the page allocator, which all of scratch is made of */
static u64 block;

#define READ_SCRATCH()							\
	do {								\
		nr_scratch = kho_scratch_read(OUT, scratch, KHO_REGIONS_MAX); \
		ASSERT_LT(0, nr_scratch) {				\
			TH_LOG("scratch_phys and scratch_len cannot be read: %s", \
			       strerror(-nr_scratch));			\
		}							\
		block = kho_largest_block();				\
		ASSERT_LT(0, block);					\
	} while (0)

static const char *no_generation(void)
{
	return kho_no_debugfs() ?: kho_handed_over() < 0 ?
	       "not in a machine of khotest: not known how this kernel was booted" : NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* the names in a directory, sorted, each followed by a blank */
static int listing(const char *path, char *buf, size_t size)
{
	char *names[256];
	struct dirent *e;
	size_t len = 0;
	int n = 0;
	DIR *d;

	*buf = '\0';
	d = opendir(path);
	if (!d)
		return -errno;
	while ((e = readdir(d)) && n < 256)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[n++] = strdup(e->d_name);
	closedir(d);
	qsort(names, n, sizeof(*names), by_name);
	for (int i = 0; i < n; i++) {
		if (len < size)
			len += snprintf(buf + len, size - len, "%s ", names[i]);
		free(names[i]);
	}
	return n;
}

static void expect_listing(struct __test_metadata *_metadata, const char *path,
			   const char *want)
{
	char seen[1024];
	int ret = listing(path, seen, sizeof(seen));

	EXPECT_LE(0, ret) {
		TH_LOG("%s: %s", path, strerror(-ret));
	}
	EXPECT_STREQ(want, seen) {
		TH_LOG("%s holds: %s; must hold: %s", path, seen, want);
	}
}

/*
 * Which subtrees this generation must hand over.  The kernel's own test, where it is
 * built in, saves something in each boot that was not left anything to restore.
 */
static const char *producers(void)
{
	struct kho_asked asked[KHO_ASKED_MAX];
	static char want[128];

	snprintf(want, sizeof(want), "%skexec-metadata %s%s",
		 kho_cmdline_bool(NULL, "liveupdate") == 1 ? "LUO " : "",
		 kho_own_test() && !(kho_boot_of(kho_generation())->count & 1) ? "kho_test " : "",
		 kho_reserve_asked(NULL, asked, NULL) ? "memblock " : "");
	return want;
}

KHO_CHECKS(u1, switched_on);
KHO_TEST(en1, switched_on)
{
	/* kho_why_not() saw no other reason: kho= says on, so it must be on */
	EXPECT_EQ(0, access(OUT, F_OK)) {
		TH_LOG(OUT ": %s", strerror(errno));
	}
}

KHO_TEST(u3, scratch_is_reserved)
{
	u64 sum = 0;

	READ_SCRATCH();
	/* any one of them may be asked to be nothing */
	for (int i = 0; i < nr_scratch; i++)
		sum += scratch[i].size;
	EXPECT_LT(0, sum);
}

KHO_TEST_WHERE(u8, interface_is_there, no_generation())
{
	char seen[256];

	listing(KHO_DEBUGFS, seen, sizeof(seen));
	EXPECT_STREQ(kho_handed_over() ? "in out " : "out ", seen) {
		TH_LOG(KHO_DEBUGFS " holds: %s", seen);
	}
}

KHO_TEST(d1, out_files)
{
	expect_listing(_metadata, OUT, "fdt scratch_len scratch_phys sub_fdts ");
}

KHO_TEST(d1, in_files)
{
	if (access(IN, F_OK))
		SKIP(return, "no in/: this kernel was not handed over to");
	expect_listing(_metadata, IN, "fdt sub_fdts ");
}

KHO_TEST_WHERE(d2, in_iff_handed_over, no_generation())
{
	EXPECT_EQ(kho_handed_over(), !access(IN, F_OK)) {
		TH_LOG("generation %d, in/ %s", kho_generation(),
		       access(IN, F_OK) ? "is not there" : "is there");
	}
}

static const char * const files[] = {
	OUT "/fdt", OUT "/scratch_len", OUT "/scratch_phys", IN "/fdt",
};

static const char * const dirs[] = {
	KHO_DEBUGFS, OUT, OUT "/sub_fdts", IN, IN "/sub_fdts",
};

KHO_TEST(d3, modes_and_owners)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		/* what must be there is another check's matter */
		if (stat(files[i], &st))
			continue;
		EXPECT_EQ(0100400, st.st_mode) {
			TH_LOG("%s: mode %o", files[i], st.st_mode);
		}
		EXPECT_EQ(0, st.st_uid | st.st_gid);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (stat(dirs[i], &st))
			continue;
		EXPECT_EQ(0040755, st.st_mode) {
			TH_LOG("%s: mode %o", dirs[i], st.st_mode);
		}
		EXPECT_EQ(0, st.st_uid | st.st_gid);
	}
}

/* each subtree file of a directory */
static int for_subtrees(const char *dir, int (*fn)(const char *path, void *arg),
			void *arg)
{
	struct dirent *e;
	char path[512];
	int bad = 0;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		bad += fn(path, arg);
	}
	closedir(d);
	return bad;
}

static int mode_is_not_0400(const char *path, void *arg __maybe_unused)
{
	struct stat st;

	return stat(path, &st) || st.st_mode != 0100400;
}

KHO_TEST(d8, subtree_modes)
{
	EXPECT_EQ(0, for_subtrees(OUT "/sub_fdts", mode_is_not_0400, NULL));
	EXPECT_EQ(0, for_subtrees(IN "/sub_fdts", mode_is_not_0400, NULL));
}

/* the file as it reads with chunks of each size, from each offset */
static int reads_otherwise(const char *path, void *arg __maybe_unused)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	const size_t chunks[] = { 1, 3, 7, 64, page - 1, page, page + 1 };
	struct kho_blob all, part;
	char buf[4096];
	int bad = 0, fd;

	if (kho_read_file(path, &all))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		if (kho_read_file_at(AT_FDCWD, path, chunks[i], &part)) {
			bad++;
			continue;
		}
		bad += part.len != all.len || memcmp(part.data, all.data, all.len);
		kho_blob_free(&part);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (size_t off = 0; fd >= 0 && off < all.len; off += off < 80 ? 1 : 61) {
		ssize_t n = pread(fd, buf, sizeof(buf), off);
		size_t want = all.len - off < sizeof(buf) ? all.len - off :
			      sizeof(buf);

		/* a short read is no error, another byte is */
		bad += n <= 0 || (size_t)n > want ||
		       memcmp(buf, (char *)all.data + off, n);
	}
	bad += fd < 0 || pread(fd, buf, sizeof(buf), all.len) ||
	       pread(fd, buf, sizeof(buf), all.len + 100000);
	close(fd);
	kho_blob_free(&all);
	return bad;
}

KHO_TEST(d6, scratch_files_read_at_any_size)
{
	EXPECT_EQ(0, reads_otherwise(OUT "/scratch_phys", NULL));
	EXPECT_EQ(0, reads_otherwise(OUT "/scratch_len", NULL));
}

KHO_TEST(d6, scratch_files_take_no_write)
{
	static const char * const rw[] = { OUT "/scratch_phys", OUT "/scratch_len" };

	for (size_t i = 0; i < ARRAY_SIZE(rw); i++) {
		int fd = open(rw[i], O_WRONLY | O_CLOEXEC);

		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, write(fd, "0x0\n", 4));
		EXPECT_EQ(EINVAL, errno);
		close(fd);
	}
}

KHO_TEST(d7, blobs_read_at_any_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (access(files[i], F_OK))
			continue;
		EXPECT_EQ(0, reads_otherwise(files[i], NULL)) {
			TH_LOG("%s", files[i]);
		}
	}
	EXPECT_EQ(0, for_subtrees(OUT "/sub_fdts", reads_otherwise, NULL));
	EXPECT_EQ(0, for_subtrees(IN "/sub_fdts", reads_otherwise, NULL));
}

KHO_CHECKS(u2, out_subtrees);
KHO_TEST(d13, out_subtrees)
{
	char seen[1024];

	if (kho_generation() < 0)
		SKIP(return, "not in a machine of khotest: producers are not known");
	if (kho_own_machine())
		expect_listing(_metadata, OUT "/sub_fdts", producers());
	listing(OUT "/sub_fdts", seen, sizeof(seen));
	ASSERT_EQ(0, kho_state_save("subtrees", seen, strlen(seen)));
}

KHO_TEST_WHERE(u18, in_subtrees, no_generation())
{
	struct kho_blob b;

	if (!kho_handed_over())
		SKIP(return, "cold boot: nothing was handed over");
	if (kho_state_load("subtrees", kho_generation() - 1, &b))
		SKIP(return, "nobody looked at what the kernel before had");
	expect_listing(_metadata, IN "/sub_fdts", b.data);
	kho_blob_free(&b);
}

KHO_TEST(d14, blob_sizes)
{
	static const struct {
		const char *path;
		size_t size;
	} known[] = {
		{ OUT "/sub_fdts/kexec-metadata", 73 },
		{ IN "/sub_fdts/kexec-metadata", 73 },
		{ OUT "/sub_fdts/LUO", 32 },
		{ IN "/sub_fdts/LUO", 32 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct kho_blob b;

		if (kho_read_file(known[i].path, &b))
			continue;
		EXPECT_EQ(known[i].size, b.len) {
			TH_LOG("%s: %zu bytes", known[i].path, b.len);
		}
		kho_blob_free(&b);
	}
}

KHO_TEST(d16, reserve_mem_param)
{
	struct kho_asked asked[KHO_ASKED_MAX];
	int n = kho_reserve_asked(NULL, asked, NULL);
	struct kho_blob b;
	char want[128];

	if (!n)
		SKIP(return, "no reserve_mem= on the command line");
	ASSERT_EQ(0, kho_read_file("/sys/kernel/debug/memblock/reserve_mem_param", &b));
	for (int i = 0; i < n; i++) {
		snprintf(want, sizeof(want), "%s\t\t(", asked[i].name);
		EXPECT_NE(NULL, strstr(b.data, want)) {
			TH_LOG("%s is not listed: %s", asked[i].name, (char *)b.data);
		}
	}
	kho_blob_free(&b);
}

KHO_CHECKS(u13, scratch_phys_format);
KHO_TEST(d4, scratch_phys_format)
{
	READ_SCRATCH();
}

KHO_CHECKS(u11, scratch_len_format);
KHO_TEST(d5, scratch_len_format)
{
	struct kho_blob b;
	int lines = 0;

	READ_SCRATCH();
	ASSERT_EQ(0, kho_read_file(OUT "/scratch_len", &b));
	for (size_t i = 0; i < b.len; i++)
		lines += ((char *)b.data)[i] == '\n';
	EXPECT_EQ(nr_scratch, lines);
	kho_blob_free(&b);
}

KHO_TEST(u14, phys_and_len_belong_together)
{
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++) {
		EXPECT_TRUE(!scratch[i].size || scratch[i].addr) {
			TH_LOG("region %d: 0x%llx bytes at 0x%llx", i,
			       scratch[i].size, scratch[i].addr);
		}
	}
}

/* nodes that have memory, in ascending order */
static int memory_nodes(int *nodes, int max)
{
	struct kho_region r[16];
	int n = 0;

	for (int nid = 0; nid < 1024 && n < max; nid++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", nid);
		if (nid && access(path, F_OK))
			continue;
		if (kho_node_spans(nid, r, 16) > 0)
			nodes[n++] = nid;
	}
	return n;
}

KHO_TEST(s11, a_region_for_each_node)
{
	int nodes[64];

	READ_SCRATCH();
	EXPECT_EQ(memory_nodes(nodes, 64) + 2, nr_scratch);
}

KHO_TEST(s9, sizes_are_whole_blocks)
{
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++) {
		EXPECT_EQ(0, scratch[i].size % block) {
			TH_LOG("region %d: size 0x%llx", i, scratch[i].size);
		}
	}
}

KHO_TEST(s10, addresses_are_aligned)
{
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++) {
		EXPECT_EQ(0, scratch[i].addr % block) {
			TH_LOG("region %d: address 0x%llx", i, scratch[i].addr);
		}
	}
}

KHO_TEST(s13, lowmem_region_is_low)
{
	/* elsewhere low is what these zones have */
	if (access("/sys/kernel/boot_params", F_OK) && !kho_config("CONFIG_ZONE_DMA") &&
	    !kho_config("CONFIG_ZONE_DMA32"))
		SKIP(return, "no zone DMA or DMA32: this kernel has no low memory");
	READ_SCRATCH();
	EXPECT_GE(1ULL << 32, scratch[0].addr + scratch[0].size);
}

KHO_CHECKS(s12, node_regions_are_on_their_nodes);
KHO_TEST(s14, node_regions_are_on_their_nodes)
{
	int nodes[64], n = memory_nodes(nodes, 64);

	READ_SCRATCH();
	ASSERT_EQ(n + 2, nr_scratch);
	for (int i = 0; i < n; i++) {
		const struct kho_region *s = &scratch[2 + i];
		struct kho_region r[16];
		int m = kho_node_spans(nodes[i], r, 16);
		u64 covered = 0;

		for (int j = 0; j < m; j++) {
			u64 from = s->addr > r[j].addr ? s->addr : r[j].addr;
			u64 to = s->addr + s->size < r[j].addr + r[j].size ?
				 s->addr + s->size : r[j].addr + r[j].size;

			covered += to > from ? to - from : 0;
		}
		EXPECT_EQ(s->size, covered) {
			TH_LOG("region %d: 0x%llx bytes at 0x%llx, 0x%llx of them on node %d",
			       2 + i, s->size, s->addr, covered, nodes[i]);
		}
	}
}

KHO_TEST(s15, regions_are_disjoint)
{
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++)
		for (int j = 0; j < i; j++) {
			EXPECT_TRUE(!scratch[i].size || !scratch[j].size ||
				    scratch[i].addr >= scratch[j].addr + scratch[j].size ||
				    scratch[j].addr >= scratch[i].addr + scratch[i].size) {
				TH_LOG("regions %d and %d overlap", j, i);
			}
		}
}

KHO_TEST(s15, regions_are_ram)
{
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++) {
		EXPECT_TRUE(!scratch[i].size ||
			    kho_in_ram(scratch[i].addr, scratch[i].size)) {
			TH_LOG("region %d: 0x%llx bytes at 0x%llx are not System RAM",
			       i, scratch[i].size, scratch[i].addr);
		}
	}
}

/* pageblocks of a migrate type, in all zones; -1 if it cannot be told */
static long pageblocks(const char *type)
{
	int col = -1, want = -1;
	char *line, *save;
	struct kho_blob b;
	long sum = -1;

	if (kho_read_file("/proc/pagetypeinfo", &b))
		return -1;
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *word, *in;

		if (!strncmp(line, "Number of blocks type", 21)) {
			col = 0;
			for (word = strtok_r(line + 21, " ", &in); word;
			     word = strtok_r(NULL, " ", &in), col++)
				if (!strcmp(word, type))
					want = col;
			/* there is such a header for each node */
			if (want >= 0 && sum < 0)
				sum = 0;
			continue;
		}
		if (sum < 0 || strncmp(line, "Node", 4) || !strstr(line, "zone"))
			continue;
		word = strtok_r(strstr(line, "zone") + 4, " ", &in);
		for (int i = 0; word && i <= want; i++)
			word = strtok_r(NULL, " ", &in);
		sum += word ? strtol(word, NULL, 10) : 0;
	}
	kho_blob_free(&b);
	return sum;
}

KHO_TEST(s16, regions_are_cma)
{
	u64 block = sysconf(_SC_PAGESIZE) << 9, total = 0, kib = 0;
	long blocks = pageblocks("CMA");

	READ_SCRATCH();
	if (blocks < 0)
		SKIP(return, "/proc/pagetypeinfo tells of no CMA blocks");
	for (int i = 0; i < nr_scratch; i++)
		total += scratch[i].size;
	EXPECT_LE(total / block, (u64)blocks) {
		TH_LOG("%llu pageblocks of scratch, %ld of CMA", total / block, blocks);
	}
	EXPECT_EQ(0, kho_meminfo("CmaFree", &kib));
	EXPECT_LT(0, kib);
}

KHO_TEST_WHERE(s17, scratch_is_not_in_cma_total, no_generation())
{
	u64 total = 0, free = 0, sum = 0;

	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++)
		sum += scratch[i].size >> 10;
	/* nothing else makes CMA in these machines */
	EXPECT_EQ(0, kho_meminfo("CmaTotal", &total));
	EXPECT_EQ(0, total);
	EXPECT_EQ(0, kho_meminfo("CmaFree", &free));
	EXPECT_TRUE(free && free <= sum) {
		TH_LOG("CmaFree %llu KiB, scratch %llu KiB", free, sum);
	}
}

/*
 * The command line that the regions come from: after a handover kho_scratch= is
 * that of the kernel that reserved them.  NULL for that of this kernel.
 */
static const char *scratch_cmdline(void)
{
	const struct kho_boot *b = kho_boot_of(kho_generation());

	return b ? kho_boot_of(b->first)->step.cmdline : NULL;
}

KHO_CHECKS(s1, scratch_has_the_sizes_asked_for);
KHO_CHECKS(s3, scratch_has_the_sizes_asked_for);
KHO_CHECKS(s6, scratch_has_the_sizes_asked_for);
KHO_CHECKS(s19, scratch_has_the_sizes_asked_for);
KHO_TEST(u4, scratch_has_the_sizes_asked_for)
{
	struct kho_sizes s;

	if (!kho_scratch_asked(scratch_cmdline(), &s) || s.scaled)
		SKIP(return, "no kho_scratch=l,m,n decides on the command line");
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++) {
		u64 size = s.size[i < 2 ? i : 2];

		size = (size + block - 1) / block * block;
		EXPECT_EQ(size, scratch[i].size) {
			TH_LOG("region %d: 0x%llx bytes, asked for 0x%llx", i,
			       scratch[i].size, s.size[i < 2 ? i : 2]);
		}
	}
}

KHO_TEST(s7, default_sizes_follow_boot_allocations)
{
	struct kho_sizes s;
	u64 sum = 0;

	if (kho_scratch_asked(scratch_cmdline(), &s))
		SKIP(return, "kho_scratch= decides on the command line");
	READ_SCRATCH();
	for (int i = 2; i < nr_scratch; i++) {
		EXPECT_LT(0, scratch[i].size);
		sum += scratch[i].size;
	}
	/* the kernel's own text alone is more than a block, and goes into both */
	EXPECT_LE(block, scratch[0].size + scratch[1].size);
	EXPECT_LE(block, sum);
}

/* the global region is for what the lowmem region does not cover */
KHO_TEST(s8, nothing_is_counted_twice)
{
	static struct kho_region ram[256];
	int n = kho_iomem_ram(ram, ARRAY_SIZE(ram));
	struct kho_sizes s;

	if (kho_scratch_asked(scratch_cmdline(), &s) && !s.scaled)
		SKIP(return, "kho_scratch= gives the sizes");
	ASSERT_LT(0, n);
	for (int i = 0; i < n; i++)
		if (ram[i].addr + ram[i].size > 1ULL << 32)
			SKIP(return, "memory beyond what the lowmem region is for");
	READ_SCRATCH();
	ASSERT_LT(1, nr_scratch);
	EXPECT_EQ(0, scratch[1].size);
}

/*
 * What is allocated on a node is allocated, too: scale times all of it is what the
 * first two regions have together, and the nodes' regions are no more but for each
 * being rounded up to a whole block.
 */
KHO_TEST(s8, nodes_count_what_is_theirs)
{
	u64 all, nodes = 0;
	struct kho_sizes s;

	if (kho_scratch_asked(scratch_cmdline(), &s) && !s.scaled)
		SKIP(return, "kho_scratch= gives the sizes");
	READ_SCRATCH();
	ASSERT_LT(2, nr_scratch);
	all = scratch[0].size + scratch[1].size;
	for (int i = 2; i < nr_scratch; i++)
		nodes += scratch[i].size;
	EXPECT_LT(nodes, all + (nr_scratch - 2) * block) {
		TH_LOG("%llu MiB for all, %llu MiB for %d nodes", all >> 20, nodes >> 20,
		       nr_scratch - 2);
	}
}

KHO_TEST(s8, huge_pages_of_the_boot_are_not_counted)
{
	const u64 gib = 1ULL << 30;
	struct kho_sizes s;
	struct kho_blob b;
	long nr;

	if (kho_read_file("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", &b))
		SKIP(return, "no huge pages of 1 GiB in this kernel");
	nr = atol(b.data);
	kho_blob_free(&b);
	if (!nr || kho_scratch_asked(scratch_cmdline(), &s))
		SKIP(return, "no huge pages of 1 GiB, or not the default scratch");
	READ_SCRATCH();
	for (int i = 0; i < nr_scratch; i++) {
		EXPECT_GT(gib, scratch[i].size) {
			TH_LOG("region %d: 0x%llx bytes", i, scratch[i].size);
		}
	}
}

KHO_TEST_WHERE(s18, regions_are_those_of_the_cold_boot, no_generation())
{
	struct kho_blob b;

	READ_SCRATCH();
	if (!kho_handed_over()) {
		ASSERT_EQ(0, kho_state_save("scratch", scratch,
					    nr_scratch * sizeof(*scratch)));
		return;
	}
	ASSERT_EQ(0, kho_state_load("scratch", kho_boot_of(kho_generation())->first, &b));
	EXPECT_EQ(b.len, nr_scratch * sizeof(*scratch));
	for (size_t i = 0; i < b.len / sizeof(*scratch) && (int)i < nr_scratch; i++) {
		const struct kho_region *old = (struct kho_region *)b.data + i;

		EXPECT_EQ(0, memcmp(old, &scratch[i], sizeof(*old))) {
			TH_LOG("region %zu: 0x%llx bytes at 0x%llx", i,
			       scratch[i].size, scratch[i].addr);
			TH_LOG("after the cold boot: 0x%llx at 0x%llx", old->size,
			       old->addr);
		}
	}
	kho_blob_free(&b);
}

/* room for a kernel is room in scratch: the load itself is the proof */
KHO_TEST_WHERE(u12, a_kernel_can_be_loaded, no_generation())
{
	char before[1024], after[1024], kernel[4096];
	static struct kho_region again[KHO_REGIONS_MAX];
	int err;

	READ_SCRATCH();
	listing(OUT "/sub_fdts", before, sizeof(before));
	/* the one with an initramfs is the handover itself */
	snprintf(kernel, sizeof(kernel), "%s/kernel", kho_dir());
	err = kho_kexec_load(kernel, -1, "console=ttyS0");
	EXPECT_EQ(0, err) {
		TH_LOG("kexec_file_load: %s", strerror(-err));
	}
	EXPECT_EQ(0, kho_kexec_unload());
	/* and leaves no trace in the state */
	listing(OUT "/sub_fdts", after, sizeof(after));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(nr_scratch, kho_scratch_read(OUT, again, KHO_REGIONS_MAX));
	EXPECT_EQ(0, memcmp(again, scratch, nr_scratch * sizeof(*scratch)));
}

TEST_HARNESS_MAIN
