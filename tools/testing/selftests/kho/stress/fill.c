// SPDX-License-Identifier: GPL-2.0-only
/*
 * fill.c - fill the scratch regions, and need them
 *
 * Scratch is CMA: anybody's movable memory may lie in it until a kexec needs
 * it.  One worker per node takes the node's memory until there is no more to be
 * had without an OOM kill, looks at where each page lies, and gives back what
 * is not in scratch, so that the kernel can go on working.  What it keeps it
 * holds until the kernel is gone, and beside it stress-ng moves memory about.
 */
#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <numaif.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

KHO_SCENARIO(numa2) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.numa2",
	.summary = "scratch of two nodes filled, kexec out of stress-ng's storm",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } }, .generations = 2,
	.step_seconds = 120, .flags = KHO_SC_PARALLEL,
	.cmdline = "kho=on kho_scratch=32M,64M,64M",
	.files = { "stress-ng" },
};

KHO_SCENARIO(numa1) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.numa1",
	.summary = "scratch of one node filled, default sizes",
	.memory_mib = 512, .cpus = 1, .generations = 2, .step_seconds = 120,
	.cmdline = "kho=on",
	.files = { "stress-ng" },
};

#define NODES_MAX	64
#define REGIONS_MAX	66
/* what is taken at a time; between two looks at what is left */
#define CHUNK		0x100000UL
/*
 * What a node keeps free at the end beside what its zones keep back themselves.
 * The allocator turns to CMA when more than half of what is free is CMA, so
 * about half of this is scratch not reached.
 */
#define KEEP_KIB	2560
/* percent of what user memory may use of each region, see free_pages() */
#define SHARE_MIN	97

/**
 * struct filled - what the workers found, in memory they share
 * @taken: bytes taken, per node
 * @held: pages held, per node and region
 * @err: what a worker failed with
 */
struct filled {
	u64 taken[NODES_MAX];
	u64 held[NODES_MAX][REGIONS_MAX];
	int err[NODES_MAX];
};

static struct filled *fill;
static int nr_nodes;
static struct kho_region scratch[KHO_REGIONS_MAX];
static int nr_scratch;
static long page;
static long left_free[REGIONS_MAX];

/* free memory of a node in KiB, -1 if it cannot be told */
static long node_free(int nid)
{
	struct kho_blob b;
	char path[64];
	long kib = -1;
	char *p;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", nid);
	if (kho_read_file(path, &b))
		return -1;
	p = strstr(b.data, "MemFree:");
	if (p)
		kib = strtol(p + 8, NULL, 10);
	kho_blob_free(&b);
	return kib;
}

/* what the zones of a node keep back from user memory, in KiB */
static long node_reserve(int nid)
{
	long high = 0, pages = 0;
	char *line, *save, *p;
	struct kho_blob b;
	int node = -1;

	if (kho_read_file("/proc/zoneinfo", &b))
		return 0;
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		long v, max = 0;

		if (sscanf(line, "Node %d, zone", &node) == 1)
			high = 0;
		if (sscanf(line, " high %ld", &v) == 1)
			high = v;
		p = strstr(line, "protection: (");
		if (!p || node != nid)
			continue;
		for (p += strlen("protection: ("); *p && *p != ')'; p++) {
			v = strtol(p, &p, 10);
			max = v > max ? v : max;
			if (!*p || *p == ')')
				break;
		}
		pages += high + max;
	}
	kho_blob_free(&b);
	return pages * (page / 1024);
}

static int region_of(u64 addr)
{
	for (int i = 0; i < nr_scratch && i < REGIONS_MAX; i++)
		if (addr >= scratch[i].addr && addr - scratch[i].addr < scratch[i].size)
			return i;
	return -1;
}

/* where the pages of a chunk lie; what is not in scratch goes back */
static int keep_scratch(int nid, int pagemap, char *chunk)
{
	static u64 entry[CHUNK / 4096];
	size_t n = CHUNK / page, from = 0;

	if (pread(pagemap, entry, n * sizeof(u64),
		  (uintptr_t)chunk / page * sizeof(u64)) != (ssize_t)(n * sizeof(u64)))
		return -EIO;
	for (size_t i = 0; i <= n; i++) {
		u64 pfn = i < n ? entry[i] & ((1ULL << 55) - 1) : 0;
		int r = i < n && entry[i] >> 63 && pfn ? region_of(pfn * page) : -1;

		if (i < n && r < 0)
			continue;
		/* one call for each run of pages that are elsewhere */
		if (i > from)
			madvise(chunk + from * page, (i - from) * page, MADV_DONTNEED);
		from = i + 1;
		if (r >= 0)
			fill->held[nid][r]++;
	}
	return 0;
}

static void __noreturn worker(int nid, int done)
{
	struct bitmask *mask = numa_allocate_nodemask();
	char **chunk = calloc(1 << 16, sizeof(*chunk));
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), fd;
	size_t n = 0;
	long keep;
	FILE *f;

	/* output belongs to the parent, who ends before us */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	/* if it comes to that, nobody else is to suffer */
	f = fopen("/proc/self/oom_score_adj", "we");
	if (f) {
		fputs("1000", f);
		fclose(f);
	}
	numa_bitmask_setbit(mask, nid);
	if (numa_available() >= 0) {
		numa_run_on_node(nid);
		/* page tables come from where they fit, the pages from this node */
		if (set_mempolicy(MPOL_BIND, mask->maskp, mask->size + 1))
			fill->err[nid] = -errno;
	}
	if (pagemap < 0 || !chunk)
		fill->err[nid] = -ENOMEM;
	keep = KEEP_KIB + node_reserve(nid);
	while (!fill->err[nid] && n < 1 << 16 && node_free(nid) > keep) {
		chunk[n] = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (chunk[n] == MAP_FAILED)
			break;
		madvise(chunk[n], CHUNK, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < CHUNK; i += page)
			*(u64 *)(chunk[n] + i) = (uintptr_t)chunk[n] + i;
		n++;
	}
	fill->taken[nid] = n * CHUNK;
	for (size_t i = 0; i < n && !fill->err[nid]; i++)
		fill->err[nid] = keep_scratch(nid, pagemap, chunk[i]);
	if (write(done, "", 1) != 1)
		_exit(1);
	/* hold it for as long as this kernel lives */
	for (;;)
		pause();
}

static void stress_ng(int nid)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (numa_available() >= 0)
		numa_run_on_node(nid);
	if (chdir("/tmp"))
		_exit(1);
	execl("/kho/bin/stress-ng", "stress-ng", "--vm", "1", "--vm-bytes", "16M",
	      "--vm-keep", "--memfd", "1", "--memfd-bytes", "8M", "--mmap", "1",
	      "--mmap-bytes", "8M", "--fork", "1", "--timeout", "0",
	      "--temp-path", "/tmp", "--quiet", NULL);
	_exit(127);
}

/*
 * Pages of a region that are free: nobody's, and not held.  What is neither
 * held nor free is in use: by the files of the initramfs, and after a handover
 * by the kernel that was loaded into scratch and by its early allocations.
 */
static long free_pages(const struct kho_region *r)
{
	return kho_pages_marked(r->addr, r->size, 1ULL << KPF_BUDDY, NULL, NULL);
}

static int storm[NODES_MAX];

/* before any check: the state that all of them look at */
static int set_up(void)
{
	static const struct {
		const char *path, *val;
	} vm[] = {
		/* the less is kept back for emergencies, the more can be reached */
		{ "/proc/sys/vm/min_free_kbytes", "1024" },
		/* or the reserve grows while we count on it */
		{ "/proc/sys/vm/watermark_boost_factor", "0" },
		/* or megabytes of scratch lie free on the lists of the CPUs */
		{ "/proc/sys/vm/percpu_pagelist_high_fraction", "100000" },
	};
	struct kho_region spans[16];
	int fds[2], ready[NODES_MAX], workers = 0;
	FILE *f;

	page = sysconf(_SC_PAGESIZE);
	nr_scratch = kho_scratch_read(KHO_DEBUGFS "/out", scratch, KHO_REGIONS_MAX);
	if (nr_scratch < 0)
		return nr_scratch;
	fill = mmap(NULL, sizeof(*fill), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fill == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++) {
		f = fopen(vm[i].path, "we");
		if (!f)
			return -errno;
		fputs(vm[i].val, f);
		if (fclose(f))
			return -errno;
	}
	for (int nid = 0; nid < NODES_MAX; nid++) {
		if (kho_node_spans(nid, spans, 16) <= 0)
			continue;
		if (pipe2(fds, O_CLOEXEC))
			return -errno;
		if (!fork())
			worker(nid, fds[1]);
		/* now only the worker holds it: if it dies, that is seen */
		close(fds[1]);
		ready[workers++] = fds[0];
	}
	for (int i = 0; i < workers; i++) {
		char c;

		if (read(ready[i], &c, 1) != 1)
			return -ECHILD;
		close(ready[i]);
	}
	for (int i = 0; i < nr_scratch && i < REGIONS_MAX; i++)
		left_free[i] = free_pages(&scratch[i]);
	/*
	 * Only now: what stress-ng lays into scratch would be held by nobody,
	 * and its kernel memory has no room where nodes are filled to the brim.
	 */
	for (int nid = 0; nid < NODES_MAX; nid++) {
		if (kho_node_spans(nid, spans, 16) <= 0)
			continue;
		storm[nr_nodes++] = fork();
		if (!storm[nr_nodes - 1])
			stress_ng(nid);
	}
	return 0;
}

static int set_up_err;

static const char *not_here(void)
{
	return kho_generation() < 0 ?
	       "not in a machine of khotest: this takes all memory" :
	       kho_why_not();
}

KHO_TEST_WHERE(s16, workers_filled_their_nodes, not_here())
{
	ASSERT_EQ(0, set_up_err) {
		TH_LOG("%s", strerror(-set_up_err));
	}
	for (int i = 0; i < NODES_MAX; i++) {
		EXPECT_EQ(0, fill->err[i]) {
			TH_LOG("node %d: %s", i, strerror(-fill->err[i]));
		}
	}
}

KHO_TEST_WHERE(s16, scratch_is_held, not_here())
{
	ASSERT_EQ(0, set_up_err);
	for (int r = 0; r < nr_scratch && r < REGIONS_MAX; r++) {
		u64 held = 0, all = scratch[r].size / page;
		long left = left_free[r];

		for (int i = 0; i < NODES_MAX; i++)
			held += fill->held[i][r];
		if (!all)
			continue;
		ASSERT_LE(0, left) {
			TH_LOG("/proc/kpageflags: %s", strerror(-left));
		}
		printf("# kho: value name=fill.region%d.share unit=percent value=%.2f",
		       r, 100.0 * held / all);
		printf(" held=%llu free=%ld in_use=%llu pages=%llu\n", held, left,
		       all - held - left, all);
		fflush(stdout);
		EXPECT_LT(0, held);
		EXPECT_LE(SHARE_MIN, 100.0 * held / (held + left)) {
			TH_LOG("region %d: %llu pages held, %ld free, of %llu", r, held,
			       left, all);
		}
		/* after a cold boot little but files of the initramfs is in the way */
		EXPECT_TRUE(kho_generation() || 100.0 * held / all >= 80) {
			TH_LOG("region %d: %llu pages held of %llu", r, held, all);
		}
	}
}

KHO_TEST_WHERE(s16, nobody_was_killed, not_here())
{
	struct kho_blob b;
	char *p;

	ASSERT_EQ(0, kho_read_file("/proc/vmstat", &b));
	p = strstr(b.data, "\noom_kill ");
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, strtol(p + 10, NULL, 10));
	kho_blob_free(&b);
}

KHO_TEST_WHERE(s16, stress_ng_is_at_work, not_here())
{
	ASSERT_EQ(0, set_up_err);
	for (int i = 0; i < nr_nodes; i++) {
		char path[64];
		struct kho_blob b;

		snprintf(path, sizeof(path), "/proc/%d/stat", storm[i]);
		ASSERT_EQ(0, kho_read_file(path, &b));
		/* its state stands behind its name: Z is one that has ended */
		EXPECT_EQ(NULL, strstr(b.data, ") Z")) {
			TH_LOG("stress-ng of node %d has ended: %s", i, (char *)b.data);
		}
		kho_blob_free(&b);
	}
}

KHO_TEST_WHERE(s18, regions_are_those_of_the_cold_boot, not_here())
{
	struct kho_blob b;

	ASSERT_LT(0, nr_scratch);
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("scratch", scratch,
					    nr_scratch * sizeof(*scratch)));
		return;
	}
	ASSERT_EQ(0, kho_state_load("scratch", 0, &b));
	EXPECT_EQ(b.len, nr_scratch * sizeof(*scratch));
	EXPECT_EQ(0, memcmp(b.data, scratch, b.len));
	kho_blob_free(&b);
}

KHO_TEST_WHERE(u6, handover_out_of_the_storm, not_here())
{
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	EXPECT_EQ(1, kho_klog_find("(count 1)", NULL, 0));
	EXPECT_EQ(0, access(KHO_DEBUGFS "/in", F_OK));
}

KHO_TEST_WHERE(u12, a_kernel_can_be_loaded_while_full, not_here())
{
	int fd, err;

	ASSERT_EQ(0, set_up_err);
	fd = kho_next_initrd();
	ASSERT_LE(0, fd) {
		TH_LOG("initramfs: %s", strerror(-fd));
	}
	err = kho_kexec_load("/kho/kernel", fd, "console=ttyS0");
	EXPECT_EQ(0, err) {
		TH_LOG("kexec_file_load: %s", strerror(-err));
	}
	close(fd);
	/* init loads again, and goes */
}

int main(int argc, char **argv)
{
	if (!not_here())
		set_up_err = set_up();
	return test_harness_run(argc, argv);
}
