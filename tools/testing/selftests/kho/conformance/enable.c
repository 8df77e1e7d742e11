// SPDX-License-Identifier: GPL-2.0-only
/*
 * enable.c - what the command line says of KHO, and what becomes of it
 *
 * A walk over command lines: each generation boots with the next one.  Where
 * KHO is off the kexec is an ordinary one, and the next kernel is, for KHO, as
 * after a cold boot.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kho_test.h"

KHO_SCENARIO(walk) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.switch",
	.summary = "all forms of kho=, valid, invalid and repeated",
	.memory_mib = 512, .cpus = 1, .generations = 9,
	.gen_cmdline = {
		"kho=off", "kho=0", "kho=n", "kho=x kho= kho=2 kho",
		"kho=on kho=off", "kho=on kho_scratch=64G,64M,16M",
		"kho=off kho=on kho=x", "kho=y", "kho=1",
	},
};

KHO_SCENARIO(debugfs_off) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.debugfs_off",
	.summary = "KHO where debugfs is switched off",
	.memory_mib = 512, .cpus = 1, .generations = 2,
	.cmdline = "kho=on debugfs=off",
};

KHO_SCENARIO(debugfs_off_later) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.debugfs_off_later",
	.summary = "a handover into a kernel with debugfs switched off",
	.memory_mib = 512, .cpus = 1, .generations = 2, .step_seconds = 20,
	.gen_cmdline = { "kho=on", "kho=on debugfs=off" },
};

/* what generation i of the walk must be like */
static const struct {
	bool on;
	/* KHO kexecs since the last boot without a handover; 0 for such a boot */
	int count;
	int malformed;
} walk_want[] = {
	[0] = { false, 0, 0 },
	[1] = { false, 0, 0 },
	[2] = { false, 0, 0 },
	[3] = { false, 0, 4 },	/* all malformed: the default, which is off */
	[4] = { false, 0, 0 },	/* the last one wins */
	[5] = { false, 0, 0 },	/* more scratch than memory */
	[6] = { true, 0, 1 },	/* the last valid one wins */
	[7] = { true, 1, 0 },
	[8] = { true, 2, 0 },
};

static bool is(const char *scenario)
{
	return !strcmp(kho_scenario_name(), scenario);
}

/* these command lines are khotest's: elsewhere nothing is known of them */
static const char *not_in(const char *scenario)
{
	if (kho_generation() < 0)
		return "not in a machine of khotest";
	return is(scenario) ? kho_unknown() : "for another scenario";
}

static const char *not_in_walk(void)
{
	const char *why = not_in("conformance.switch");

	if (why)
		return why;
	return (size_t)kho_generation() < ARRAY_SIZE(walk_want) ? NULL :
	       "more generations than the walk has";
}

#define WANT	walk_want[kho_generation()]

KHO_TEST_WHERE(en1, on_or_off, not_in_walk())
{
	EXPECT_EQ(WANT.on, !access(KHO_DEBUGFS "/out", F_OK)) {
		TH_LOG("KHO is %s", WANT.on ? "not on" : "not off");
	}
}

KHO_TEST_WHERE(en2, malformed_is_logged, not_in_walk())
{
	char line[256];

	EXPECT_EQ(WANT.malformed, kho_klog_find("Malformed early option 'kho'",
						line, sizeof(line)));
}

KHO_TEST_WHERE(en3, last_valid_one_wins, not_in_walk())
{
	if (kho_generation() != 4 && kho_generation() != 6)
		SKIP(return, "only one kho= on this command line");
	EXPECT_EQ(WANT.on, !access(KHO_DEBUGFS "/out", F_OK));
}

KHO_TEST_WHERE(en4, default_is_kconfigs, not_in_walk())
{
	if (kho_generation() != 3)
		SKIP(return, "kho= decides on this command line");
	/* the suite's kernels are built without KEXEC_HANDOVER_ENABLE_DEFAULT */
	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
}

KHO_TEST_WHERE(en5, off_is_off, not_in_walk())
{
	u64 cma = 0;

	if (WANT.on)
		SKIP(return, "KHO is on here");
	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
	/* nothing else makes CMA in these machines */
	EXPECT_EQ(0, kho_meminfo("CmaFree", &cma));
	EXPECT_EQ(0, cma);
	EXPECT_EQ(0, kho_klog_find("KHO: found kexec handover data", NULL, 0));
	/* that kexec works all the same is shown by the next generation */
}

KHO_TEST_WHERE(en6, no_room_for_scratch, not_in_walk())
{
	if (kho_generation() != 5)
		SKIP(return, "scratch fits on this command line");
	EXPECT_EQ(1, kho_klog_find("KHO: Failed to reserve lowmem scratch buffer",
				   NULL, 0));
	EXPECT_EQ(1, kho_klog_find("KHO: Failed to reserve scratch area, disabling kexec handover",
				   NULL, 0));
	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
}

KHO_TEST_WHERE(k4, count_starts_anew, not_in_walk())
{
	char line[256] = "", want[32];

	EXPECT_EQ(!!WANT.count, kho_klog_find("KHO: exec from:", line, sizeof(line)));
	if (!WANT.count)
		return;
	snprintf(want, sizeof(want), "(count %d)", WANT.count);
	EXPECT_NE(NULL, strstr(line, want)) {
		TH_LOG("%s, must be %s", line, want);
	}
}

KHO_TEST_WHERE(en9, kho_works_without_debugfs, not_in("conformance.debugfs_off"))
{
	char line[256] = "";

	/* after the cold boot nothing can be seen yet but that it came up */
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	EXPECT_EQ(1, kho_klog_find("KHO: exec from:", line, sizeof(line))) {
		TH_LOG("kho=on debugfs=off: no handover took place");
	}
}

KHO_TEST_WHERE(en9, handover_into_no_debugfs, not_in("conformance.debugfs_off_later"))
{
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	EXPECT_EQ(1, kho_klog_find("KHO: exec from:", NULL, 0));
}

TEST_HARNESS_MAIN
