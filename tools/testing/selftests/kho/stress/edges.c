// SPDX-License-Identifier: GPL-2.0-only
/*
 * edges.c - where there is just enough room, and where there is none
 *
 * What cannot be done fails with its errno, in bounded time, and leaves everything
 * as it was; what can be done just so is done.
 */
#include "producer.h"

#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail_nth.h"
#include "luo.h"

/* kernels of the smallest scratch */
#define SMALLS	3

KHO_SCENARIO(image) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.image",
	.summary = "a kexec image as large as scratch, and one page more",
	.memory_mib = 512, .cpus = 1, .generations = 2,
	.flags = KHO_SC_PROGRAM_LOADS,
	.cmdline = "kho=on kho_scratch=48M,64M,16M reserve_mem=2M:4K:kho_a",
};

KHO_SCENARIO(small) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.small",
	.summary = "scratch as small as boots",
	.memory_mib = 256, .cpus = 1, .generations = SMALLS,
	.flags = KHO_SC_PROGRAM_LOADS,
	/* one region has to do for all */
	.cmdline = "kho=on kho_scratch=0,24M,0 reserve_mem=2M:4K:kho_a",
};

KHO_SCENARIO(memory) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.memory",
	.summary = "loads and live updates that find no memory, wherever they look for it",
	.memory_mib = 512, .cpus = 1, .generations = 2, .step_seconds = 120,
	.cmdline = "kho=on liveupdate=on",
};

KHO_SCENARIO(node) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.node",
	.summary = "a node whose memory is exhausted",
	.nr_nodes = 2, .node = { { 512, 1 }, { 256, 1 } }, .generations = 2,
	.flags = KHO_SC_MODULE,
	.cmdline = "kho=on",
};

KHO_SCENARIO(all) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.all",
	.summary = "memory that is exhausted, but for what can be had by killing for it",
	.memory_mib = 512, .cpus = 1, .generations = 2, .step_seconds = 120,
	.flags = KHO_SC_MODULE,
	.cmdline = "kho=on liveupdate=on kho_scratch=8M,64M,16M",
};

KHO_SCENARIO(fragments) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.fragments",
	.summary = "memory of which no two free pages are neighbours",
	.memory_mib = 512, .cpus = 1, .generations = 3, .step_seconds = 120,
	.flags = KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
};

KHO_SCENARIO(group) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.edges.group",
	.summary = "what a group of processes may not have cannot be preserved for it",
	.memory_mib = 768, .cpus = 1,
	.cmdline = "kho=on liveupdate=on",
	.steps = "boot@variant\nkexec@variant\n",
};

#define OUT	KHO_DEBUGFS "/out"
#define GROUPS	"/tmp/groups"
#define GROUP	GROUPS "/g"
#define KERNEL	"/kho/kernel"
#define SCENARIO(name) (strcmp(kho_scenario_name(), "stress.edges." name) ? \
			"for another scenario" : NULL)
#define OBJECTS	16
/* pages that an exhausted node keeps: its page tables come from there as well */
#define KEEP	3000

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       kho_why_not();
}

static const char *not_cold(void)
{
	return not_here() ?: kho_generation() ? "of the cold boot" : NULL;
}

/* the image */

static struct kho_region scratch[KHO_REGIONS_MAX];

static u64 largest(void)
{
	int n = kho_scratch_read(OUT, scratch, KHO_REGIONS_MAX);
	u64 max = 0;

	for (int i = 0; i < n; i++)
		max = scratch[i].size > max ? scratch[i].size : max;
	return max;
}

/* the initramfs of the next generation, with zeroes behind it, which the kernel skips */
static int padded(u64 size)
{
	int fd = kho_next_initrd();

	if (fd >= 0 && ftruncate(fd, size)) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* the next generation, with that for its initramfs, which is closed */
static int load_next(int fd)
{
	int err = kho_load_next(KERNEL, fd);

	if (fd >= 0)
		close(fd);
	return err;
}

static int load_padded(u64 size)
{
	return load_next(padded(size));
}

KHO_TEST_WHERE(kx3, one_page_more_than_scratch_is_refused, SCENARIO("image") ?: not_cold())
{
	ASSERT_LT(0, largest());
	EXPECT_EQ(-EADDRNOTAVAIL, load_padded(largest() + page_size()));
	EXPECT_EQ(0, kho_kexec_loaded());
}

KHO_TEST_WHERE(u12, an_image_as_large_as_scratch_is_loaded, SCENARIO("image") ?: not_cold())
{
	int err = load_padded(largest());

	EXPECT_EQ(0, err) {
		TH_LOG("%llu bytes: %s", largest(), strerror(-err));
	}
	EXPECT_EQ(1, kho_kexec_loaded());
}

KHO_TEST_WHERE(u6, an_image_as_large_as_scratch_comes_up, SCENARIO("image") ?: not_here())
{
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	EXPECT_EQ(1, kho_klog_find("KHO: exec from:", NULL, 0));
	ASSERT_LT(0, kho_came_with("initrd"));
	/* it fills the region that it came in */
	EXPECT_EQ(largest(), (u64)kho_came_with("initrd"));
}

/* the smallest scratch */

/* what early boot is given beside the image and struct pages, by what was seen to do */
#define EARLY		(2ULL << 20)
/* of a page */
#define STRUCT_PAGE	64

/* what the image and the next kernel's first allocations take, or a negative errno */
static s64 need_of_image(int initrd)
{
	s64 size = kho_image_size(KERNEL);
	struct stat st;

	if (size < 0 || fstat(initrd, &st))
		return size < 0 ? size : -errno;
	return size + st.st_size + sysconf(_SC_PHYS_PAGES) * STRUCT_PAGE + EARLY;
}

KHO_TEST_WHERE(u12, the_smallest_scratch_takes_the_next_kernel, SCENARIO("small") ?: not_here())
{
	int fd, err;
	s64 need;

	if (kho_generation() == SMALLS - 1)
		SKIP(return, "the last generation");
	fd = kho_next_initrd();
	ASSERT_LE(0, fd);
	need = need_of_image(fd);
	ASSERT_LT(0, need);
	if ((u64)need > largest())
		SKIP(return, "%lld bytes are needed, and %llu are small", need, largest());
	err = load_next(fd);
	EXPECT_EQ(0, err) {
		TH_LOG("%lld bytes into %llu: %s", need, largest(), strerror(-err));
	}
	printf("# kho: value name=edges.small.need unit=bytes value=%lld\n", need);
	printf("# kho: value name=edges.small.scratch unit=bytes value=%llu\n", largest());
	fflush(stdout);
}

KHO_TEST_WHERE(u6, the_smallest_scratch_comes_up, SCENARIO("small") ?: not_here())
{
	char count[32];

	if (!kho_generation())
		SKIP(return, "the next generation tells");
	snprintf(count, sizeof(count), "(count %d)", kho_generation());
	EXPECT_EQ(1, kho_klog_find(count, NULL, 0));
}

/* no memory, by fault injection: each allocation in turn */

static const char *no_injection(void)
{
	return SCENARIO("memory") ?: not_cold() ?: closed() ?: no_faults ?
	       "no fault injection (CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAILSLAB)" : NULL;
}

/* all at first, then fewer and fewer: a load makes thousands of allocations */
static int next_nth(int nth)
{
	return nth < 60 ? nth + 1 : nth + nth / 8;
}

static void expect_as_before(struct __test_metadata *_metadata, const struct kho_map *was,
			     const struct kho_root *tree, const char *what, int nth)
{
	read_map(_metadata);
	EXPECT_TRUE(same(was, &map)) {
		TH_LOG("%s, allocation %d: the map is another", what, nth);
	}
	EXPECT_EQ(0, memcmp(tree, &root, sizeof(root))) {
		TH_LOG("%s, allocation %d: the tree is another", what, nth);
	}
}

KHO_TEST_WHERE(kx3, a_load_that_finds_no_memory_changes_nothing, no_injection())
{
	int failed = 0, initrd = memfd_create("none", MFD_CLOEXEC);
	struct kho_root tree;
	struct kho_map was;
	bool injected = true;

	ASSERT_EQ(0, ftruncate(initrd, page_size()));
	read_map(_metadata);
	was = map;
	memset(&map, 0, sizeof(map));
	tree = root;
	/* who finds no memory for a vmalloc() says so, with a trace, and is no defect */
	ASSERT_EQ(0, kho_klog_ask("warn_alloc"));
	for (int nth = 1; injected; nth = next_nth(nth)) {
		int at = fail_nth_arm(nth), err;

		ASSERT_LE(0, at);
		err = kho_kexec_load(KERNEL, initrd, "console=ttyS0");
		EXPECT_EQ(0, fail_nth_disarm(at, &injected));
		/* what can do without some memory may */
		if (err) {
			EXPECT_TRUE(injected);
			EXPECT_EQ(-ENOMEM, err) {
				TH_LOG("allocation %d: %s", nth, strerror(-err));
			}
			failed++;
		}
		EXPECT_EQ(!err, kho_kexec_loaded());
		if (!err)
			EXPECT_EQ(0, kho_kexec_unload());
		if (nth % 16 == 1 || !injected)
			expect_as_before(_metadata, &was, &tree, "load", nth);
	}
	EXPECT_LT(20, failed);
	/* what was loaded before stays loaded */
	ASSERT_EQ(0, kho_kexec_load(KERNEL, initrd, "console=ttyS0"));
	for (int nth = 1; nth <= 20; nth++) {
		int at = fail_nth_arm(nth), err;

		ASSERT_LE(0, at);
		err = kho_kexec_load(KERNEL, initrd, "console=ttyS0");
		EXPECT_EQ(0, fail_nth_disarm(at, &injected));
		EXPECT_EQ(1, kho_kexec_loaded()) {
			TH_LOG("allocation %d (%s): what was loaded is gone", nth,
			       strerror(-err));
		}
	}
	EXPECT_EQ(0, kho_kexec_unload());
	EXPECT_EQ(0, kho_klog_ask(NULL));
	printf("# kho: value name=edges.load.failures unit=failures value=%d\n", failed);
	fflush(stdout);
}

#define FILE_PAGES	700

KHO_TEST_WHERE(l6, a_file_that_finds_no_memory_is_not_preserved,
	       no_injection() ?: access(DEVICE, F_OK) ? "live update is off" : NULL)
{
	int dev = device(), failed = 0, s, fd;
	struct kho_root tree;
	struct kho_map was;
	bool injected = true;
	long free;

	ASSERT_LE(0, dev);
	for (int nth = 1; injected; nth++) {
		int at;

		read_map(_metadata);
		was = map;
		memset(&map, 0, sizeof(map));
		tree = root;
		at = fail_nth_arm(nth);
		ASSERT_LE(0, at);
		s = create(dev, "none");
		EXPECT_EQ(0, fail_nth_disarm(at, &injected));
		if (s < 0) {
			EXPECT_EQ(-ENOMEM, s) {
				TH_LOG("create, allocation %d: %s", nth, strerror(-s));
			}
			failed++;
			expect_as_before(_metadata, &was, &tree, "create", nth);
		} else {
			close(s);
		}
		kho_map_free(&was);
	}
	s = create(dev, "one");
	ASSERT_LE(0, s);
	free = kho_free_pages();
	fd = patterned(FILE_PAGES * page_size(), 7);
	ASSERT_LE(0, fd);
	read_map(_metadata);
	was = map;
	memset(&map, 0, sizeof(map));
	tree = root;
	injected = true;
	for (int nth = 1; injected; nth = next_nth(nth)) {
		int at = fail_nth_arm(nth), err;

		ASSERT_LE(0, at);
		err = preserve(s, fd, 1);
		EXPECT_EQ(0, fail_nth_disarm(at, &injected));
		/* what could do without that memory: once more, without it */
		if (!err) {
			close(s);
			s = create(dev, "one");
			ASSERT_LE(0, s);
			continue;
		}
		EXPECT_EQ(-ENOMEM, err) {
			TH_LOG("preserve, allocation %d: %s", nth, strerror(-err));
		}
		failed++;
		expect_as_before(_metadata, &was, &tree, "preserve", nth);
	}
	EXPECT_LT(4, failed);
	printf("# kho: value name=edges.liveupdate.failures unit=failures value=%d\n", failed);
	fflush(stdout);
	close(fd);
	close(s);
	close(dev);
	/* what it was made of is nobody's; the kernel's own needs are less than that */
	free -= kho_free_pages();
	EXPECT_GT(FILE_PAGES / 2, free) {
		TH_LOG("%ld pages did not come back, of a file of %d", free, FILE_PAGES);
	}
}

/* a node that has no more */

/* take the second node's memory but for some pages */
static int exhaust(void *arg __maybe_unused)
{
	struct bitmask *mask = numa_allocate_nodemask();
	long page = page_size(), room, all, cma;

	kho_write("/proc/self/oom_score_adj", "1000");
	numa_bitmask_setbit(mask, 1);
	if (set_mempolicy(MPOL_BIND, mask->maskp, mask->size + 1))
		return -errno;
	while (!kho_node_free(1, &all, &cma) && (room = all - KEEP) > 0) {
		long n = room > 512 ? room / 2 : room;
		char *p = mmap(NULL, n * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return -errno;
		madvise(p, n * page, MADV_NOHUGEPAGE);
		for (long i = 0; i < n; i++)
			p[i * page] = 1;
	}
	return 0;
}

KHO_TEST_WHERE(r16, a_node_without_memory, SCENARIO("node") ?: not_here() ?: no_map())
{
	int err = 0, nr = 0, single = 0, initrd = memfd_create("none", MFD_CLOEXEC);
	struct kho_map was;
	cpu_set_t there;
	pid_t pid;

	ASSERT_EQ(0, no_module);
	ASSERT_EQ(0, ftruncate(initrd, page_size()));
	if (kho_generation()) {
		EXPECT_EQ(0, producer("restore before"));
		EXPECT_EQ(0, producer("check before 11"));
		EXPECT_EQ(0, producer("put before"));
		EXPECT_EQ(0, producer("restore meanwhile"));
		EXPECT_EQ(0, producer("check meanwhile 12"));
		EXPECT_EQ(0, producer("put meanwhile"));
		return;
	}
	/* what zones keep back is not to be mistaken for what is there */
	ASSERT_EQ(0, kho_write("/proc/sys/vm/min_free_kbytes", "1024"));
	ASSERT_EQ(0, producer("new before pages 500 1"));
	ASSERT_EQ(0, producer("fill before 11"));
	ASSERT_EQ(0, producer("preserve before"));
	ASSERT_EQ(0, kho_stay(exhaust, NULL, &pid));
	read_map(_metadata);
	was = map;
	memset(&map, 0, sizeof(map));
	/* as much as is left, and then no more */
	while (nr < KEEP / 500 + 1 && !(err = producer("new x%d pages 500 1", nr)))
		nr++;
	EXPECT_EQ(-ENOMEM, err) {
		TH_LOG("with %d MiB taken of the rest: %s", nr * 2, strerror(-err));
	}
	expect_map(_metadata, &was, "with a node that is full");
	/* from a CPU whose own node it is: the other has what it takes */
	CPU_ZERO(&there);
	CPU_SET(1, &there);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(there), &there));
	while (single < KEEP && !(err = producer("new y%d folio 0 1", single)))
		single++;
	EXPECT_EQ(-ENOMEM, err) {
		TH_LOG("with %d single pages more: %s", single, strerror(-err));
	}
	/* of other orders than before: the map has to grow for them */
	EXPECT_EQ(0, producer("new meanwhile pages 1023 0"));
	EXPECT_EQ(0, producer("fill meanwhile 12"));
	EXPECT_EQ(0, producer("preserve meanwhile"));
	err = kho_kexec_load(KERNEL, initrd, "console=ttyS0");
	EXPECT_EQ(0, err) {
		TH_LOG("kexec_file_load: %s", strerror(-err));
	}
	EXPECT_EQ(0, kho_kexec_unload());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(0, producer("new x pages 1000 1"));
	EXPECT_EQ(0, producer("put x"));
	while (nr--)
		EXPECT_EQ(0, producer("put x%d", nr));
	while (single--)
		EXPECT_EQ(0, producer("put y%d", single));
}

/* memory that is all taken, by those who may be killed for it */

#define EATERS		64
#define EATER_SIZE	(16UL << 20)
/* of what is exhausted, the kernel can do with so many pages */
#define REST		1024
#define FILE_SIZE	(3UL << 20)

static pid_t eater[EATERS];
static int eaters, eaten;

static int eat(void *arg __maybe_unused)
{
	/* the first to be killed */
	kho_write("/proc/self/oom_score_adj", "1000");
	return mmap(NULL, EATER_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED ? -errno : 0;
}

/* how many of them are gone, each by a kill; negative if one went otherwise */
static int reap(void)
{
	int gone = 0, status;

	for (int i = 0; i < eaters; i++) {
		if (waitpid(eater[i], &status, WNOHANG) != eater[i])
			continue;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			return -EIO;
		eater[i--] = eater[--eaters];
		gone++;
	}
	eaten += gone;
	return gone;
}

/* until another one's memory is that of one who is killed for it */
static int exhaust_all(void)
{
	long all = 0, cma;

	while (!kho_node_free(0, &all, &cma) && all > REST && eaters < EATERS) {
		int gone, err = kho_stay(eat, NULL, &eater[eaters]);

		/* it is there, or is one of those who were killed */
		if (err && err != -ECHILD)
			return err;
		eaters++;
		gone = reap();
		if (gone)
			return gone < 0 ? gone : 0;
	}
	return eaters < EATERS ? 0 : -E2BIG;
}

/* a session lives as long as it is open */
static int preserve_memfd(void *fd)
{
	int dev = device(), s = dev < 0 ? dev : create(dev, "all");

	return s < 0 ? s : preserve(s, *(int *)fd, 1);
}

static void what_was_preserved_came(struct __test_metadata *_metadata)
{
	int dev = device(), s, fd;
	u64 bad = 0;
	void *p;

	EXPECT_EQ(0, producer("restore all"));
	EXPECT_EQ(0, producer("check all 21"));
	EXPECT_EQ(0, producer("put all"));
	ASSERT_LE(0, dev);
	s = retrieve_session(dev, "all");
	ASSERT_LE(0, s) {
		TH_LOG("session: %s", strerror(-s));
	}
	fd = retrieve(s, 1);
	ASSERT_LE(0, fd) {
		TH_LOG("memfd: %s", strerror(-fd));
	}
	p = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, kho_pattern_check(p, FILE_SIZE, 22, &bad)) {
		TH_LOG("byte %llu is not what was written", bad);
	}
	EXPECT_EQ(0, finish(s, 0));
}

KHO_TEST_WHERE(r16, memory_that_is_exhausted,
	       SCENARIO("all") ?: not_here() ?: no_map() ?: access(DEVICE, F_OK) ?
	       "live update is off" : NULL)
{
	int err = 0, fd, i = 0, initrd;
	struct kho_map was;
	pid_t stays;

	ASSERT_EQ(0, no_module);
	if (kho_generation()) {
		what_was_preserved_came(_metadata);
		return;
	}
	/* whoever looks is not who is killed */
	ASSERT_EQ(0, kho_write("/proc/self/oom_score_adj", "-1000"));
	fd = patterned(FILE_SIZE, 22);
	ASSERT_LE(0, fd);
	initrd = kho_next_initrd();
	ASSERT_LE(0, initrd);
	ASSERT_EQ(0, producer("new all pages 700"));
	ASSERT_EQ(0, producer("fill all 21"));
	ASSERT_EQ(0, kho_klog_ask("oom_kill_process"));
	ASSERT_EQ(0, exhaust_all());
	read_map(_metadata);
	was = map;
	memset(&map, 0, sizeof(map));

	/* nobody is killed for what is too large to be found by it */
	ASSERT_EQ(0, exhaust_all());
	ASSERT_LE(0, reap());
	while (i < 4 && !(err = producer("new x%d folio 10", i)))
		i++;
	EXPECT_TRUE(i == 4 || err == -ENOMEM) {
		TH_LOG("4 MiB in one piece: %s", strerror(-err));
	}
	while (i--)
		EXPECT_EQ(0, producer("put x%d", i));
	expect_map(_metadata, &was, "after a folio for which there is no memory");

	/* whatever else: there is memory, of one who was killed, or there is none */
	ASSERT_EQ(0, exhaust_all());
	err = producer("preserve all");
	EXPECT_EQ(0, err) {
		TH_LOG("pages that are there, to be preserved: %s", strerror(-err));
	}
	ASSERT_EQ(0, exhaust_all());
	err = kho_stay(preserve_memfd, &fd, &stays);
	EXPECT_EQ(0, err) {
		TH_LOG("a memfd that is there, to be preserved: %s", strerror(-err));
	}
	/* and again, so that nothing is in its way that the first left behind */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, exhaust_all());
		err = kho_kexec_load(KERNEL, initrd, "console=ttyS0");
		/* nobody is killed for the control page (KEXEC_CONTROL_MEMORY_GFP) */
		EXPECT_TRUE(!err || err == -ENOMEM) {
			TH_LOG("kexec_file_load, %d: %s", i, strerror(-err));
		}
		EXPECT_EQ(!err, kho_kexec_loaded());
		if (!err)
			EXPECT_EQ(0, kho_kexec_unload());
	}

	EXPECT_LE(0, reap());
	/* who was killed can still be on the way, and is told from who is sent away now */
	while (eaters) {
		int status = 0;

		kill(eater[--eaters], SIGTERM);
		EXPECT_EQ(eater[eaters], waitpid(eater[eaters], &status, 0));
		eaten += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	EXPECT_LT(0, eaten);
	EXPECT_EQ(eaten, kho_vmstat("oom_kill")) {
		TH_LOG("%ld were killed, of those who were there for it %d", kho_vmstat("oom_kill"),
		       eaten);
	}
	printf("# kho: value name=edges.all.killed unit=processes value=%d\n", eaten);
	fflush(stdout);
	EXPECT_EQ(0, kho_klog_ask(NULL));
	close(fd);
	close(initrd);
}

/* a group that may have less than what it preserves */

/* a file that is all holes, which to preserve is to fill; the errno, -EINTR if killed */
static int preserve_holes(size_t size, bool in_group, int *err)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int dev, s, fd = memfd_create("holes", MFD_CLOEXEC);

		if (in_group && kho_write(GROUP "/cgroup.procs", "0"))
			_exit(2);
		dev = device();
		s = dev < 0 ? dev : create(dev, "group");
		if (s < 0 || fd < 0 || ftruncate(fd, size))
			_exit(2);
		*err = preserve(s, fd, 1);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	/* who is beyond its limit may be killed for it */
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? -EINTR :
	       WIFEXITED(status) && !WEXITSTATUS(status) ? *err : -EIO;
}

KHO_TEST_WHERE(l6, a_group_keeps_to_its_limit,
	       SCENARIO("group") ?: not_here() ?: closed() ?:
	       kho_config("CONFIG_MEMCG") != 1 ? "no groups (CONFIG_MEMCG)" : NULL)
{
	const size_t size = 64 << 20;
	int *err = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0), got;
	struct kho_root tree;
	struct kho_blob b;
	struct kho_map was;

	ASSERT_NE(MAP_FAILED, err);
	ASSERT_TRUE(!mkdir(GROUPS, 0700) || errno == EEXIST);
	ASSERT_EQ(0, mount("cgroup2", GROUPS, "cgroup2", 0, NULL));
	ASSERT_EQ(0, kho_write(GROUPS "/cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, mkdir(GROUP, 0700));
	ASSERT_EQ(0, kho_write(GROUP "/memory.max", "8M"));
	read_map(_metadata);
	was = map;
	memset(&map, 0, sizeof(map));
	tree = root;
	/* the kernel tells whom it kills, with a trace */
	ASSERT_EQ(0, kho_klog_ask("oom_kill_process"));
	got = preserve_holes(size, true, err);
	EXPECT_EQ(0, kho_klog_ask(NULL));
	EXPECT_TRUE(got == -ENOMEM || got == -EINTR) {
		TH_LOG("64 MiB for a group that may have 8: %s", strerror(-got));
	}
	expect_as_before(_metadata, &was, &tree, "a group beyond its limit", 0);
	ASSERT_EQ(0, kho_read_file(GROUP "/memory.current", &b));
	EXPECT_GT(4 << 20, strtol(b.data, NULL, 10)) {
		TH_LOG("the group has %s bytes still", (char *)b.data);
	}
	kho_blob_free(&b);
	/* it is the limit and nothing else */
	EXPECT_EQ(0, preserve_holes(size, false, err));
	expect_as_before(_metadata, &was, &tree, "whoever preserved it is gone", 0);
}

/* no two free pages are neighbours */

/* every second page of most of memory */
static int fragment(void *arg __maybe_unused)
{
	long page = page_size(), n = 0;
	u64 kib = 0;
	char *p;
	int fd;

	if (kho_meminfo("MemAvailable", &kib))
		return -EIO;
	n = (kib - (64 << 10)) * 1024 / page;
	kho_write("/proc/self/oom_score_adj", "1000");
	/* a file, for holes in one are no mappings of their own */
	fd = memfd_create("fragments", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, n * page))
		return -errno;
	p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* whoever compacts leaves them where they are */
	if (p == MAP_FAILED || mlock(p, n * page))
		return -errno;
	for (long i = 0; i < n; i += 2)
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * page, page))
			return -errno;
	return 0;
}

KHO_TEST_WHERE(r13, fragments_came, SCENARIO("fragments") ?: not_here() ?: no_producer())
{
	ASSERT_EQ(0, no_module);
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	for (int i = 0; i < OBJECTS; i++) {
		EXPECT_EQ(0, producer("restore f%d", i));
		EXPECT_EQ(0, producer("check f%d %d", i, 100 * kho_generation() - 100 + i));
		EXPECT_EQ(0, producer("put f%d", i));
		EXPECT_EQ(0, producer("restore v%d", i));
		EXPECT_EQ(0, producer("check v%d %d", i, 100 * kho_generation() - 50 + i));
		EXPECT_EQ(0, producer("put v%d", i));
	}
}

KHO_TEST_WHERE(r13, fragments_are_preserved, SCENARIO("fragments") ?: not_here() ?: no_producer())
{
	pid_t pid;

	ASSERT_EQ(0, no_module);
	ASSERT_EQ(0, kho_write("/proc/sys/vm/compact_unevictable_allowed", "0"));
	ASSERT_EQ(0, kho_stay(fragment, NULL, &pid));
	for (int i = 0; i < OBJECTS; i++) {
		ASSERT_EQ(0, producer("new f%d folio 0", i));
		EXPECT_EQ(0, producer("fill f%d %d", i, 100 * kho_generation() + i));
		EXPECT_EQ(0, producer("preserve f%d", i));
		/* pages from everywhere */
		ASSERT_EQ(0, producer("new v%d vmalloc %d", i, 1 + 40 * i));
		EXPECT_EQ(0, producer("fill v%d %d", i, 100 * kho_generation() + 50 + i));
		EXPECT_EQ(0, producer("preserve v%d", i));
	}
}

TEST_HARNESS_MAIN
