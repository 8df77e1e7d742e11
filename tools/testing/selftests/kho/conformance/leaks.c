// SPDX-License-Identifier: GPL-2.0-only
/*
 * leaks.c - memory that nobody refers to any more, on a kernel with kmemleak
 *
 * It runs behind the programs whose traces it looks for.
 */
#include "kho_test.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
/* kmemleak reports nothing that is younger than 5 s (mm/kmemleak.c, MSECS_MIN_AGE) */
#define MIN_AGE_S	6

KHO_SCENARIO(debug) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.debug",
	.summary = "the API on a kernel that looks after itself, leaks included",
	.nr_nodes = 2, .node = { { 1538, 1 }, { 510, 1 } }, .step_seconds = 240,
	.flags = KHO_SC_MODULE | KHO_SC_ON_DEMAND,
	/*
	 * The next kernel's KASAN takes an eighth of all memory before it has more than
	 * scratch.  And each region that takes the kernel takes its initramfs, too: arm64
	 * may try no other (known issue load-ignores-lower-regions).
	 */
	.cmdline = "kho=on kho_scratch=160M,512M,32M",
	.programs = { "kho_boot", "kho_api", "kho_leaks" },
	.steps = "boot@debug\nkexec@debug\n",
};

static const char *no_kmemleak(void)
{
	return kho_why_not() ?: access(KMEMLEAK, F_OK) ?
	       "the kernel is built without kmemleak (CONFIG_DEBUG_KMEMLEAK)" : NULL;
}

/* the kernel's own reports; ours are those that KHO or its users are in */
KHO_TEST_WHERE(r18, nothing_is_leaked, no_kmemleak())
{
	static const char * const ours[] = {
		"kho_", "luo_", "liveupdate", "memfd_luo", "reserve_mem", "[kho_producer]",
	};
	struct timespec until;
	struct kho_blob b;
	char *report, *next;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += MIN_AGE_S;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	/* what only one scan finds moved while it went on */
	ASSERT_EQ(0, kho_write(KMEMLEAK, "scan"));
	ASSERT_EQ(0, kho_write(KMEMLEAK, "scan"));
	ASSERT_EQ(0, kho_read_file(KMEMLEAK, &b));
	for (report = b.data; report && *report; report = next) {
		bool is_ours = false;

		next = strstr(report + 1, "\nunreferenced object");
		if (next)
			*next++ = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
			is_ours |= !!strstr(report, ours[i]);
		EXPECT_FALSE(is_ours) {
			TH_LOG("%s", report);
		}
	}
	kho_blob_free(&b);
}

TEST_HARNESS_MAIN
