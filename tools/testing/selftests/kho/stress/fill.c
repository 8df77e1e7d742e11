// SPDX-License-Identifier: GPL-2.0-only
/*
 * fill.c - fill the scratch regions, and need them
 *
 * Scratch is CMA: anybody's movable memory may lie in it until a kexec needs
 * it.  One worker per node takes the node's memory until scratch is full, looks
 * at where each page lies and of what kind it is, and gives back what is not in
 * scratch, so that the kernel can go on working.  What it keeps it holds until
 * the kernel is gone, and beside it stress-ng moves memory about.
 *
 *	kho_fill=A,B	on the kernel command line: the kinds to fill with, see kinds[]
 *	kho_storm=A,B	what stress-ng does meanwhile, see storms[]
 *	kho_bench=1	measure what it costs to fill, over a plain memset()
 */
#include "kho_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

KHO_SCENARIO(numa1) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.numa1",
	.summary = "scratch of one node filled, default sizes",
	/* what is not scratch has to do for stress-ng, and for the next initramfs twice over */
	.memory_mib = 640, .cpus = 1, .generations = 2, .step_seconds = 120,
	.cmdline = "kho=on kho_fill=anon,shmem kho_storm=vm,mmap,fork,memfd",
	.files = { "stress-ng" },
};

KHO_SCENARIO(numa2) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.numa2",
	.summary = "scratch of two nodes filled, kexec out of stress-ng's storm",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } }, .generations = 2,
	.step_seconds = 120, .flags = KHO_SC_PARALLEL,
	.cmdline = "kho=on kho_scratch=96M,64M,64M kho_fill=thp,memfd\n"
		   "kho_storm=vm,migrate,memfd,fork",
	.files = { "stress-ng" },
};

KHO_SCENARIO(numa4) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.numa4",
	.summary = "scratch of four nodes filled, huge pages too; a node without memory",
	.nr_nodes = 5, .node = { { 448, 1 }, { 320, 1 }, { 320, 0 }, { 320, 0 }, { 0, 1 } },
	.generations = 2, .step_seconds = 180, .flags = KHO_SC_PARALLEL,
	.cmdline = "kho=on kho_scratch=96M,64M,64M kho_fill=hugetlb,anon,thp,shmem\n"
		   "kho_storm=madvise,mmap,migrate,files",
	.files = { "stress-ng" },
};

/* what the page cache has of a block device can be in scratch, too */
KHO_SCENARIO(cache) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.cache",
	.summary = "scratch filled with what files of a block device have cached",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 0 } }, .step_seconds = 120,
	.cmdline = "kho=on kho_scratch=96M,64M,64M brd.rd_size=4194304\n"
		   "kho_fill=cache kho_storm=numa,files",
	.steps = "boot@variant\nkexec@variant\n",
	.files = { "stress-ng" },
};

KHO_SCENARIO(chain) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.storm",
	.summary = "a chain whose kernels go in the midst of what stress-ng does",
	.nr_nodes = 2, .node = { { 512, 1 }, { 384, 1 } }, .generations = 5,
	.flags = KHO_SC_CHAIN | KHO_SC_PARALLEL, .step_seconds = 120,
	.cmdline = "kho=on kho_scratch=64M,64M,32M\n"
		   "kho_storm=vm,mmap,memfd,fork,migrate,madvise,files\n"
		   "reserve_mem=4M:4K:once reserve_mem=1028K:4K:anew",
	.programs = { "kho_chain", "kho_fill" },
	.files = { "stress-ng" },
};

#define NODES_MAX	64
#define REGIONS_MAX	66
/* what is taken at a time, between two looks at what is left: a huge page */
#define CHUNK		0x200000UL
#define CHUNKS_MAX	32768
/* the last pages are taken so many at a time */
#define FEW		16
/* and so many from each CPU's list, see percpu_pagelist_high_fraction */
#define SWEEP		256
/* what a node keeps free in any case, in KiB, beside the marks of its zones */
#define KEEP_KIB	640
/* percent of what user memory may use of each region, see look_at_regions() */
#define SHARE_MIN	99
/* a node's worker has had enough when less than so many in 1000 pages are free */
#define ENOUGH		1
/*
 * A disk of zeroes with one long file, of which each node's worker has a share in the
 * page cache: not of the disk itself, which the kernel keeps out of movable memory.
 */
#define DISK		"/dev/ram0"
#define DISK_DIR	"/tmp/disk"
#define DISK_FILE	DISK_DIR "/a"
#define DISK_SECTOR	2048
#define DISK_SIZE	0xc0000000U
#define THP_DIR		"/sys/kernel/mm/transparent_hugepage/"
#define DISK_SHARE	0x40000000ULL

enum kind { ANON, THP, SHMEM, MEMFD, HUGETLB, CACHE, KINDS };

static const char * const kinds[KINDS] = {
	"anon", "thp", "shmem", "memfd", "hugetlb", "cache",
};

/**
 * struct filled - what the workers found, in memory they share
 * @held: pages held, per node, kind and region
 * @pinned: pages that lay in scratch when they were to be pinned, per kind
 * @stayed: of these, how many lie there still
 * @pin_err: what pinning failed with
 * @cost: of a page that was taken, over one that was only set, times 1000
 * @err: what a worker failed with
 */
struct filled {
	u64 held[NODES_MAX][KINDS][REGIONS_MAX];
	u64 pinned[KINDS];
	u64 stayed[KINDS];
	int pin_err[KINDS];
	u64 cost[NODES_MAX];
	int err[NODES_MAX];
};

/**
 * struct chunk - memory that a worker has
 * @at: where; CHUNK bytes
 * @kind: of what kind
 * @kept: it stays whole, wherever it lies
 */
struct chunk {
	char *at;
	enum kind kind;
	bool kept;
};

static struct filled *fill;
static bool wanted[KINDS], timed;
static struct kho_region scratch[KHO_REGIONS_MAX];
static int nr_scratch;
static long page;
static long left_free[REGIONS_MAX], left_user[REGIONS_MAX];

/* pages that the zones of a node keep back, below which memory is looked for */
static long node_marks(int nid)
{
	char *line, *save;
	struct kho_blob b;
	int node = -1;
	long v, sum = 0;

	if (kho_read_file("/proc/zoneinfo", &b))
		return 0;
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "Node %d, zone", &node) != 1 && node == nid &&
		    sscanf(line, " high %ld", &v) == 1)
			sum += v;
	}
	kho_blob_free(&b);
	return sum;
}

/* pages of all scratch that lies on a node */
static long node_scratch(int nid)
{
	struct kho_region spans[16];
	int nr = kho_node_spans(nid, spans, ARRAY_SIZE(spans));
	long sum = 0;

	for (int i = 0; i < nr_scratch; i++)
		if (nr > 0 && kho_regions_overlap(spans, nr, scratch[i].addr, scratch[i].size))
			sum += scratch[i].size / page;
	return sum;
}

static int region_of(u64 addr)
{
	for (int i = 0; i < nr_scratch && i < REGIONS_MAX; i++)
		if (addr >= scratch[i].addr && addr - scratch[i].addr < scratch[i].size)
			return i;
	return -1;
}

static int pagemap = -1, kpageflags = -1, disk = -1;

/* the frames that a chunk lies in, 0 where there is none */
static int frames_of(const struct chunk *c, u64 *pfn)
{
	size_t n = CHUNK / page;

	if (pread(pagemap, pfn, n * sizeof(u64), (uintptr_t)c->at / page * sizeof(u64)) !=
	    (ssize_t)(n * sizeof(u64)))
		return -EIO;
	for (size_t i = 0; i < n; i++)
		pfn[i] = pfn[i] >> 63 ? pfn[i] & ((1ULL << 55) - 1) : 0;
	return 0;
}

/* the kernel's own word for what a page is; -1 if it is not what was asked for */
static int kind_of(enum kind asked, u64 flags)
{
	bool anon = flags >> KPF_ANON & 1, huge = flags >> KPF_HUGE & 1;

	switch (asked) {
	case ANON:
	case THP:
		return huge || !anon ? -1 : flags >> KPF_THP & 1 ? THP : ANON;
	case SHMEM:
	case MEMFD:
		return anon || !(flags >> KPF_SWAPBACKED & 1) ? -1 : (int)asked;
	case HUGETLB:
		return huge ? HUGETLB : -1;
	case CACHE:
		return anon || huge || flags >> KPF_SWAPBACKED & 1 ? -1 : CACHE;
	default:
		return -1;
	}
}

static void give_back(const struct chunk *c, size_t from, size_t to)
{
	char *at = c->at + from * page;
	size_t len = (to - from) * page;

	munlock(at, len);
	switch (c->kind) {
	case SHMEM:
	case MEMFD:
		madvise(at, len, MADV_REMOVE);
		break;
	case HUGETLB:
		/* a whole page or nothing */
		if (len == CHUNK)
			munmap(at, len);
		break;
	default:
		madvise(at, len, MADV_DONTNEED);
	}
}

/* where the pages of a chunk lie, and what they are; what is not in scratch goes back */
static int keep_scratch(int nid, struct chunk *c)
{
	static u64 pfn[CHUNK / 4096], flags[CHUNK / 4096];
	size_t n = CHUNK / page, from = 0;
	int err = frames_of(c, pfn);

	if (err)
		return err;
	for (size_t i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && pfn[j] == pfn[i] + j - i; j++)
			;
		if (pfn[i] && pread(kpageflags, flags + i, (j - i) * sizeof(u64),
				    pfn[i] * sizeof(u64)) != (ssize_t)((j - i) * sizeof(u64)))
			return -EIO;
	}
	for (size_t i = 0; i <= n; i++) {
		int r = i < n && pfn[i] ? region_of(pfn[i] * page) : -1;
		int kind = r < 0 ? -1 : kind_of(c->kind, flags[i]);

		if (i < n && r < 0)
			continue;
		/* one call for each run of pages that are elsewhere */
		if (i > from)
			give_back(c, from, i);
		from = i + 1;
		if (kind >= 0)
			fill->held[nid][kind][r]++;
	}
	return 0;
}

static size_t in_scratch(const struct chunk *c)
{
	static u64 pfn[CHUNK / 4096];
	size_t in = 0;

	if (frames_of(c, pfn))
		return 0;
	for (size_t i = 0; i < CHUNK / page; i++)
		in += pfn[i] && region_of(pfn[i] * page) >= 0;
	return in;
}

/* have the kernel pin a chunk for long, as buffers are that devices write to */
static int pin(const struct chunk *c)
{
	struct io_uring_params p = { };
	struct iovec iov = { c->at, CHUNK };
	int ring = syscall(SYS_io_uring_setup, 1, &p);

	/* the ring stays open, and what is pinned with it */
	return ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iov, 1) ?
	       -errno : 0;
}

/* have a page there */
static void touch(void *at, bool write)
{
	u64 *word = at;

	if (write)
		__atomic_store_n(word, (uintptr_t)at, __ATOMIC_RELAXED);
	else
		__atomic_load_n(word, __ATOMIC_RELAXED);
}

/* memory of a kind, every page of it; false when there is no more of it */
static bool take(int nid, struct chunk *c, size_t nth)
{
	int prot = PROT_READ | PROT_WRITE, fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	off_t at = 0;
	char *p;

	switch (c->kind) {
	case SHMEM:
		flags = MAP_SHARED | MAP_ANONYMOUS;
		break;
	case MEMFD:
		fd = memfd_create("fill", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, CHUNK))
			return false;
		flags = MAP_SHARED;
		break;
	case HUGETLB:
		flags |= MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
		break;
	case CACHE:
		fd = disk;
		at = nid * DISK_SHARE + nth * CHUNK;
		flags = MAP_SHARED;
		prot = PROT_READ;
		break;
	default:
		break;
	}
	if (c->kind == ANON || c->kind == THP) {
		/* aligned: a huge page or none */
		p = mmap(NULL, 2 * CHUNK, prot, flags | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return false;
		c->at = (char *)(((uintptr_t)p + CHUNK - 1) & ~(CHUNK - 1));
		if (c->at > p)
			munmap(p, c->at - p);
		munmap(c->at + CHUNK, p + CHUNK - c->at);
		madvise(c->at, CHUNK, c->kind == THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	} else {
		c->at = mmap(NULL, CHUNK, prot, flags, fd, at);
	}
	if (c->kind == MEMFD)
		close(fd);
	if (c->at == MAP_FAILED)
		return false;
	for (size_t i = 0; i < CHUNK; i += page)
		touch(c->at + i, prot & PROT_WRITE);
	return true;
}

/* scratch is full, or the node is as good as empty */
static bool enough(int nid, long scratch_pages, long keep, long *room)
{
	for (int look = 0; look < 2; look++) {
		long all = 0, cma = 0;
		int err = kho_node_free(nid, &all, &cma);

		fill->err[nid] = err;
		*room = all - keep;
		if (!err && cma * 1000 >= scratch_pages * ENOUGH && all > keep)
			return false;
		/* a huge page that lies on the list of a CPU is neither taken nor free */
		kho_write("/proc/sys/vm/stat_refresh", "1");
	}
	return true;
}

/*
 * The last pages one by one, on page tables that are there; with @sweep as many as the
 * list of a CPU may have, for these count as taken.
 */
static void take_few(int nid, long scratch_pages, long keep, bool sweep, struct chunk *c)
{
	size_t most = sweep ? SWEEP : CHUNK / page;
	long room = 0;

	c->kind = ANON;
	c->at = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->at == MAP_FAILED) {
		fill->err[nid] = -ENOMEM;
		return;
	}
	madvise(c->at, CHUNK, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < CHUNK; i += page)
		touch(c->at + i, false);
	for (size_t i = 0; i < most; i++) {
		if (i % FEW == 0 && enough(nid, scratch_pages, keep, &room) &&
		    (!sweep || room <= FEW))
			break;
		touch(c->at + i * page, true);
	}
}

/* what lies on the list of each CPU */
static size_t sweep(int nid, long scratch_pages, long keep, struct chunk *c)
{
	cpu_set_t was, on;
	size_t n = 0;

	if (sched_getaffinity(0, sizeof(was), &was))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&on);
		CPU_SET(cpu, &on);
		/* there are no more of them */
		if (sched_setaffinity(0, sizeof(on), &on))
			break;
		take_few(nid, scratch_pages, keep, true, &c[n]);
		if (fill->err[nid])
			break;
		n++;
	}
	sched_setaffinity(0, sizeof(was), &was);
	return n;
}

static size_t take_some(int nid, struct chunk *c)
{
	long scratch_pages = node_scratch(nid), keep, room;
	bool some[KINDS], pinned[KINDS] = { };
	enum kind k = 0;
	size_t n = 0;

	memcpy(some, wanted, sizeof(some));
	keep = node_marks(nid) + KEEP_KIB * 1024 / page;
	while (n < CHUNKS_MAX / 4 - CPU_SETSIZE && !enough(nid, scratch_pages, keep, &room)) {
		enum kind from = k;

		/* the kinds in turn, as long as there is some of one and room for two */
		do
			k = (k + 1) % KINDS;
		while (!some[k] && k != from);
		if (!some[k] || room < (long)(2 * CHUNK / page)) {
			take_few(nid, scratch_pages, keep, false, &c[n]);
			if (fill->err[nid])
				break;
			n++;
			continue;
		}
		c[n].kind = k;
		some[k] = take(nid, &c[n], n);
		if (!some[k])
			continue;
		/* the first of each kind that lies in scratch is to be pinned */
		if (!nid && !pinned[k] && k != CACHE) {
			size_t in = in_scratch(&c[n]);

			if (in) {
				pinned[k] = true;
				c[n].kept = true;
				fill->pinned[k] = in;
				fill->pin_err[k] = pin(&c[n]);
				fill->stayed[k] = in_scratch(&c[n]);
			}
		}
		n++;
	}
	return fill->err[nid] ? n : n + sweep(nid, scratch_pages, keep, &c[n]);
}

/* what came back from the lists of CPUs meanwhile is taken as well */
static size_t take_all(int nid, struct chunk *c)
{
	size_t n = 0;

	for (int round = 0; round < 3 && !fill->err[nid] && n < CHUNKS_MAX / 2; round++)
		n += take_some(nid, c + n);
	return n;
}

static u64 nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* what it costs to set so many bytes of fresh memory, in nanoseconds */
static u64 plain(size_t len)
{
	u64 from = nanoseconds();
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 0;
	madvise(p, len, MADV_NOHUGEPAGE);
	memset(p, 1, len);
	from = nanoseconds() - from;
	munmap(p, len);
	return from;
}

/* the cost of filling a node, in thousandths of a memset() of as many fresh pages */
static size_t take_all_timed(int nid, struct chunk *c)
{
	/* of half the node, for it is taken and given back */
	long all, cma, some;
	u64 set, from;
	size_t n;

	if (kho_node_free(nid, &all, &cma))
		return 0;
	some = all / 2;
	set = plain(some * page);
	from = nanoseconds();
	n = take_all(nid, c);
	from = nanoseconds() - from;
	if (set && n)
		fill->cost[nid] = from * 1000 / (n * CHUNK / page) * some / set;
	return n;
}

static void __noreturn worker(int nid, int done)
{
	struct bitmask *mask = numa_allocate_nodemask();
	struct chunk *chunk = calloc(CHUNKS_MAX, sizeof(*chunk));
	size_t n;
	int fd;

	/* output belongs to the parent, who ends before us */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	/* if it comes to that, nobody else is to suffer */
	kho_write("/proc/self/oom_score_adj", "1000");
	numa_bitmask_setbit(mask, nid);
	if (numa_available() >= 0) {
		numa_run_on_node(nid);
		if (set_mempolicy(MPOL_BIND, mask->maskp, mask->size + 1))
			fill->err[nid] = -errno;
	}
	/* whoever compacts memory leaves it where it is, see set_up() */
	if (mlockall(MCL_FUTURE | MCL_ONFAULT))
		fill->err[nid] = -errno;
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (wanted[CACHE])
		disk = open(DISK_FILE, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0 || kpageflags < 0 || (wanted[CACHE] && disk < 0))
		fill->err[nid] = -errno;
	if (!chunk)
		fill->err[nid] = -ENOMEM;
	n = fill->err[nid] ? 0 : timed ? take_all_timed(nid, chunk) : take_all(nid, chunk);
	for (size_t i = 0; i < n && !fill->err[nid]; i++)
		if (!chunk[i].kept)
			fill->err[nid] = keep_scratch(nid, &chunk[i]);
	if (write(done, "", 1) != 1)
		_exit(1);
	/* hold it for as long as this kernel lives */
	for (;;)
		pause();
}

/**
 * struct storm - what stress-ng can do
 * @name: the class, as kho_storm= has it
 * @process: begin of the name of its processes
 * @args: its arguments
 */
static const struct storm {
	const char *name, *process;
	const char *args[6];
} storms[] = {
	{ "vm", "stress-ng-vm", { "--vm", "1", "--vm-bytes", "16M", "--vm-keep" } },
	{ "mmap", "stress-ng-mmap", { "--mmap", "1", "--mmap-bytes", "8M" } },
	{ "memfd", "stress-ng-memfd", { "--memfd", "1", "--memfd-bytes", "8M" } },
	{ "fork", "stress-ng-fork", { "--fork", "1" } },
	{ "numa", "stress-ng-numa", { "--numa", "1" } },
	{ "migrate", "stress-ng-pagem", { "--pagemove", "1", "--pagemove-bytes", "4M" } },
	{ "madvise", "stress-ng-madvi", { "--madvise", "1" } },
	{ "files", "stress-ng-hdd", { "--hdd", "1", "--hdd-bytes", "8M" } },
};

static bool storm_of[ARRAY_SIZE(storms)];
static int storm_pid[NODES_MAX], nr_storms;

static void stress_ng(int nid)
{
	const char *argv[8 + 6 * ARRAY_SIZE(storms)] = {
		"stress-ng", "--timeout", "0", "--temp-path", "/tmp", "--quiet",
	};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), n = 6;

	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (numa_available() >= 0)
		numa_run_on_node(nid);
	/* what is tried meanwhile has to come to an end */
	if (nice(10) < 0)
		_exit(1);
	for (size_t i = 0; i < ARRAY_SIZE(storms); i++)
		for (int j = 0; storm_of[i] && j < 6 && storms[i].args[j]; j++)
			argv[n++] = storms[i].args[j];
	if (chdir("/tmp"))
		_exit(1);
	execv("/kho/bin/stress-ng", (char *const *)argv);
	_exit(127);
}

/*
 * Pages of a region that are free, nobody's and not held, and those that programs and
 * files have, of the initramfs for one.  What is neither is the kernel's: after a
 * handover it was loaded into scratch, and its early allocations are there.
 */
static void look_at_regions(void)
{
	const u64 user = 1ULL << KPF_LRU | 1ULL << KPF_HUGE | 1ULL << KPF_UNEVICTABLE;

	for (int i = 0; i < nr_scratch && i < REGIONS_MAX; i++) {
		const struct kho_region *r = &scratch[i];

		left_free[i] = kho_pages_marked(r->addr, r->size, 1ULL << KPF_BUDDY, NULL, NULL);
		left_user[i] = kho_pages_marked(r->addr, r->size, user, NULL, NULL);
	}
}

/* a list on the command line, each of which must be known */
static int choose(const char *key, const char *(*name)(size_t), size_t nr, bool *chosen)
{
	char list[256], *save, *p;

	if (kho_cmdline_get(NULL, key, 0, list, sizeof(list)))
		return 0;
	for (p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		size_t i;

		for (i = 0; i < nr && strcmp(p, name(i)); i++)
			;
		if (i == nr)
			return -EINVAL;
		chosen[i] = true;
	}
	return 0;
}

static const char *kind_name(size_t i)
{
	return kinds[i];
}

static const char *storm_name(size_t i)
{
	return storms[i].name;
}

static int each_node(bool memory, int (*fn)(int nid))
{
	char path[64];
	int err = 0;

	for (int nid = 0; nid < NODES_MAX && !err; nid++) {
		struct kho_region spans[16];

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", nid);
		if (access(path, F_OK))
			continue;
		if (memory && kho_node_spans(nid, spans, ARRAY_SIZE(spans)) <= 0)
			continue;
		err = fn(nid);
	}
	return err;
}

static int ready[NODES_MAX], nr_workers;

static int start_worker(int nid)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	if (!fork())
		worker(nid, fds[1]);
	/* now only the worker holds it: if it dies, that is seen */
	close(fds[1]);
	ready[nr_workers++] = fds[0];
	return 0;
}

static int start_storm(int nid)
{
	storm_pid[nr_storms] = fork();
	if (!storm_pid[nr_storms])
		stress_ng(nid);
	nr_storms++;
	return 0;
}

/* ISO 9660 has each number twice, the other way round behind it */
static void both(unsigned char *at, u32 v)
{
	for (int i = 0; i < 4; i++) {
		at[i] = v >> 8 * i;
		at[7 - i] = at[i];
	}
}

/* 9.1, the record of a file or directory; what follows it */
static unsigned char *iso_record(unsigned char *at, u32 sector, u32 size, int flags,
				 const char *name, int len)
{
	at[0] = (33 + len + 1) & ~1;
	both(at + 2, sector);
	both(at + 10, size);
	at[25] = flags;
	at[28] = 1;
	at[31] = 1;
	at[32] = len;
	memcpy(at + 33, name, len);
	return at + at[0];
}

static int make_disk(void)
{
	enum { DESCRIPTOR = 16, END, ROOT = 20, FIRST = 32 };
	static unsigned char disk[FIRST * DISK_SECTOR];
	unsigned char *d = disk + DESCRIPTOR * DISK_SECTOR, *r = disk + ROOT * DISK_SECTOR;
	int fd, err = 0;

	/* 8.4, the primary volume descriptor, and 8.3, the one that ends the set */
	memcpy(d, "\1CD001\1", 7);
	both(d + 80, FIRST + DISK_SIZE / DISK_SECTOR);
	d[120] = 1;
	d[123] = 1;
	d[124] = 1;
	d[127] = 1;
	d[129] = DISK_SECTOR >> 8;
	d[130] = DISK_SECTOR >> 8;
	iso_record(d + 156, ROOT, DISK_SECTOR, 2, "", 1);
	d[881] = 1;
	memcpy(disk + END * DISK_SECTOR, "\377CD001\1", 7);
	r = iso_record(r, ROOT, DISK_SECTOR, 2, "", 1);
	r = iso_record(r, ROOT, DISK_SECTOR, 2, "\1", 1);
	iso_record(r, FIRST, DISK_SIZE, 0, "A.;1", 4);

	fd = open(DISK, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, disk, sizeof(disk)) != sizeof(disk))
		err = -EIO;
	close(fd);
	if (!err && ((mkdir(DISK_DIR, 0700) && errno != EEXIST) ||
		     mount(DISK, DISK_DIR, "iso9660", MS_RDONLY, NULL)))
		err = -errno;
	return err;
}

/* no zone keeps memory back from those who could have it of another */
static int share_zones(void)
{
	static const char path[] = "/proc/sys/vm/lowmem_reserve_ratio";
	struct kho_blob b;
	int err = kho_read_file(path, &b);

	if (err)
		return err;
	/* a number for each zone of this kernel */
	for (char *p = b.data; *p; p++)
		if (*p >= '1' && *p <= '9')
			*p = '0';
	err = kho_write(path, b.data);
	kho_blob_free(&b);
	return err;
}

/* before any check: the state that all of them look at */
static int set_up(void)
{
	static const struct {
		const char *path, *val;
	} vm[] = {
		/* the less is kept back for emergencies, the more can be reached */
		{ "/proc/sys/vm/min_free_kbytes", "256" },
		{ "/proc/sys/vm/watermark_scale_factor", "1" },
		/* or the reserve grows while we count on it */
		{ "/proc/sys/vm/watermark_boost_factor", "0" },
		/* or megabytes of scratch lie free on the lists of the CPUs */
		{ "/proc/sys/vm/percpu_pagelist_high_fraction", "100000" },
		/* who compacts has free pages in hand, which then look like taken ones */
		{ "/proc/sys/vm/compaction_proactiveness", "0" },
		{ "/proc/sys/vm/compact_unevictable_allowed", "0" },
		{ "/proc/sys/vm/max_map_count", "1000000" },
		{ THP_DIR "defrag", "never" },
		{ THP_DIR "khugepaged/scan_sleep_millisecs", "1000000000" },
	};
	bool fills = false;
	int err;

	page = sysconf(_SC_PAGESIZE);
	nr_scratch = kho_scratch_read(KHO_DEBUGFS "/out", scratch, KHO_REGIONS_MAX);
	if (nr_scratch < 0)
		return nr_scratch;
	timed = kho_cmdline_bool(NULL, "kho_bench") == 1;
	err = choose("kho_fill", kind_name, KINDS, wanted) ?:
	      choose("kho_storm", storm_name, ARRAY_SIZE(storms), storm_of);
	if (err)
		return err;
	fill = mmap(NULL, sizeof(*fill), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fill == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(vm) && !err; i++)
		err = kho_write(vm[i].path, vm[i].val);
	if (!err && wanted[HUGETLB])
		err = kho_write("/proc/sys/vm/nr_overcommit_hugepages", "100000");
	if (!err && wanted[CACHE])
		err = make_disk();
	err = err ?: share_zones();
	for (int k = 0; k < KINDS; k++)
		fills |= wanted[k];
	if (!err && fills)
		err = each_node(true, start_worker);
	for (int i = 0; i < nr_workers && !err; i++) {
		char c;

		if (read(ready[i], &c, 1) != 1)
			err = -ECHILD;
		close(ready[i]);
	}
	if (err)
		return err;
	look_at_regions();
	/*
	 * Only now: what stress-ng lays into scratch would be held by nobody,
	 * and its kernel memory has no room where nodes are filled to the brim.
	 */
	return each_node(false, start_storm);
}

static int set_up_err;

static const char *not_here(void)
{
	return kho_generation() < 0 ?
	       "not in a machine of khotest: this takes all memory" :
	       kho_no_debugfs();
}

static const char *not_filled(void)
{
	return not_here() ?: kho_cmdline_get(NULL, "kho_fill", 0, NULL, 0) == -ENOENT ?
	       "kho_fill= names nothing to fill with" : NULL;
}

KHO_TEST_WHERE(s16, workers_filled_their_nodes, not_filled())
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

KHO_TEST_WHERE(s16, scratch_is_held, not_filled())
{
	u64 of_kind[KINDS] = { }, kept;

	ASSERT_EQ(0, set_up_err);
	/* the initramfs stays, see retain_initrd */
	kept = kho_came_with("initrd") / page;
	for (int r = 0; r < nr_scratch && r < REGIONS_MAX; r++) {
		u64 held = 0, all = scratch[r].size / page;
		long left = left_free[r];

		if (!all)
			continue;
		for (int i = 0; i < NODES_MAX; i++)
			for (int k = 0; k < KINDS; k++)
				held += fill->held[i][k][r];
		ASSERT_LE(0, left) {
			TH_LOG("/proc/kpageflags: %s", strerror(-left));
		}
		printf("# kho: value name=fill.region%d.share unit=percent value=%.2f",
		       r, 100.0 * held / (held + left));
		printf(" held=%llu free=%ld others=%lld kernel=%lld pages=%llu", held, left,
		       left_user[r] - (s64)held, (s64)all - left - left_user[r], all);
		for (int k = 0; k < KINDS; k++) {
			u64 n = 0;

			for (int i = 0; i < NODES_MAX; i++)
				n += fill->held[i][k][r];
			if (n)
				printf(" %s=%llu", kinds[k], n);
			of_kind[k] += n;
		}
		putchar('\n');
		fflush(stdout);
		/* where the image was placed: nothing is free where the kernel keeps all */
		if (!held && !left && kho_generation() && all <= kept)
			continue;
		EXPECT_LT(0, held);
		EXPECT_LE(SHARE_MIN, 100.0 * held / (held + left)) {
			TH_LOG("region %d: %llu pages held, %ld free, of %llu", r, held,
			       left, all);
		}
	}
	for (int i = 0; i < NODES_MAX && timed; i++)
		if (fill->cost[i])
			printf("# kho: value name=fill.node%d.cost unit=memset value=%.3f\n", i,
			       fill->cost[i] / 1000.0);
	fflush(stdout);
	for (int k = 0; k < KINDS; k++) {
		EXPECT_TRUE(!wanted[k] || of_kind[k]) {
			TH_LOG("no memory of the kind %s lies in scratch", kinds[k]);
		}
	}
}

KHO_TEST_WHERE(s16, pinned_pages_leave_scratch, not_filled())
{
	ASSERT_EQ(0, set_up_err);
	for (int k = 0; k < KINDS; k++) {
		if (!wanted[k] || k == CACHE)
			continue;
		EXPECT_LT(0, fill->pinned[k]) {
			TH_LOG("%s: none lay in scratch, to be pinned", kinds[k]);
		}
		EXPECT_EQ(0, fill->pin_err[k]) {
			TH_LOG("%s: to be pinned: %s", kinds[k], strerror(-fill->pin_err[k]));
		}
		EXPECT_EQ(0, fill->stayed[k]) {
			TH_LOG("%s: %llu of %llu pages are pinned in scratch", kinds[k],
			       fill->stayed[k], fill->pinned[k]);
		}
	}
}

KHO_TEST_WHERE(s16, nobody_was_killed, not_here())
{
	/* that they are not counted is a failure, too */
	EXPECT_EQ(0, kho_vmstat("oom_kill"));
}

static int running(const char *process)
{
	struct dirent *e;
	DIR *d = opendir("/proc");
	int n = 0;

	while (d && (e = readdir(d))) {
		struct kho_blob b;
		char path[300], *p;

		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		if (*e->d_name < '0' || *e->d_name > '9' || kho_read_file(path, &b))
			continue;
		/* its state stands behind its name: Z is one that has ended */
		p = strchr(b.data, '(');
		n += p && !strncmp(p + 1, process, strlen(process)) && !strstr(p, ") Z");
		kho_blob_free(&b);
	}
	if (d)
		closedir(d);
	return n;
}

KHO_TEST_WHERE(s16, stress_ng_is_at_work, not_here())
{
	struct timespec t, moment = { .tv_nsec = 10000000 };
	time_t end;

	ASSERT_EQ(0, set_up_err);
	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec + 60;
	for (size_t i = 0; i < ARRAY_SIZE(storms); i++) {
		int n = 0;

		/* nobody tells when it has begun */
		while (storm_of[i] && (n = running(storms[i].process)) < nr_storms &&
		       t.tv_sec < end) {
			nanosleep(&moment, NULL);
			clock_gettime(CLOCK_MONOTONIC, &t);
		}
		EXPECT_LE(storm_of[i] ? nr_storms : 0, n) {
			TH_LOG("%s: %d of %d are at work", storms[i].name, n, nr_storms);
		}
	}
}

KHO_TEST_WHERE(s18, regions_stay_while_full, not_here())
{
	struct kho_blob b;

	ASSERT_LT(0, nr_scratch);
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("full", scratch,
					    nr_scratch * sizeof(*scratch)));
		return;
	}
	ASSERT_EQ(0, kho_state_load("full", 0, &b));
	EXPECT_EQ(b.len, nr_scratch * sizeof(*scratch));
	EXPECT_EQ(0, memcmp(b.data, scratch, b.len));
	kho_blob_free(&b);
}

KHO_TEST_WHERE(u6, handover_out_of_the_storm, not_here())
{
	char count[32];

	if (!kho_generation())
		SKIP(return, "the next generation tells");
	snprintf(count, sizeof(count), "(count %d)", kho_generation());
	EXPECT_EQ(1, kho_klog_find(count, NULL, 0));
	EXPECT_EQ(0, access(KHO_DEBUGFS "/in", F_OK));
}

/* a kernel is loaded, and another for it, and none any more */
KHO_TEST_WHERE(u12, kernels_can_be_loaded_while_full, not_here())
{
	ASSERT_EQ(0, set_up_err);
	for (int i = 0; i < 2; i++) {
		/* one as small as any, and what init will take */
		int fd = i ? kho_next_initrd() : memfd_create("none", MFD_CLOEXEC), err;

		ASSERT_LE(0, fd) {
			TH_LOG("initramfs: %s", strerror(-fd));
		}
		if (!i)
			ASSERT_EQ(0, ftruncate(fd, page));
		err = kho_kexec_load("/kho/kernel", fd, "console=ttyS0");
		EXPECT_EQ(0, err) {
			TH_LOG("kexec_file_load, for the %s time: %s", i ? "second" : "first",
			       strerror(-err));
		}
		close(fd);
		EXPECT_EQ(1, kho_kexec_loaded());
	}
	EXPECT_EQ(0, kho_kexec_unload());
	EXPECT_EQ(0, kho_kexec_loaded());
	/* init loads again, and goes */
}

/* nobody took of it what was held, whatever was asked for */
KHO_TEST_WHERE(s16, scratch_is_held_still, not_filled())
{
	u64 locked = 1ULL << KPF_UNEVICTABLE | 1ULL << KPF_HUGE;

	ASSERT_EQ(0, set_up_err);
	for (int r = 0; r < nr_scratch && r < REGIONS_MAX; r++) {
		long now = kho_pages_marked(scratch[r].addr, scratch[r].size, locked, NULL, NULL);
		long held = 0;

		for (int i = 0; i < NODES_MAX; i++)
			for (int k = 0; k < KINDS; k++)
				held += fill->held[i][k][r];
		EXPECT_LE(held, now) {
			TH_LOG("region %d: %ld pages were held, now %ld", r, held, now);
		}
	}
}

int main(int argc, char **argv)
{
	if (!not_here())
		set_up_err = set_up();
	return test_harness_run(argc, argv);
}
