// SPDX-License-Identifier: GPL-2.0-only
/*
 * liveupdate.c - /dev/liveupdate: its ioctls, and what they carry over a handover
 *
 * Each generation prepares what its number says, and the next one, which knows
 * that number, must find exactly that.  Who prepares stays behind and holds the
 * sessions open, for a session that is closed is none.
 */
#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "fdt_check.h"
#include "luo.h"

/* newer than some C libraries */
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC	0x0020
#endif

/* the kernel's O_LARGEFILE: the C library has 0 where all files are large */
#ifdef __aarch64__
#define LARGEFILE	0400000
#else
#define LARGEFILE	0100000
#endif

#define OUT	KHO_DEBUGFS "/out"
#define PAGE	((size_t)sysconf(_SC_PAGESIZE))
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define BATTERY	{ "kho_boot", "kho_debugfs", "kho_liveupdate" }

/* what a block, which is a page, has beside its entries, and these: abi/block.h, abi/luo.h */
#define BLOCK_HEADER	16
#define SESSION_SIZE	80
#define FILE_SIZE	64

/* so many blocks full of them, in a plan: how many that is depends on the page's size */
#define BLOCKS(n)	((n) * 1000000)

KHO_SCENARIO(quick) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.liveupdate.kinds",
	.summary = "the ioctls of live update, and memfds of every kind over handovers",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK,
	.cmdline = "kho=on liveupdate=on", .programs = BATTERY, .generations = 3,
};

KHO_SCENARIO(blocks) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.liveupdate.blocks",
	.summary = "sessions and files below, at and above what a block holds",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on liveupdate=on", .programs = BATTERY, .generations = 14,
};

KHO_SCENARIO(duplicate) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.liveupdate.duplicate",
	.summary = "a name refused when a block of sessions is full",
	.memory_mib = 512, .cpus = 1, .step_seconds = 20,
	.cmdline = "kho=on liveupdate=on", .programs = BATTERY, .generations = 2,
};

KHO_SCENARIO(late) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.liveupdate.late",
	.summary = "sessions made when the next kernel is loaded already",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_LOAD_FIRST,
	.cmdline = "kho=on liveupdate=on",
	.programs = { "kho_boot", "kho_liveupdate" }, .generations = 3,
};

KHO_SCENARIO(huge) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.liveupdate.huge",
	.summary = "live update beside huge pages and deferred struct pages",
	.memory_mib = 768, .cpus = 1,
	.cmdline = "liveupdate=on hugepages=16", .programs = BATTERY,
	.steps = "boot@variant\nkexec@variant\nkexec@variant\n",
};

KHO_SCENARIO(off_between) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.liveupdate.off",
	.summary = "live update switched off, and KHO with it, between generations",
	.memory_mib = 512, .cpus = 1,
	.programs = BATTERY,
	.steps =
		"boot kho=on liveupdate=on\n"
		"kexec kho=on liveupdate=off\n"
		"kexec kho=on liveupdate=on\n"
		"kexec kho=off liveupdate=on\n"
		"kexec kho=on liveupdate=1 liveupdate=x\n"
		"kexec_load kho=on liveupdate=y\n"
		"kexec kho=on liveupdate=on\n",
};

/**
 * struct plan - what a generation prepares
 * @kinds: a session with a memfd of each kind
 * @sessions: more sessions with one file each; with BLOCKS(), see plan_of()
 * @closed: of these, how many are closed again, the first ones
 * @files: one session for each number that is not 0, with as many files; so
 * @failures: operations that fail, in between and at the end
 * @duplicate: a name that is refused, when all is there
 */
struct plan {
	bool kinds;
	int sessions;
	int closed;
	int files[3];
	bool failures;
	bool duplicate;
};

static const struct plan blocks_plan[] = {
	{ .sessions = BLOCKS(1) - 1 },
	{ .sessions = BLOCKS(1) },
	{ .sessions = BLOCKS(1) + 1 },
	{ .files = { BLOCKS(1) - 1, BLOCKS(1), BLOCKS(1) + 1 } },
	{ .files = { BLOCKS(2) - 1, BLOCKS(2), BLOCKS(2) + 1 } },
	{ .sessions = BLOCKS(2) },
	{ .sessions = BLOCKS(2) + 1 },
	/* grown beyond a block and shrunk again, from the front */
	{ .sessions = BLOCKS(1) + 1, .closed = 1 },
	{ .files = { BLOCKS(1) - 1, BLOCKS(1), BLOCKS(1) + 1 },
	  .failures = true },
	/* nothing at all */
	{ },
	/* a name that is refused, where the block has room and where it had none */
	{ .sessions = BLOCKS(1) - 1, .duplicate = true },
	{ .sessions = BLOCKS(1) + 1, .duplicate = true },
	/* one, and no more */
	{ .sessions = 1 },
};

static const struct plan kinds_plan[] = {
	{ .kinds = true, .files = { 3 }, .failures = true },
	{ .kinds = true, .sessions = 2, .files = { 1 } },
};

static const struct plan duplicate_plan = {
	.sessions = BLOCKS(1), .duplicate = true,
};

static const struct plan off_plan = { .kinds = true, .sessions = 1 };

static bool is(const char *scenario)
{
	return !strcmp(kho_scenario_name(), scenario);
}

static const struct plan *plan_in_blocks(int generation)
{
	if (is("conformance.liveupdate.blocks"))
		return &blocks_plan[generation % ARRAY_SIZE(blocks_plan)];
	if (is("conformance.liveupdate.duplicate"))
		return &duplicate_plan;
	if (is("conformance.liveupdate.off"))
		return &off_plan;
	return &kinds_plan[generation % ARRAY_SIZE(kinds_plan)];
}

static int count_of(int n, size_t entry)
{
	int blocks = (n + BLOCKS(1) / 2) / BLOCKS(1);

	return n + blocks * ((int)((PAGE - BLOCK_HEADER) / entry) - BLOCKS(1));
}

/* what it is on this kernel; valid until the next call but three */
static const struct plan *plan_of(int generation)
{
	static struct plan plans[4];
	static unsigned int n;
	struct plan *p = &plans[n++ % ARRAY_SIZE(plans)];

	*p = *plan_in_blocks(generation);
	p->sessions = count_of(p->sessions, SESSION_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(p->files); i++)
		p->files[i] = count_of(p->files[i], FILE_SIZE);
	return p;
}

/* live update as a generation's command line and KHO have it */
static bool enabled(const struct kho_boot *b)
{
	return b->on && kho_cmdline_bool(b->step.cmdline, "liveupdate") == 1;
}

static const char *not_here(void)
{
	const struct kho_boot *b = kho_boot_of(kho_generation());

	return b ? kho_unknown() : "not in a machine of khotest";
}

static const char *no_luo(void)
{
	return not_here() ?: enabled(kho_boot_of(kho_generation())) ? NULL :
	       "live update is off in this generation";
}

/* data that goes with files is registered by the kernel's own test alone */
static const char *no_flbs(void)
{
	return no_luo() ?: kho_config("CONFIG_LIVEUPDATE_TEST") == 1 ? NULL :
	       "a kernel without CONFIG_LIVEUPDATE_TEST";
}

/* did the generation before leave anything? */
static const char *nothing_came(void)
{
	const char *why = no_luo();
	int gen = kho_generation();

	if (why)
		return why;
	if (!kho_boot_of(gen)->handed_over || !enabled(kho_boot_of(gen - 1)))
		return "no live update brought this kernel up";
	return NULL;
}

static int get_name_reserved(int s, char *name, u32 reserved)
{
	struct liveupdate_session_get_name arg = {
		.size = sizeof(arg), .reserved = reserved,
	};

	if (ioctl(s, LIVEUPDATE_SESSION_GET_NAME, &arg))
		return -errno;
	memcpy(name, arg.name, sizeof(arg.name));
	return 0;
}

static int get_name(int s, char *name)
{
	return get_name_reserved(s, name, 0);
}

/* take memory, write to each page of it, and give it back */
static void soil(size_t len)
{
	pid_t pid = fork();

	if (!pid) {
		char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; p != MAP_FAILED && i < len; i += PAGE)
			p[i] = 1;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* take memory until the kernel has to look for more, and give it back */
static void pressure(void)
{
	u64 kib = 0;

	if (kho_meminfo("MemAvailable", &kib))
		return;
	soil((kib << 10) / 10 * 9);
	kho_write(DROP_CACHES, "3");
}

/* a memfd that is missed when it is not given back: half of it is far more than noise */
#define LARGE		(32 << 20)
#define LARGE_HALF	(LARGE / 2 / 1024)

static int large(void)
{
	int fd = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 || fallocate(fd, 0, 0, LARGE) ? -1 : fd;
}

/* free memory in KiB, without what can be dropped */
static u64 free_now(void)
{
	long pages;

	kho_write(DROP_CACHES, "3");
	pages = kho_free_pages();
	return pages > 0 ? pages * (PAGE / 1024) : 0;
}

/* the same, when it has come to that much, or does not come to it */
static u64 free_at_last(u64 want)
{
	u64 kib = free_now();

	for (int look = 0; look < 10 && kib < want; look++)
		kib = free_now();
	return kib;
}

/* memfds of every kind */

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* in what follows, for it is not known yet how large a page is: see in_bytes() */
#define PAGES(n)	((s64)(n) * (1LL << 40))

/**
 * struct kind - a kind of memfd
 * @size: in bytes
 * @data_from: where data begins; before is a hole
 * @data_len: bytes of data; what is behind is a hole
 * @seals: that it has
 * @offset: its file position
 * @huge: huge pages are asked for
 * @allocated: pages are allocated, and never written to
 * @written_after: the data is written when it is preserved already
 * @mode: of the memfd, set explicitly; 0 for the default
 */
static struct kind {
	s64 size;
	s64 data_from;
	s64 data_len;
	int seals;
	s64 offset;
	bool huge;
	bool allocated;
	bool written_after;
	mode_t mode;
} kinds[] = {
	/* empty, one byte, around a page */
	{ .size = 0 },
	{ .size = 1, .data_len = 1 },
	{ .size = PAGES(1) - 1, .data_len = PAGES(1) - 1, .offset = PAGES(1) - 1 },
	{ .size = PAGES(1), .data_len = PAGES(1), .offset = 1 },
	{ .size = PAGES(1) + 1, .data_len = PAGES(1) + 1, .offset = PAGES(1) },
	{ .size = 1 << 20, .data_len = 1 << 20, .offset = 123456 },
	/* holes: all of it, in front, behind */
	{ .size = PAGES(5) },
	{ .size = PAGES(64), .data_from = PAGES(63), .data_len = PAGES(1) },
	{ .size = PAGES(64) + 17, .data_len = PAGES(1), .offset = PAGES(63) },
	{ .size = PAGES(16), .allocated = true },
	/* an offset behind the end */
	{ .size = PAGES(1), .data_len = PAGES(1), .offset = 1 << 30 },
	/* huge pages, whole and not */
	{ .size = 4 << 20, .data_len = 4 << 20, .huge = true },
	{ .size = (2 << 20) + PAGES(1), .data_len = (2 << 20) + PAGES(1), .huge = true },
	/* each seal by itself, and many */
	{ .size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_SEAL },
	{ .size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_SHRINK },
	{ .size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_GROW },
	{ .size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_WRITE },
	{ .size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_FUTURE_WRITE },
	{ .size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_EXEC },
	{ .size = PAGES(3), .data_len = PAGES(3), .seals = SEALS | F_SEAL_SEAL },
	{ .size = 0, .seals = SEALS },
	/* written to when it is preserved already: data, holes, allocated pages */
	{ .size = PAGES(8), .data_len = PAGES(8), .written_after = true },
	{ .size = PAGES(8), .data_from = PAGES(7), .data_len = PAGES(1),
	  .written_after = true, .allocated = true },
	{ .size = PAGES(1), .data_len = PAGES(1), .mode = 0600 },
};

/* as MFD_NOEXEC_SEAL makes them: not executable, and that for ever */
static struct kind noexec = {
	.size = PAGES(1), .data_len = PAGES(1), .seals = F_SEAL_EXEC, .mode = 0666,
};

#define NOEXEC_SEED	4711

static s64 in_bytes(s64 v)
{
	s64 pages = (v + PAGES(1) / 2) >> 40;

	return pages * (s64)PAGE + (v - PAGES(pages));
}

static void kind_in_bytes(struct kind *k)
{
	k->size = in_bytes(k->size);
	k->data_from = in_bytes(k->data_from);
	k->data_len = in_bytes(k->data_len);
	k->offset = in_bytes(k->offset);
}

static void __attribute__((constructor)) all_kinds_in_bytes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		kind_in_bytes(&kinds[i]);
	kind_in_bytes(&noexec);
}

static u64 token_of(size_t kind)
{
	/* tokens are opaque: 0 and the largest one are as good as any */
	return kind == 0 ? 0 : kind == 1 ? ~0ULL : kind * 0x100000001ULL;
}

/*
 * What F_GET_SEALS tells.  A file that may be executed, and that for ever, is
 * sealed against writes with it (mm/memfd.c, memfd_add_seals()).
 */
static int kind_seals(const struct kind *k)
{
	return k->seals & F_SEAL_EXEC && (!k->mode || k->mode & 0111) ?
	       k->seals | SEALS | F_SEAL_FUTURE_WRITE : k->seals;
}

static u64 kind_seed(int generation, size_t kind)
{
	return 1000 * (u64)(generation + 1) + kind;
}

static int write_kind(int fd, const struct kind *k, u64 seed)
{
	char *p;

	if (!k->data_len)
		return 0;
	p = mmap(NULL, k->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	if (k->huge)
		madvise(p, k->size, MADV_HUGEPAGE);
	kho_pattern_fill(p + k->data_from, k->data_len, seed);
	munmap(p, k->size);
	return 0;
}

static int make_kind(const struct kind *k, u64 seed)
{
	int fd = memfd_create("kho", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, k->size) ||
	    (k->allocated && fallocate(fd, 0, 0, k->size)) ||
	    (!k->written_after && write_kind(fd, k, seed)) ||
	    (k->mode && fchmod(fd, k->mode)) ||
	    /* not where it is to be in the end: see preserve_kind() */
	    lseek(fd, k->offset + 5, SEEK_SET) < 0 ||
	    (k->seals && fcntl(fd, F_ADD_SEALS, k->seals)))
		return -errno;
	return fcntl(fd, F_GET_SEALS) == kind_seals(k) ? fd : -EBADMSG;
}

static bool zeroes(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* preparation: in a process of its own, which stays; what is wrong is one line */

static char wrong[256];

static bool __printf(2, 3) no(bool is_so, const char *fmt, ...)
{
	va_list ap;

	if (is_so || *wrong)
		return !is_so;
	va_start(ap, fmt);
	vsnprintf(wrong, sizeof(wrong), fmt, ap);
	va_end(ap);
	return true;
}

static void fail_some(int dev, int s, u64 used)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = patterned(PAGE, 1), err;

	err = preserve(s, 12345, 999);
	if (no(err == -EBADF, "no such descriptor: %s", strerror(-err)))
		return;
	err = preserve(s, null, 999);
	if (no(err == -ENOENT, "/dev/null: %s", strerror(-err)))
		return;
	err = preserve(s, fd, used);
	if (no(err == -EEXIST, "token in use: %s", strerror(-err)))
		return;
	err = create(dev, "");
	if (no(err == -EINVAL, "empty name: %s", strerror(-err)))
		return;
	close(null);
	close(fd);
}

/* make one, preserve it, and go on with it as long as this kernel runs */
static bool preserve_kind(int s, u64 token, const struct kind *k, u64 seed,
			  const char *what)
{
	int fd = make_kind(k, seed), err;

	if (no(fd >= 0, "%s: %s", what, strerror(-fd)))
		return false;
	err = preserve(s, fd, token);
	if (no(!err, "%s: preserve: %s", what, strerror(-err)))
		return false;
	if (k->written_after)
		err = write_kind(fd, k, seed);
	if (no(!err, "%s: write: %s", what, strerror(-err)))
		return false;
	/* the position is that of the moment of the kexec */
	return !no(lseek(fd, k->offset, SEEK_SET) == k->offset, "%s: seek: %s", what,
		   strerror(errno));
}

static void prepare_kinds(int dev, int gen)
{
	int s = create(dev, "kinds"), fd, err;
	char what[64];

	/* pages that nobody wrote to are zero, whatever was in that memory before */
	soil(LARGE);
	/* huge pages where they are asked for; a kernel without has none */
	fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_WRONLY | O_CLOEXEC);
	err = fd < 0 ? -1 : write(fd, "advise", 6);
	if (err < 0)
		printf("# no huge pages for memfds\n");
	close(fd);

	if (no(s >= 0, "session kinds: %s", strerror(-s)))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(what, sizeof(what), "memfd of kind %zu", i);
		if (!preserve_kind(s, token_of(i), &kinds[i], kind_seed(gen, i), what))
			return;
	}
	s = create(dev, "noexec");
	if (no(s >= 0, "session noexec: %s", strerror(-s)) ||
	    !preserve_kind(s, 1, &noexec, NOEXEC_SEED, "memfd that cannot be executed"))
		return;
	s = create(dev, "large");
	if (no(s >= 0, "session large: %s", strerror(-s)))
		return;
	fd = large();
	err = fd < 0 ? -errno : preserve(s, fd, 1);
	if (no(!err, "large memfd: %s", strerror(-err)))
		return;
	/* who preserves it holds it */
	close(fd);
	/* the longest name, one with every kind of byte, and none in it */
	s = create(dev, "0123456789012345678901234567890123456789012345678901234567890!?");
	if (no(s >= 0, "longest name: %s", strerror(-s)))
		return;
	s = create(dev, "name with / \xff\n and more");
	if (no(s >= 0, "strange name: %s", strerror(-s)))
		return;
}

/* each session is an open file */
static int many_files(void)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most))
		return -1;
	most.rlim_cur = most.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &most);
}

static void prepare(int gen)
{
	const struct plan *p = plan_of(gen);
	int dev = device(), fd, err, n, first = -1;
	int *open_now = calloc(p->sessions + 1, sizeof(*open_now));
	char name[64];

	if (no(dev >= 0, DEVICE ": %s", strerror(-dev)) ||
	    no(open_now && !many_files(), "many files: %s", strerror(errno)))
		return;
	if (p->kinds)
		prepare_kinds(dev, gen);
	for (int i = 0; i < p->sessions && !*wrong; i++) {
		snprintf(name, sizeof(name), "session %d of %d", i, gen);
		open_now[i] = create(dev, name);
		if (no(open_now[i] >= 0, "%s: %s", name, strerror(-open_now[i])))
			return;
		fd = patterned(PAGE, 7000 + i);
		err = preserve(open_now[i], fd, i);
		if (no(!err, "%s: %s", name, strerror(-err)))
			return;
		close(fd);
	}
	for (int i = 0; i < p->closed; i++)
		close(open_now[i]);
	for (int j = 0; j < 3; j++) {
		if (!p->files[j])
			continue;
		snprintf(name, sizeof(name), "files %d of %d", p->files[j], gen);
		n = create(dev, name);
		if (no(n >= 0, "%s: %s", name, strerror(-n)))
			return;
		for (int i = 0; i < p->files[j] && !*wrong; i++) {
			fd = patterned(PAGE, 10000 * (j + 1) + i);
			err = preserve(n, fd, 5000 + i);
			if (no(!err, "%s: number %d: %s", name, i, strerror(-err)))
				return;
			if (!i)
				first = fd;
			else
				close(fd);
			if (p->failures)
				fail_some(dev, n, 5000 + i);
		}
		/*
		 * A file is preserved once.  What fails makes room as well: the
		 * numbers that count are without it.
		 */
		err = p->failures ? preserve(n, first, 1) : -EBUSY;
		if (no(err == -EBUSY, "preserved twice: %s", strerror(-err)))
			return;
		close(first);
	}
	if (p->duplicate) {
		snprintf(name, sizeof(name), "session 0 of %d", gen);
		err = create(dev, name);
		if (no(err == -EEXIST, "the same name twice: %s", strerror(-err)))
			return;
	}
	free(open_now);
	close(dev);
}

/* what came */

/* st_blocks of so many bytes without holes */
static blkcnt_t blocks_of(size_t size)
{
	return (size + PAGE - 1) / PAGE * (PAGE / 512);
}

static void check_file(struct __test_metadata *_metadata, int fd, const char *what,
		       const struct kind *k, u64 seed)
{
	struct stat st;
	u64 bad;
	char *p;

	EXPECT_LE(0, fd) {
		TH_LOG("%s: %s", what, strerror(-fd));
	}
	if (fd < 0)
		return;
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(k->size, st.st_size) {
		TH_LOG("%s: %lld bytes, must be %lld", what, (long long)st.st_size,
		       k->size);
	}
	/* all of its pages are there, and no others */
	EXPECT_EQ(blocks_of(k->size), st.st_blocks) {
		TH_LOG("%s: %lld blocks, must be %lld", what, (long long)st.st_blocks,
		       (long long)blocks_of(k->size));
	}
	EXPECT_EQ(k->offset, lseek(fd, 0, SEEK_CUR)) {
		TH_LOG("%s: offset %lld, must be %lld", what,
		       (long long)lseek(fd, 0, SEEK_CUR), (long long)k->offset);
	}
	EXPECT_EQ(kind_seals(k), fcntl(fd, F_GET_SEALS)) {
		TH_LOG("%s: seals 0x%x, must be 0x%x", what, fcntl(fd, F_GET_SEALS),
		       kind_seals(k));
	}
	EXPECT_EQ(O_RDWR | LARGEFILE, fcntl(fd, F_GETFL) & (O_ACCMODE | LARGEFILE)) {
		TH_LOG("%s: flags 0%o", what, fcntl(fd, F_GETFL));
	}
	if (!k->size || st.st_size != (off_t)k->size)
		return;
	p = mmap(NULL, k->size, PROT_READ, MAP_SHARED, fd, 0);
	/* sealed against writes it can only be mapped privately on old kernels */
	if (p == MAP_FAILED)
		p = mmap(NULL, k->size, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, kho_pattern_check(p + k->data_from, k->data_len, seed, &bad)) {
		TH_LOG("%s: byte %llu of its data is not what was written", what, bad);
	}
	EXPECT_TRUE(zeroes(p, k->data_from) &&
		    zeroes(p + k->data_from + k->data_len,
			   k->size - k->data_from - k->data_len)) {
		TH_LOG("%s: a hole is not zero", what);
	}
	munmap(p, k->size);
}

static void check_page(struct __test_metadata *_metadata, int fd, const char *what,
		       u64 seed)
{
	const struct kind one = { .size = PAGE, .data_len = PAGE };

	check_file(_metadata, fd, what, &one, seed);
}

KHO_TEST_WHERE(l1, device_iff_enabled, not_here())
{
	const struct kho_boot *b = kho_boot_of(kho_generation());
	struct stat st;

	EXPECT_EQ(enabled(b), !stat(DEVICE, &st)) {
		TH_LOG("%s" DEVICE, enabled(b) ? "no " : "");
	}
	if (!b->on || !kho_no_debugfs())
		EXPECT_EQ(enabled(b), !access(OUT "/sub_fdts/LUO", F_OK));
	EXPECT_EQ(kho_cmdline_bool(NULL, "liveupdate") == 1 && !b->on,
		  kho_klog_find("Disabling liveupdate because KHO is disabled", NULL, 0));
	if (enabled(b)) {
		EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
		EXPECT_EQ(0, st.st_uid | st.st_gid);
	}
}

KHO_TEST_WHERE(l2, one_opener, no_luo())
{
	int dev = device(), other;

	ASSERT_LE(0, dev);
	EXPECT_EQ(-EBUSY, device());
	close(dev);
	/* once it is closed the next one may; also after a refusal */
	other = device();
	EXPECT_LE(0, other);
	close(other);
}

KHO_TEST_WHERE(l4, unknown_ioctl, no_luo())
{
	static const unsigned long unknown[] = {
		_IO(LIVEUPDATE_IOCTL_TYPE, 0x02), _IO(LIVEUPDATE_IOCTL_TYPE, 0x3f),
		_IO(LIVEUPDATE_IOCTL_TYPE, 0xff),
	};
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };
	int dev = device(), s = create(dev, "unknown");

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		errno = 0;
		EXPECT_EQ(-1, ioctl(dev, unknown[i], &arg));
		EXPECT_EQ(ENOTTY, errno) {
			TH_LOG("device: ioctl 0x%lx: %s", unknown[i] & 0xff, strerror(errno));
		}
	}
	for (unsigned long nr = 0; nr < 0x100; nr = nr < 0x44 ? nr + 1 : nr + 0xbb) {
		if (nr >= 0x40 && nr <= 0x43)
			continue;
		errno = 0;
		EXPECT_EQ(-1, ioctl(s, _IO(LIVEUPDATE_IOCTL_TYPE, nr), &arg));
		EXPECT_EQ(ENOTTY, errno) {
			TH_LOG("session: ioctl 0x%lx: %s", nr, strerror(errno));
		}
	}
}

/* of another type: none of live update's */
KHO_TEST_WHERE(l4, foreign_ioctl, no_luo())
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg), .name = "x" };
	int dev = device();

	ASSERT_LE(0, dev);
	EXPECT_EQ(-1, ioctl(dev, _IO(0xbb, 0), &arg));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(dev, _IOWR(LIVEUPDATE_IOCTL_TYPE, 0, arg), &arg));
	EXPECT_EQ(ENOTTY, errno);
}

/* size first: shorter is refused, longer taken if what is beyond is zero */
static void sizes(struct __test_metadata *_metadata, int fd, unsigned long cmd,
		  const void *arg, size_t size, int want)
{
	unsigned char buf[256];
	u32 len;

	for (len = 0; len < size; len += len < 8 ? 1 : 4) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, arg, size);
		memcpy(buf, &len, sizeof(len));
		errno = 0;
		EXPECT_EQ(-1, ioctl(fd, cmd, buf));
		EXPECT_EQ(EINVAL, errno) {
			TH_LOG("ioctl 0x%lx with size %u: %s", cmd & 0xff, len,
			       strerror(errno));
		}
	}
	for (len = size + 1; len <= size + 64; len += 21) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, arg, size);
		memcpy(buf, &len, sizeof(len));
		buf[len - 1] = 1;
		errno = 0;
		EXPECT_EQ(-1, ioctl(fd, cmd, buf));
		EXPECT_EQ(E2BIG, errno) {
			TH_LOG("ioctl 0x%lx with size %u and more: %s", cmd & 0xff, len,
			       strerror(errno));
		}
	}
	/* longer, and zero: as if it were not */
	memset(buf, 0, sizeof(buf));
	memcpy(buf, arg, size);
	len = size + 64;
	memcpy(buf, &len, sizeof(len));
	errno = 0;
	EXPECT_EQ(want ? -1 : 0, ioctl(fd, cmd, buf));
	EXPECT_EQ(want, errno) {
		TH_LOG("ioctl 0x%lx with size %u and zeros: %s", cmd & 0xff, len,
		       strerror(errno));
	}
	EXPECT_EQ(-1, ioctl(fd, cmd, NULL));
	EXPECT_EQ(EFAULT, errno);
}

KHO_TEST_WHERE(l3, structure_sizes, no_luo())
{
	struct liveupdate_ioctl_create_session c = { .size = sizeof(c), .name = "sizes 2" };
	struct liveupdate_session_preserve_fd p = { .size = sizeof(p), .token = 1 };
	struct liveupdate_session_get_name n = { .size = sizeof(n) };
	int dev = device(), s = create(dev, "sizes");

	ASSERT_EQ(72, sizeof(c));
	ASSERT_EQ(16, sizeof(p));
	ASSERT_EQ(72, sizeof(n));
	ASSERT_EQ(16, sizeof(struct liveupdate_session_retrieve_fd));
	ASSERT_EQ(8, sizeof(struct liveupdate_session_finish));
	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	sizes(_metadata, dev, LIVEUPDATE_IOCTL_CREATE_SESSION, &c, sizeof(c), 0);
	strcpy((char *)c.name, "no such session");
	sizes(_metadata, dev, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &c, sizeof(c), ENOENT);
	p.fd = patterned(PAGE, 1);
	sizes(_metadata, s, LIVEUPDATE_SESSION_PRESERVE_FD, &p, sizeof(p), 0);
	sizes(_metadata, s, LIVEUPDATE_SESSION_GET_NAME, &n, sizeof(n), 0);
}

KHO_CHECKS(l19, session_names);
KHO_TEST_WHERE(l5, session_names, no_luo())
{
	char longest[64], name[64];
	int dev = device(), s, again;

	ASSERT_LE(0, dev);
	memset(longest, 'n', sizeof(longest));
	EXPECT_EQ(-EINVAL, create(dev, longest)) {
		TH_LOG("a name of 64 bytes, which leave no room for its NUL");
	}
	longest[63] = '\0';
	EXPECT_EQ(-EINVAL, create(dev, "")) {
		TH_LOG("an empty name");
	}
	s = create(dev, longest);
	EXPECT_LE(0, s);
	EXPECT_EQ(0, get_name(s, name));
	EXPECT_STREQ(longest, name);
	EXPECT_EQ(-EEXIST, create(dev, longest));
	/* a prefix is another name */
	longest[62] = '\0';
	again = create(dev, longest);
	EXPECT_LE(0, again);
	close(again);
	longest[62] = 'n';
	close(s);
	/* gone with its last descriptor */
	s = create(dev, longest);
	EXPECT_LE(0, s);
	/* outgoing sessions are not among the incoming ones */
	EXPECT_EQ(-ENOENT, retrieve_session(dev, longest));
	EXPECT_NE(0, fcntl(s, F_GETFD) & FD_CLOEXEC);
}

/* of FINISH, which is for sessions that came, see memfds_of_every_kind */
KHO_TEST_WHERE(l18, reserved_field_of_get_name, no_luo())
{
	static const u32 reserved[] = { 1, 1 << 8, 1U << 31, ~0U };
	int dev = device(), s = create(dev, "reserved");
	char name[64] = "";

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		EXPECT_EQ(-EINVAL, get_name_reserved(s, name, reserved[i])) {
			TH_LOG("reserved field 0x%x", reserved[i]);
		}
	}
	EXPECT_STREQ("", name);
	EXPECT_EQ(0, get_name(s, name));
	EXPECT_STREQ("reserved", name);
}

KHO_TEST_WHERE(l6, preserve_refusals, no_luo())
{
	int dev = device(), s = create(dev, "refusals"), other = create(dev, "other");
	int fd = patterned(PAGE, 1), dup_fd = dup(fd), null = open("/dev/null", O_RDWR);
	int file = open("/tmp/file", O_RDWR | O_CREAT, 0600), pipes[2], reopened;
	char path[64];

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-EBADF, preserve(s, -1, 1));
	EXPECT_EQ(-EBADF, preserve(s, 4321, 1));
	EXPECT_EQ(-ENOENT, preserve(s, null, 1));
	EXPECT_EQ(-ENOENT, preserve(s, pipes[0], 1));
	EXPECT_EQ(-ENOENT, preserve(s, file, 1));
	EXPECT_EQ(-ENOENT, preserve(s, dev, 1));
	EXPECT_EQ(-ENOENT, preserve(s, s, 1));
	EXPECT_EQ(0, preserve(s, fd, 1));
	EXPECT_EQ(-EEXIST, preserve(s, patterned(PAGE, 2), 1));
	/* a file is preserved once, by whatever name, descriptor or session */
	EXPECT_EQ(-EBUSY, preserve(s, fd, 2));
	EXPECT_EQ(-EBUSY, preserve(s, dup_fd, 3));
	EXPECT_EQ(-EBUSY, preserve(other, fd, 1));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reopened = open(path, O_RDWR);
	ASSERT_LE(0, reopened);
	EXPECT_EQ(-EBUSY, preserve(other, reopened, 4));
	/* tokens belong to their session, and a refused one is free */
	EXPECT_EQ(0, preserve(other, patterned(PAGE, 2), 1));
	EXPECT_EQ(0, preserve(s, patterned(PAGE, 2), 2));
	/* what is only for incoming sessions */
	EXPECT_EQ(-EINVAL, retrieve(s, 1));
	EXPECT_EQ(-EINVAL, finish(s, 0));
	close(other);
	/* closed, it gives up what it held, and nothing else */
	EXPECT_EQ(-EBUSY, preserve(s, fd, 9));
	close(s);
	s = create(dev, "refusals");
	EXPECT_EQ(0, preserve(s, fd, 1));
	close(file);
	unlink("/tmp/file");
}

/* refused, it is not held */
KHO_TEST_WHERE(l6, refused_memfd_is_freed, no_luo())
{
	int dev = device(), s = create(dev, "holder"), other = create(dev, "refuser"), fd;
	u64 before = free_now(), after;

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	ASSERT_LE(0, other);
	fd = large();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, preserve(s, fd, 1));
	EXPECT_EQ(-EBUSY, preserve(other, fd, 1));
	close(s);
	close(fd);
	after = free_at_last(before - LARGE_HALF);
	EXPECT_LE(before - LARGE_HALF, after) {
		TH_LOG("%llu KiB free, before %llu KiB", after, before);
	}
}

KHO_CHECKS(l23, hugetlb_is_refused);
KHO_TEST_WHERE(l6, hugetlb_is_refused, no_luo())
{
	int dev = device(), s = create(dev, "hugetlb");
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	ASSERT_LE(0, dev);
	if (fd < 0)
		SKIP(return, "no hugetlb memfd: %s", strerror(errno));
	EXPECT_EQ(-ENOENT, preserve(s, fd, 1));
}

/* a file of 16 TiB has more pages than can be told of */
KHO_TEST_WHERE(l6, too_big_is_refused, no_luo())
{
	int dev = device(), s = create(dev, "big");
	int fd = memfd_create("big", MFD_CLOEXEC);

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	ASSERT_EQ(0, ftruncate(fd, (0xffffffffULL + 1) * PAGE));
	EXPECT_EQ(-EFBIG, preserve(s, fd, 1));
	/* refused, it is as free as before */
	EXPECT_EQ(0, ftruncate(fd, PAGE));
	EXPECT_EQ(0, preserve(s, fd, 1));
}

KHO_TEST_WHERE(l22, holes_are_filled, no_luo())
{
	int dev = device(), s = create(dev, "holes");
	int fd = memfd_create("holes", MFD_CLOEXEC);
	struct stat st;

	ASSERT_LE(0, s);
	ASSERT_EQ(0, ftruncate(fd, 16 * PAGE + 1));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_blocks);
	ASSERT_EQ(0, preserve(s, fd, 1));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(17 * PAGE / 512, st.st_blocks);
	EXPECT_EQ(16 * PAGE + 1, st.st_size);
}

KHO_TEST_WHERE(l16, refused_kexec_changes_nothing, no_luo())
{
	int dev = device(), s = create(dev, "refused kexec"), fd = patterned(PAGE, 1);
	char name[64];
	int loaded;

	loaded = kho_kexec_loaded();
	ASSERT_LE(0, loaded);
	if (loaded)
		SKIP(return, "a kernel is loaded: the kexec would take place");
	ASSERT_LE(0, s);
	ASSERT_EQ(0, preserve(s, fd, 1));
	EXPECT_EQ(-1, reboot(RB_KEXEC));
	EXPECT_EQ(EINVAL, errno);
	/* still the one that it was, and of use */
	EXPECT_EQ(0, get_name(s, name));
	EXPECT_STREQ("refused kexec", name);
	EXPECT_EQ(-EEXIST, preserve(s, patterned(PAGE, 2), 1));
	EXPECT_EQ(0, preserve(s, patterned(PAGE, 2), 2));
	EXPECT_EQ(-1, ftruncate(fd, 2 * PAGE));
	close(s);
	EXPECT_EQ(0, ftruncate(fd, 2 * PAGE));
}

KHO_TEST_WHERE(l8, size_is_frozen, no_luo())
{
	int dev = device(), s = create(dev, "frozen"), fd = patterned(2 * PAGE, 1);
	char byte = 'x';

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	ASSERT_EQ(0, preserve(s, fd, 1));
	EXPECT_EQ(-1, ftruncate(fd, PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, ftruncate(fd, 3 * PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(0, ftruncate(fd, 2 * PAGE));
	EXPECT_EQ(-1, pwrite(fd, &byte, 1, 2 * PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fallocate(fd, 0, 0, 3 * PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(1, pwrite(fd, &byte, 1, 2 * PAGE - 1));
	/* and free again with the session */
	close(s);
	EXPECT_EQ(0, ftruncate(fd, 3 * PAGE));
	EXPECT_EQ(1, pwrite(fd, &byte, 1, 3 * PAGE));
	EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
}

KHO_TEST_WHERE(l7, memory_is_given_up, no_luo())
{
	int dev = device(), s, fd;
	u64 before, held, after;

	ASSERT_LE(0, dev);
	/* the session is closed first, or the memfd */
	for (int first = 0; first < 2; first++) {
		before = free_now();
		s = create(dev, "large one");
		ASSERT_LE(0, s);
		fd = large();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, preserve(s, fd, 1));
		close(first ? fd : s);
		held = free_now();
		EXPECT_GT(before - LARGE_HALF, held) {
			TH_LOG("in use: %llu KiB free, before %llu KiB", held, before);
		}
		close(first ? s : fd);
		after = free_at_last(before - LARGE_HALF);
		EXPECT_LE(before - LARGE_HALF, after) {
			TH_LOG("%s closed last: %llu KiB free, before %llu KiB",
			       first ? "session" : "memfd", after, before);
		}
	}
}

/* preserved pages are out of everyone's reach: also of scratch */
KHO_TEST_WHERE(s21, preserved_pages_are_not_in_scratch, no_luo() ?: kho_no_debugfs())
{
	static struct kho_region r[KHO_REGIONS_MAX];
	int n = kho_scratch_read(OUT, r, KHO_REGIONS_MAX), bad = 0;
	int dev = device(), s = create(dev, "scratch"), map;
	const size_t size = 64 << 20;
	int fd = patterned(size, 1);
	char *p;

	ASSERT_LT(0, n);
	ASSERT_LE(0, s);
	/* movable memory may well be in scratch; it has to leave */
	ASSERT_EQ(0, preserve(s, fd, 1));
	p = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_LE(0, map);
	for (size_t i = 0; i < size; i += PAGE) {
		u64 e = 0;

		ASSERT_EQ(8, pread(map, &e, sizeof(e), (u64)(p + i) / PAGE * 8));
		ASSERT_NE(0, e >> 63);
		bad += kho_regions_overlap(r, n, (e & ((1ULL << 55) - 1)) * PAGE, PAGE);
	}
	EXPECT_EQ(0, bad) {
		TH_LOG("%d preserved pages are in scratch", bad);
	}
}

/* how often lib/tests/liveupdate.c said so of each; -1 if not of all alike */
static int flbs_said(const char *what)
{
	char text[128];
	int all = 0, n;

	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "liveupdate test: liveupdate-test-flb-v%d: %s",
			 i, what);
		n = kho_klog_find(text, NULL, 0);
		if (i && n != all)
			return -1;
		all = n;
	}
	return all;
}

KHO_TEST_WHERE(l25, flbs_follow_their_files, no_flbs())
{
	int dev = device(), s = create(dev, "first"), other = create(dev, "last");
	int did = flbs_said("preserve was triggered");
	int undid = flbs_said("unpreserve was triggered");

	ASSERT_LE(0, dev);
	ASSERT_LE(0, s);
	ASSERT_LE(0, other);
	ASSERT_LE(0, did);
	/* what the other checks preserved they gave up */
	EXPECT_EQ(did, undid);
	EXPECT_EQ(0, preserve(s, patterned(PAGE, 1), 1));
	EXPECT_EQ(did + 1, flbs_said("preserve was triggered"));
	EXPECT_EQ(0, preserve(s, patterned(PAGE, 1), 2));
	EXPECT_EQ(0, preserve(other, patterned(PAGE, 1), 1));
	EXPECT_EQ(did + 1, flbs_said("preserve was triggered"));
	close(s);
	EXPECT_EQ(undid, flbs_said("unpreserve was triggered"));
	close(other);
	EXPECT_EQ(undid + 1, flbs_said("unpreserve was triggered"));
	/* and anew */
	s = create(dev, "first");
	EXPECT_EQ(0, preserve(s, patterned(PAGE, 1), 1));
	EXPECT_EQ(did + 2, flbs_said("preserve was triggered"));
	close(s);
	EXPECT_EQ(undid + 2, flbs_said("unpreserve was triggered"));
}

KHO_TEST_WHERE(l15, number_of_the_update, not_here())
{
	const struct kho_boot *b = kho_boot_of(kho_generation());
	char line[256] = "", want[128];
	int number = 0, gen = kho_generation();

	if (!b->on)
		SKIP(return, "KHO is off in this generation");
	/* how many in a row had it on when they went */
	for (int i = gen; i > 0 && kho_boot_of(i)->handed_over &&
	     enabled(kho_boot_of(i - 1)); i--)
		number++;
	EXPECT_EQ(!!number, kho_klog_find("luo: Retrieved live update data", line,
					  sizeof(line)));
	snprintf(want, sizeof(want),
		 "luo: Retrieved live update data, liveupdate number: %d", number);
	if (!number)
		return;
	EXPECT_STREQ(want, line);
}

KHO_TEST_WHERE(l9, unknown_is_not_found, nothing_came())
{
	int dev = device();

	ASSERT_LE(0, dev);
	EXPECT_EQ(-ENOENT, retrieve_session(dev, "never was"));
	EXPECT_EQ(-ENOENT, retrieve_session(dev, ""));
}

KHO_CHECKS(l11, memfds_of_every_kind);
KHO_CHECKS(l18, memfds_of_every_kind);
KHO_CHECKS(l21, memfds_of_every_kind);
/* a session that is looked at once is gone: all about one is in one check */
KHO_TEST_WHERE(l10, memfds_of_every_kind, nothing_came())
{
	/* the kind of 1 MiB, all of it data */
	enum { LEFT = 5 };
	u64 before = 0, after = 0;
	int gen = kho_generation() - 1, dev = device(), s, fd, again, other;
	int fds[ARRAY_SIZE(kinds)];
	char what[64], name[64];

	if (!plan_of(gen)->kinds)
		SKIP(return, "the generation before prepared others");
	ASSERT_LE(0, dev);
	s = retrieve_session(dev, "kinds");
	ASSERT_LE(0, s);
	EXPECT_EQ(-EINVAL, retrieve_session(dev, "kinds")) {
		TH_LOG("a session is retrieved once");
	}
	EXPECT_EQ(0, get_name(s, name));
	EXPECT_STREQ("kinds", name);
	EXPECT_EQ(-EINVAL, preserve(s, dev, 1));
	EXPECT_EQ(-ENOENT, retrieve(s, 424242));
	/* in any order: from the last to the first in every second generation */
	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		size_t i = gen & 1 ? ARRAY_SIZE(kinds) - 1 - n : n;

		/* one is left to whoever finishes the session */
		if (i != LEFT)
			fds[i] = retrieve(s, token_of(i));
	}
	/* nothing that came may be dropped: it has no other copy */
	pressure();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (i == LEFT)
			continue;
		snprintf(what, sizeof(what), "memfd of kind %zu", i);
		fd = fds[i];
		check_file(_metadata, fd, what, &kinds[i], kind_seed(gen, i));
		if (fd < 0)
			continue;
		EXPECT_NE(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
		/* again: another descriptor of the same file */
		again = retrieve(s, token_of(i));
		EXPECT_LE(0, again);
		if (again >= 0 && kinds[i].size && !(kind_seals(&kinds[i]) &
						     (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
			char byte = 'y', seen = 0;

			EXPECT_EQ(1, pwrite(again, &byte, 1, 0)) {
				TH_LOG("%s: write: %s", what, strerror(errno));
			}
			EXPECT_EQ(1, pread(fd, &seen, 1, 0));
			EXPECT_EQ(byte, seen);
		}
		/* what is cut off is taken off its account */
		if (again >= 0 && kinds[i].size > PAGE && !kinds[i].huge && !kinds[i].seals) {
			struct stat st;

			EXPECT_EQ(0, ftruncate(again, PAGE));
			ASSERT_EQ(0, fstat(again, &st));
			EXPECT_EQ(blocks_of(PAGE), st.st_blocks) {
				TH_LOG("%s, cut to a page: %lld blocks", what,
				       (long long)st.st_blocks);
			}
		}
		close(again);
		close(fd);
	}
	/* until it is finished a file belongs to its session */
	fd = retrieve(s, token_of(3));
	other = create(dev, "anew");
	EXPECT_LE(0, other);
	EXPECT_EQ(-EBUSY, preserve(other, fd, 1));
	EXPECT_EQ(-EINVAL, finish(s, 1)) {
		TH_LOG("finish with a reserved field that is not zero");
	}
	pressure();
	ASSERT_EQ(0, kho_meminfo("MemTotal", &before));
	EXPECT_EQ(0, finish(s, 0));
	ASSERT_EQ(0, kho_meminfo("MemTotal", &after));
	/* what nobody asked for is given back to the system */
	EXPECT_LE(before + kinds[LEFT].size / 1024, after) {
		TH_LOG("MemTotal %llu KiB, before finish %llu KiB", after, before);
	}
	EXPECT_EQ(0, preserve(other, fd, 1)) {
		TH_LOG("a finished file can be preserved again");
	}
	EXPECT_EQ(-ENOENT, retrieve(s, token_of(3)));
	EXPECT_EQ(-ENOENT, retrieve(s, token_of(LEFT)));
	close(s);
	EXPECT_EQ(-ENOENT, retrieve_session(dev, "kinds"));
	s = retrieve_session(dev, "name with / \xff\n and more");
	EXPECT_LE(0, s);
	EXPECT_EQ(0, finish(s, 0));
	s = retrieve_session(dev,
			     "0123456789012345678901234567890123456789012345678901234567890!?");
	EXPECT_LE(0, s);
	EXPECT_EQ(-ENOENT, retrieve(s, 0));
}

KHO_TEST_WHERE(l10, noexec_memfd, nothing_came())
{
	int gen = kho_generation() - 1, dev = device(), s, fd;
	char byte = 'y';

	if (!plan_of(gen)->kinds)
		SKIP(return, "the generation before prepared others");
	ASSERT_LE(0, dev);
	s = retrieve_session(dev, "noexec");
	ASSERT_LE(0, s);
	fd = retrieve(s, 1);
	check_file(_metadata, fd, "memfd that cannot be executed", &noexec, NOEXEC_SEED);
	/* it was not sealed against that */
	EXPECT_EQ(1, pwrite(fd, &byte, 1, 0)) {
		TH_LOG("memfd that cannot be executed: write: %s", strerror(errno));
	}
}

KHO_TEST_WHERE(l18, finished_memfd_is_freed, nothing_came())
{
	static const struct kind zero = { .size = LARGE };
	int gen = kho_generation() - 1, dev = device(), s, fd;
	u64 before, held, after;

	if (!plan_of(gen)->kinds)
		SKIP(return, "the generation before prepared others");
	ASSERT_LE(0, dev);
	s = retrieve_session(dev, "large");
	ASSERT_LE(0, s);
	before = free_now();
	fd = retrieve(s, 1);
	check_file(_metadata, fd, "large memfd", &zero, 0);
	EXPECT_EQ(0, finish(s, 0));
	held = free_now();
	EXPECT_GT(before + LARGE_HALF, held) {
		TH_LOG("in use: %llu KiB free, before %llu KiB", held, before);
	}
	/* its session released it: that is still open */
	close(fd);
	after = free_at_last(before + LARGE_HALF);
	EXPECT_LE(before + LARGE_HALF, after) {
		TH_LOG("%llu KiB free, before its retrieval %llu KiB", after, before);
	}
}

KHO_TEST_WHERE(l13, each_session_came, nothing_came())
{
	int gen = kho_generation() - 1, dev = device(), s, lost = 0;
	const struct plan *p = plan_of(gen);
	char name[64];

	if (!p->sessions)
		SKIP(return, "the generation before prepared others");
	ASSERT_LE(0, dev);
	for (int i = 0; i < p->sessions; i++) {
		snprintf(name, sizeof(name), "session %d of %d", i, gen);
		s = retrieve_session(dev, name);
		if (i < p->closed) {
			EXPECT_EQ(-ENOENT, s) {
				TH_LOG("%s was closed, and is here", name);
			}
			continue;
		}
		if (s < 0 && lost++ < 5)
			TH_LOG("%s: %s", name, strerror(-s));
		if (s < 0)
			continue;
		check_page(_metadata, retrieve(s, i), name, 7000 + i);
		/* half of them by the ioctl, half by their end */
		EXPECT_EQ(0, i & 1 ? finish(s, 0) : 0);
		close(s);
	}
	EXPECT_EQ(0, lost);
}

/* these files are the last: all others were finished by the checks before */
static void flbs_are(struct __test_metadata *_metadata, int finished)
{
	if (!plan_of(kho_generation() - 1)->files[0])
		SKIP(return, "the generation before prepared others");
	EXPECT_EQ(1, flbs_said("found flb data from the previous boot"));
	EXPECT_EQ(finished, flbs_said("finish was triggered"));
}

KHO_TEST_WHERE(l25, flbs_wait_for_the_last_file, no_flbs() ?: nothing_came())
{
	flbs_are(_metadata, 0);
}

KHO_TEST_WHERE(l13, each_file_came, nothing_came())
{
	int gen = kho_generation() - 1, dev = device(), s, seen = 0;
	const struct plan *p = plan_of(gen);
	char name[64], what[96];

	ASSERT_LE(0, dev);
	for (int j = 0; j < 3; j++) {
		if (!p->files[j])
			continue;
		snprintf(name, sizeof(name), "files %d of %d", p->files[j], gen);
		s = retrieve_session(dev, name);
		EXPECT_LE(0, s) {
			TH_LOG("%s: %s", name, strerror(-s));
		}
		for (int i = 0; s >= 0 && i < p->files[j]; i++) {
			int fd = retrieve(s, 5000 + i);

			snprintf(what, sizeof(what), "%s, number %d", name, i);
			check_page(_metadata, fd, what, 10000 * (j + 1) + i);
			close(fd);
		}
		EXPECT_EQ(-ENOENT, retrieve(s, 5000 + p->files[j]));
		/* that which failed left nothing */
		EXPECT_EQ(-ENOENT, retrieve(s, 999));
		close(s);
		seen++;
	}
	if (!seen)
		SKIP(return, "the generation before prepared others");
}

KHO_TEST_WHERE(l25, flbs_end_with_the_last_file, no_flbs() ?: nothing_came())
{
	flbs_are(_metadata, 1);
}

KHO_TEST_WHERE(l12, not_retrieved_is_not_carried_on, no_luo())
{
	int gen = kho_generation(), dev = device();
	char name[64];

	if (gen < 2 || !plan_of(gen - 2)->sessions)
		SKIP(return, "the generation before the last prepared no such");
	ASSERT_LE(0, dev);
	for (int i = 0; i < plan_of(gen - 2)->sessions; i++) {
		snprintf(name, sizeof(name), "session %d of %d", i, gen - 2);
		EXPECT_EQ(-ENOENT, retrieve_session(dev, name)) {
			TH_LOG("%s is here", name);
		}
	}
}

/* the last check: from here on what there is belongs to the next generation */
KHO_TEST_WHERE(l7, all_is_prepared, no_luo())
{
	char said[256] = "?";
	int pipes[2];
	ssize_t n;

	ASSERT_EQ(0, pipe(pipes));
	if (!fork()) {
		/* not to be ended with the check */
		setsid();
		signal(SIGHUP, SIG_IGN);
		prepare(kho_generation());
		n = write(pipes[1], wrong, strlen(wrong) + 1);
		close(pipes[1]);
		for (;;)
			pause();
	}
	close(pipes[1]);
	n = read(pipes[0], said, sizeof(said) - 1);
	EXPECT_LT(0, n);
	EXPECT_STREQ("", said) {
		TH_LOG("%s", said);
	}
}

TEST_HARNESS_MAIN
