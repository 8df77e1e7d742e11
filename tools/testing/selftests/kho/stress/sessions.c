// SPDX-License-Identifier: GPL-2.0-only
/*
 * sessions.c - live update while the kexec happens
 *
 * On each CPU somebody makes sessions, preserves files in them and closes them
 * again, for as long as the kernel lives: the kexec comes in the midst of that.
 * A session may have come over or not, and its file; what came must be whole.
 */
#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "luo.h"

KHO_SCENARIO(sessions) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.sessions",
	.summary = "a chain whose sessions are made and closed on all CPUs meanwhile",
	.memory_mib = 512, .cpus = 4, .generations = 5,
	.flags = KHO_SC_CHAIN | KHO_SC_PARALLEL,
	/* what came is given back while more is made: what is reserved depends on chance */
	.cmdline = "kho=on liveupdate=on kho_levels=slopes\n"
		   "reserve_mem=4M:4K:once reserve_mem=1028K:4K:anew",
	.programs = { "kho_chain", "kho_sessions" },
};

/* and made once, with what else is preserved, while scratch is full */
KHO_SCENARIO(full) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.fill.carry",
	.summary = "live update and objects of a module, while scratch is full and stress-ng works",
	.nr_nodes = 2, .node = { { 640, 1 }, { 512, 1 } }, .generations = 3,
	.step_seconds = 120, .flags = KHO_SC_PARALLEL | KHO_SC_MODULE,
	.cmdline = "kho=on liveupdate=on kho_scratch=96M,64M,64M\n"
		   "kho_fill=anon,memfd kho_storm=vm,memfd,migrate,fork\n"
		   "kho_payload=replace kho_sessions=once",
	.programs = { "kho_fill", "kho_payload", "kho_sessions" },
	.files = { "stress-ng" },
};

#define WORKERS_MAX	64
/* of each worker, at a time */
#define SESSIONS	6
#define FILES		3
/* rounds that each worker has done before the kexec may come */
#define ROUNDS		20

static int cpus;
static bool once;

static void name_of(char *name, size_t size, int worker, int nr)
{
	snprintf(name, size, "w%d.%d", worker, nr);
}

/* what a file is filled with; what is older than a generation is wrong, too */
static u64 seed_of(int gen, int worker, int nr, int file)
{
	return ((u64)gen * WORKERS_MAX + worker) * 100 + nr * 10 + file;
}

static size_t size_of_file(int nr, int file)
{
	return (size_t)sysconf(_SC_PAGESIZE) * (1 + nr + 5 * file);
}

static void __noreturn worker(int dev, int nr, int done)
{
	int open_ones[SESSIONS], at = 0, rounds = 0;
	cpu_set_t on;
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];

	CPU_ZERO(&on);
	CPU_SET(nr, &on);
	sched_setaffinity(0, sizeof(on), &on);
	memset(open_ones, -1, sizeof(open_ones));
	/* output belongs to who ends before us */
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	for (;;) {
		if (open_ones[at] >= 0)
			close(open_ones[at]);
		name_of(name, sizeof(name), nr, at);
		open_ones[at] = create(dev, name);
		for (int file = 0; file < FILES && open_ones[at] >= 0; file++) {
			int fd = patterned(size_of_file(at, file),
					   seed_of(kho_generation(), nr, at, file));

			if (fd < 0)
				break;
			/* who preserves it holds it; when the kexec comes it is refused */
			preserve(open_ones[at], fd, file);
			close(fd);
		}
		at = (at + 1) % SESSIONS;
		if (++rounds == (once ? SESSIONS : ROUNDS) && write(done, "", 1) != 1)
			_exit(1);
		while (once && rounds == SESSIONS)
			pause();
	}
}

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       kho_why_not() ?: access(DEVICE, F_OK) ? "live update is off" : NULL;
}

static void retrieve_one(struct __test_metadata *_metadata, int s, const char *name, int nr,
			 int worker, int *files)
{
	int gen = kho_generation() - 1;

	for (int file = 0; file < FILES; file++) {
		size_t size = size_of_file(nr, file);
		int fd = retrieve(s, file), err;
		u64 bad = 0;
		void *p;

		/* the kexec came before this one, and before all that follow */
		if (fd == -ENOENT)
			break;
		EXPECT_LE(0, fd) {
			TH_LOG("%s: file %d: %s", name, file, strerror(-fd));
		}
		if (fd < 0)
			continue;
		(*files)++;
		EXPECT_EQ((off_t)size, lseek(fd, 0, SEEK_END)) {
			TH_LOG("%s: file %d is not %zu bytes long", name, file, size);
		}
		p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		err = kho_pattern_check(p, size, seed_of(gen, worker, nr, file), &bad);
		EXPECT_EQ(0, err) {
			TH_LOG("%s: file %d: byte %llu of %zu is not what was written", name,
			       file, bad, size);
		}
		munmap(p, size);
		close(fd);
	}
}

KHO_TEST_WHERE(l13, what_came_is_whole, not_here())
{
	int dev, sessions = 0, files = 0;

	if (!kho_generation())
		SKIP(return, "the next generation tells");
	dev = device();
	ASSERT_LE(0, dev) {
		TH_LOG("%s: %s", DEVICE, strerror(-dev));
	}
	for (int w = 0; w < cpus; w++) {
		for (int nr = 0; nr < SESSIONS; nr++) {
			char name[LIVEUPDATE_SESSION_NAME_LENGTH];
			int s, err;

			name_of(name, sizeof(name), w, nr);
			s = retrieve_session(dev, name);
			/* closed when the kexec came, to be made anew */
			if (s == -ENOENT)
				continue;
			EXPECT_LE(0, s) {
				TH_LOG("session %s: %s", name, strerror(-s));
			}
			if (s < 0)
				continue;
			sessions++;
			retrieve_one(_metadata, s, name, nr, w, &files);
			err = finish(s, 0);
			EXPECT_EQ(0, err) {
				TH_LOG("session %s: finish: %s", name, strerror(-err));
			}
			close(s);
		}
	}
	close(dev);
	printf("# kho: value name=sessions.came unit=sessions value=%d\n", sessions);
	printf("# kho: value name=sessions.files unit=files value=%d\n", files);
	fflush(stdout);
	/* each worker has one that is closed, or not yet made, and no more */
	EXPECT_LE(cpus * (SESSIONS - !once), sessions);
	EXPECT_LE(cpus * (SESSIONS - !once) * FILES, files);
}

KHO_TEST_WHERE(l13, sessions_are_made_on_all_cpus, not_here())
{
	int dev = device(), fds[2];
	char c;

	ASSERT_LE(0, dev) {
		TH_LOG("%s: %s", DEVICE, strerror(-dev));
	}
	ASSERT_EQ(0, pipe(fds));
	for (int i = 0; i < cpus; i++)
		if (!fork())
			worker(dev, i, fds[1]);
	close(fds[1]);
	for (int i = 0; i < cpus; i++)
		EXPECT_EQ(1, read(fds[0], &c, 1));
	/* they go on, and hold the device and their sessions, until the kernel is gone */
	close(dev);
}

int main(int argc, char **argv)
{
	char how[16] = "";

	/* what does not change while the kexec comes must have come to the last file */
	kho_cmdline_get(NULL, "kho_sessions", 0, how, sizeof(how));
	once = !strcmp(how, "once");
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpus = cpus > WORKERS_MAX ? WORKERS_MAX : cpus;
	return test_harness_run(argc, argv);
}
