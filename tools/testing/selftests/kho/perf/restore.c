// SPDX-License-Identifier: GPL-2.0-only
/*
 * restore.c - what preserved memory costs the next kernel, and how long nobody runs
 *
 * A chain whose generations each hand over something else: so much in so many pieces.
 * What the kernel that gets it needs until it runs programs, beside what it needs when
 * it gets nothing, is what KHO's part of boot costs; what it costs to get the pieces
 * back is measured then.
 *
 * When the kernel before began to reboot, and when it had shut down, the test producer's
 * module hands over with its ledger, by the processor's counter, which goes on over a
 * kexec.
 */
#include "perf.h"

#include "module.h"
#include "luo.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>

#define REQUIRES								\
	.cpus = 1, .memory_mib = 1024, .step_seconds = 120,			\
	.cmdline = "kho=on liveupdate=on",					\
	/* see payloads[] */							\
	.steps = "boot\nkexec\nkexec\nkexec\nkexec\nkexec\nkexec\nkexec\nkexec\n"	\
		 "kexec\nkexec\nkexec\nkexec\nkexec\nkexec\nkexec\nkexec\nkexec kho=off\n"

KHO_SCENARIO(exact) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.restore.exact",
	.summary = "what preserved memory costs the next kernel, in instructions",
	.flags = KHO_SC_EXACT | KHO_SC_MODULE, REQUIRES,
};

KHO_SCENARIO(clocked) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.restore.clock",
	.summary = "what preserved memory costs the next kernel, by the clock",
	.flags = KHO_SC_MODULE, REQUIRES,
};

#define JUMPS_REQUIRE								\
	.cpus = 1, .memory_mib = 1024, .step_seconds = 120,			\
	/* into one region, which arm64 takes if the kernel fits into no other */ \
	.cmdline = "kho=on kho_scratch=8M,160M,16M",				\
	/* see padding[] */							\
	.steps = "boot\nkexec\nkexec\nkexec\nkexec\nkexec\n"

KHO_SCENARIO(jump) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.jump.exact",
	.summary = "what of the jump goes with the size of the image, in instructions",
	.flags = KHO_SC_EXACT | KHO_SC_MODULE | KHO_SC_PROGRAM_LOADS, JUMPS_REQUIRE,
};

KHO_SCENARIO(jump_clocked) = {
	KHO_SCENARIO_HEAD,
	.name = "perf.jump.clock",
	.summary = "what of the jump goes with the size of the image, by the clock",
	.flags = KHO_SC_MODULE | KHO_SC_PROGRAM_LOADS, JUMPS_REQUIRE,
};

/* zeroes behind the initramfs that a generation loads, in MiB; the first is a warm-up */
static const int padding[] = { 0, 0, 16, 32, 48 };

#define JUMPS		((int)ARRAY_SIZE(padding))

/**
 * struct payload - what a generation hands over
 * @name: of its series
 * @kind: of the module's objects, "memfd" for those that live update preserves; or NULL
 * @nr: how many
 * @n: the size of each: order, or pages
 * @scattered: with free memory between them
 * @huge: of huge pages
 */
static const struct payload {
	const char *name, *kind;
	int nr;
	unsigned long n;
	bool scattered, huge;
} payloads[] = {
	/* the cold boot's image is another than those behind it */
	{ .name = "warm_up" },
	{ .name = "empty" },
	{ .name = "folios.512", .kind = "folio", .nr = 512 },
	{ .name = "folios.1024", .kind = "folio", .nr = 1024 },
	{ .name = "folios.2048", .kind = "folio", .nr = 2048 },
	{ .name = "scattered.256", .kind = "folio", .nr = 256, .scattered = true },
	{ .name = "scattered.512", .kind = "folio", .nr = 512, .scattered = true },
	{ .name = "scattered.1024", .kind = "folio", .nr = 1024, .scattered = true },
	{ .name = "large.16", .kind = "folio", .nr = 16, .n = 9 },
	{ .name = "large.64", .kind = "folio", .nr = 64, .n = 9 },
	{ .name = "runs.8", .kind = "pages", .nr = 8, .n = 1024 },
	{ .name = "vmalloc.4096", .kind = "vmalloc", .nr = 1, .n = 4096 },
	{ .name = "memfd.4096", .kind = "memfd", .nr = 1, .n = 4096 },
	{ .name = "memfd.16384", .kind = "memfd", .nr = 1, .n = 16384 },
	{ .name = "memfd_huge.16384", .kind = "memfd", .nr = 1, .n = 16384, .huge = true },
	{ .name = "memfds.64", .kind = "memfd", .nr = 64, .n = 64 },
	/* to a kernel that KHO is off in; it takes what comes nevertheless */
	{ .name = "off" },
};

#define EMPTY		1
#define PAYLOADS	((int)ARRAY_SIZE(payloads))
#define GROUP		"restore"
#define FILES_MAX	64
#define SHMEM_HUGE	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"
/* what is reserved one by one among others that are is moved aside for each: no worse */
#define WORST		2.15

/* when this program began, by the processor's counter and by the clock */
static u64 began, began_at;

/* before anything else */
static void __attribute__((constructor(200))) begin_counting(void)
{
	began = perf_counter();
	began_at = perf_now();
	no_module = load_module(perf_exact() ? "cycles=1" : "");
}

/* what a difference of the counter is in perf_unit() */
static u64 to_unit(u64 ticks)
{
#ifdef __aarch64__
	u64 hz;

	/* no tick for each instruction, and a rate that is known */
	asm volatile("mrs %0, cntfrq_el0" : "=r" (hz));
	return (double)ticks * 1e9 / hz;
#endif
	/* to the last digit */
	if (perf_exact())
		return ticks;
	/* by what it has counted since this program began */
	return (double)ticks * (perf_now() - began_at) / (perf_counter() - began);
}

static const char *no_machine(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       kho_unknown() ?: no_producer_here();
}

static bool jumping(void)
{
	return strstr(kho_scenario_name(), "perf.jump");
}

static const char *not_here(void)
{
	return no_machine() ?: jumping() ? "of perf.restore" :
	       kho_generation() > PAYLOADS ? "all there is to hand over was handed over" : NULL;
}

static const char *not_jumping(void)
{
	return no_machine() ?: jumping() ? NULL : "of perf.jump";
}

static const char *not_handed_over(void)
{
	return kho_generation() && kho_handed_over() != 1 ? "nothing is handed over to it" : NULL;
}

/* a number that the module's reply has behind a word; 0 if it has none */
static u64 told(const char *word)
{
	const char *p = strstr(reply, word);

	return p ? strtoull(p + strlen(word), NULL, 10) : 0;
}

/*
 * when the kernel log has a line, in nanoseconds of its own clock, and that line; 0 if
 * never, and 1 for what was before the clock went
 */
static u64 logged(const char *text, char *line, size_t size)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	static char buf[8192];
	u64 when = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf) - 1)) > 0) {
		const char *msg;
		u64 at;

		buf[n] = '\0';
		msg = strchr(buf, ';');
		/* "priority,sequence,microseconds,flags;message" */
		if (!msg || strncmp(msg + 1, text, strlen(text)) ||
		    sscanf(buf, "%*u,%*u,%llu", &at) != 1)
			continue;
		snprintf(line, size, "%s", msg + 1);
		when = at ? at * 1000 : 1;
		break;
	}
	close(fd);
	return when;
}

/**
 * struct moments - when this kernel was where, by the processor's counter
 * @clock: the kernel began to count time, not long after it had been entered
 * @memory: its allocators were up (mm_core_init()); what was handed over is reserved and
 *	the preserved-memory map walked by then.  The same as @clock where that began later,
 *	as it does with arm64's timer
 * @initcalls: all CPUs were up, and initcalls began
 * @init: it started init
 */
struct moments {
	u64 clock, memory, initcalls, init;
};

/*
 * Until the log's clock is known to be stable it goes with what timers say, and where
 * instructions are counted idle time has none of them: what it was ahead by the kernel
 * says when it becomes stable.
 */
static bool moments(struct moments *m)
{
	u64 now, at, init, memory, initcalls, tick = to_unit(1000000000);
	long long ahead = 0;
	char line[256];

	/* a line without an end is kept back for what may follow */
	if (!tick || kho_write("/dev/kmsg", "<7>kho_restore: now\n"))
		return false;
	now = perf_counter();
	at = logged("kho_restore: now", line, sizeof(line));
	init = logged("Run /init as init process", line, sizeof(line));
	if (logged("sched_clock: Marking stable", line, sizeof(line)))
		sscanf(line, "sched_clock: Marking stable (%*d, %*d)->(%*d, %lld)", &ahead);
	memory = logged("SLUB: HWalign=", line, sizeof(line));
	initcalls = logged("devtmpfs: initialized", line, sizeof(line));
	m->init = now - (u64)((double)(at - init) / tick * 1e9);
	m->clock = now - (u64)((double)(at - ahead) / tick * 1e9);
	m->memory = m->clock;
	if (memory > 1)
		m->memory += (u64)((double)memory / tick * 1e9);
	m->initcalls = m->clock + (u64)((double)initcalls / tick * 1e9);
	return at && init && memory && initcalls;
}

static void tell(const char *what, const char *payload, u64 value)
{
	char name[96];

	snprintf(name, sizeof(name), "%s.%s", what, payload);
	perf_tell(GROUP, name, &value, 1);
}

/**
 * struct costs - what earlier generations found out
 * @boot: what it took from the end of the kernel before to a program, by payload
 */
struct costs {
	u64 boot[ARRAY_SIZE(payloads)];
};

static struct costs costs;

static void grows_with(struct __test_metadata *_metadata, const char *name, const char *of,
		       const char * const *payload, const double *x, int n)
{
	struct perf_curve c = { .name = name, .of = of };
	double order;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < PAYLOADS; j++)
			if (!strcmp(payloads[j].name, payload[i]))
				perf_point(&c, x[i], (double)costs.boot[j] - costs.boot[EMPTY]);
	ASSERT_EQ(n, c.n);
	order = perf_growth(GROUP, &c);
	if (!perf_exact())
		return;
	EXPECT_GE(WORST, order) {
		TH_LOG("%s grows with the power %.2f of %s", name, order, of);
	}
}

/* what came, and what boot took with it */
KHO_TEST_WHERE(p1, boot, not_here() ?: not_handed_over())
{
	static const char * const folios[] = {
		"empty", "folios.512", "folios.1024", "folios.2048",
	};
	static const double nr_folios[] = { 0, 512, 1024, 2048 };
	static const char * const scattered[] = {
		"empty", "scattered.256", "scattered.512", "scattered.1024",
	};
	static const double nr_scattered[] = { 0, 256, 512, 1024 };
	static const char * const memfds[] = { "empty", "memfd.4096", "memfd.16384" };
	static const double nr_pages[] = { 0, 4096, 16384 };
	int gen = kho_generation(), of = gen - 1;
	u64 kexec, reboot, shutdown;
	struct moments m;

	ASSERT_EQ(0, no_module);
	if (gen > 1)
		ASSERT_EQ(0, kho_state_get("costs", gen - 1, &costs, sizeof(costs)));
	if (gen) {
		ASSERT_EQ(0, producer("self"));
		reboot = told("reboot ");
		kexec = told("kexec ");
		shutdown = told("shutdown ");
		ASSERT_TRUE(moments(&m));
		ASSERT_LT(0, reboot);
		ASSERT_LE(kexec, reboot);
		ASSERT_LT(reboot, shutdown);
		ASSERT_LT(shutdown, m.clock);
		ASSERT_LE(m.clock, m.memory);
		ASSERT_LT(m.memory, m.initcalls);
		ASSERT_LT(m.initcalls, m.init);
		ASSERT_LT(m.init, began);
		costs.boot[of] = to_unit(began - shutdown);
		tell("boot", payloads[of].name, costs.boot[of]);
		/* of the time that nobody runs in: what live update preserves is frozen;
		 * devices are taken down; the next kernel is copied, verified and unpacked; it
		 * boots: memory management, the rest of the kernel, drivers; init gets here
		 */
		if (kexec)
			tell("blackout.freeze", payloads[of].name, to_unit(reboot - kexec));
		else
			printf("# no kprobes: the blackout is without what is frozen\n");
		tell("blackout", payloads[of].name, to_unit(began - (kexec ?: reboot)));
		tell("blackout.shutdown", payloads[of].name, to_unit(shutdown - reboot));
		tell("blackout.jump", payloads[of].name, to_unit(m.clock - shutdown));
		tell("blackout.kernel", payloads[of].name, to_unit(m.init - m.clock));
		if (m.memory == m.clock)
			printf("# the clock of the log goes late: early boot is in the jump\n");
		else
			tell("blackout.kernel.early", payloads[of].name,
			     to_unit(m.memory - m.clock));
		tell("blackout.kernel.late", payloads[of].name, to_unit(m.initcalls - m.memory));
		tell("blackout.kernel.initcalls", payloads[of].name,
		     to_unit(m.init - m.initcalls));
		tell("blackout.init", payloads[of].name, to_unit(began - m.init));
	}
	ASSERT_EQ(0, kho_state_save("costs", &costs, sizeof(costs)));
	if (gen < PAYLOADS)
		return;
	grows_with(_metadata, "boot.folios", "keys", folios, nr_folios, ARRAY_SIZE(folios));
	grows_with(_metadata, "boot.scattered", "keys", scattered, nr_scattered,
		   ARRAY_SIZE(scattered));
	grows_with(_metadata, "boot.memfd", "pages", memfds, nr_pages, ARRAY_SIZE(memfds));
}

/* what came in it, and what its pages cost whoever touches them first; returns that */
static u64 look_into(struct __test_metadata *_metadata, const struct payload *p, int fd, u64 from)
{
	size_t size = p->n * getpagesize();
	u64 t, bad, sum = 0, *mem;

	mem = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0, kho_pattern_check(mem, getpagesize(), p->n, &bad));
	/* the longest that whoever the memory belongs to does not run */
	if (from)
		tell("blackout.first_byte", p->name, to_unit(perf_counter() - from));
	t = perf_now();
	for (size_t at = 0; at < size / sizeof(*mem); at += getpagesize() / sizeof(*mem))
		sum += mem[at];
	t = perf_now() - t;
	/* a pattern that adds up to nothing came as nothing */
	EXPECT_NE(0, sum);
	munmap(mem, size);
	return t;
}

static void restore_memfds(struct __test_metadata *_metadata, const struct payload *p)
{
	static u64 retrieved[FILES_MAX], touched[FILES_MAX];
	int dev = device(), s, fd[FILES_MAX];
	char name[64];
	u64 t, from;

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, producer("self"));
	from = told("kexec ") ?: told("reboot ");
	t = perf_now();
	s = retrieve_session(dev, "perf");
	tell("session", p->name, perf_now() - t);
	ASSERT_LE(0, s);
	for (int i = 0; i < p->nr; i++) {
		t = perf_now();
		fd[i] = retrieve(s, i + 1);
		retrieved[i] = perf_now() - t;
		ASSERT_LE(0, fd[i]);
		touched[i] = look_into(_metadata, p, fd[i], i ? 0 : from);
	}
	snprintf(name, sizeof(name), "retrieve.%s", p->name);
	perf_tell(GROUP, name, retrieved, p->nr);
	snprintf(name, sizeof(name), "first_touch.%s", p->name);
	perf_tell(GROUP, name, touched, p->nr);
	t = perf_now();
	EXPECT_EQ(0, finish(s, 0));
	tell("finish", p->name, perf_now() - t);
	for (int i = 0; i < p->nr; i++)
		close(fd[i]);
	close(s);
	close(dev);
}

/* each piece, and the memory is given back */
KHO_TEST_WHERE(p1, restore, not_here() ?: not_handed_over())
{
	int gen = kho_generation();
	const struct payload *p = &payloads[gen - 1];
	static u64 sample[2048];

	if (!gen || !p->kind)
		SKIP(return, "nothing was handed over");
	if (!strcmp(p->kind, "memfd")) {
		restore_memfds(_metadata, p);
		return;
	}
	ASSERT_EQ(0, no_module);
	for (int i = 0; i < p->nr; i++) {
		ASSERT_EQ(0, producer("restore o%d", i));
		sample[i] = told("took ");
	}
	perf_tell(GROUP, p->name, sample, p->nr);
	for (int i = 0; i < p->nr; i++)
		EXPECT_EQ(0, producer("put o%d", i));
}

/* the session is open until the kexec comes */
static int preserve_memfds(void *arg)
{
	const struct payload *p = arg;
	int dev, s, err = 0;

	/* there are no other memfds by then, and each kernel begins without */
	if (p->huge)
		err = kho_write(SHMEM_HUGE, "always");
	dev = device();
	s = dev < 0 ? dev : create(dev, "perf");
	if (s < 0)
		return s;
	for (int i = 0; i < p->nr && !err; i++) {
		int fd = patterned(p->n * getpagesize(), p->n);

		err = fd < 0 ? -errno : preserve(s, fd, i + 1);
	}
	return err;
}

KHO_TEST_WHERE(p1, preserve_for_the_next, not_here() ?: kho_why_not())
{
	int gen = kho_generation();
	const struct payload *p = &payloads[gen];
	pid_t pid;

	if (gen >= PAYLOADS || !p->kind)
		SKIP(return, "nothing is handed over to the next");
	if (!strcmp(p->kind, "memfd")) {
		ASSERT_EQ(0, kho_stay(preserve_memfds, (void *)p, &pid));
		return;
	}
	ASSERT_EQ(0, no_module);
	for (int i = 0; i < p->nr; i++) {
		ASSERT_EQ(0, producer("new o%d %s %lu", i, p->kind, p->n));
		ASSERT_EQ(0, producer("preserve o%d", i));
		if (p->scattered)
			ASSERT_EQ(0, producer("new free%d folio 0", i));
	}
	for (int i = 0; i < p->nr && p->scattered; i++)
		ASSERT_EQ(0, producer("put free%d", i));
}

/**
 * struct jumps - what earlier generations found out
 * @bytes: size of the initramfs that was jumped with
 * @cost: from the end of the kernel before to the clock of the next
 */
struct jumps {
	u64 bytes[ARRAY_SIZE(padding)], cost[ARRAY_SIZE(padding)];
};

/*
 * Nothing between two kernels can be asked for the time.  But of what happens there two
 * things go with the size of the image, byte for byte: it is copied to where it was
 * placed, and purgatory verifies it, which it does not have to where KHO is on
 * (kexec_calculate_store_digests()).  So larger images tell what a byte costs, and that
 * what is left of the jump: on x86-64 the kernel is unpacked in it, on arm64 it is early
 * boot.
 */
KHO_TEST_WHERE(p1, jump, not_jumping() ?: not_handed_over())
{
	struct perf_curve c = { .name = "jump.image", .of = "MiB" };
	int gen = kho_generation(), of = gen - 1;
	u64 copied, rest, shutdown;
	static struct jumps jumps;
	double order, each, image;
	struct moments m;
	s64 kernel;

	if (!gen)
		SKIP(return, "the next generation tells");
	ASSERT_EQ(0, no_module);
	if (gen > 1)
		ASSERT_EQ(0, kho_state_get("jumps", gen - 1, &jumps, sizeof(jumps)));
	ASSERT_EQ(0, producer("self"));
	shutdown = told("shutdown ");
	ASSERT_TRUE(moments(&m));
	ASSERT_LT(0, shutdown);
	ASSERT_LT(shutdown, m.clock);
	jumps.bytes[of] = kho_came_with("initrd");
	ASSERT_LT(0, jumps.bytes[of]);
	jumps.cost[of] = to_unit(m.clock - shutdown);
	ASSERT_EQ(0, kho_state_save("jumps", &jumps, sizeof(jumps)));
	if (gen < JUMPS)
		return;
	for (int i = 1; i < JUMPS; i++)
		perf_point(&c, jumps.bytes[i] / 1048576.0, jumps.cost[i]);
	order = perf_growth(GROUP, &c);
	each = (c.y[c.n - 1] - c.y[0]) / (c.x[c.n - 1] - c.x[0]);
	kernel = kho_image_size("/kho/kernel");
	ASSERT_LT(0, kernel);
	image = c.x[0] + kernel / 1048576.0;
	copied = each * image;
	rest = c.y[0] - copied;
	printf("# of %.0f %s %.0f go with the image of %.2f MiB\n", c.y[0], perf_unit(),
	       each * image, image);
	perf_tell(GROUP, "jump.copied", &copied, 1);
	perf_tell(GROUP, "jump.rest", &rest, 1);
	if (!perf_exact())
		return;
	EXPECT_LT(0, each);
	EXPECT_GT(c.y[0], each * image) {
		TH_LOG("nothing is left of the jump for the next kernel");
	}
	EXPECT_TRUE(order > 0.9 && order < 1.1) {
		TH_LOG("the jump grows with the power %.2f of the image", order);
	}
}

KHO_TEST_WHERE(p1, load_for_the_next, not_jumping() ?: kho_why_not())
{
	int gen = kho_generation(), fd;
	struct stat st;

	if (gen >= JUMPS)
		SKIP(return, "the last generation");
	fd = kho_next_initrd();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, ftruncate(fd, st.st_size + ((off_t)padding[gen] << 20)));
	EXPECT_EQ(0, kho_load_next("/kho/kernel", fd));
	close(fd);
}

TEST_HARNESS_MAIN
