// SPDX-License-Identifier: GPL-2.0-only
/*
 * template.c - the smallest program of checks, and a scenario that runs them
 *
 * See writing-checks.rst.  It goes to conformance/, and into the Makefile.
 */
#include "kho_test.h"

/*
 * The machine that the checks run on.  khotest reads this from the program's file: name
 * and machine are said here and nowhere else.
 */
KHO_SCENARIO(template) = {
	KHO_SCENARIO_HEAD,
	/* stable: results of today and next year are compared by it */
	.name = "conformance.template",
	.summary = "the template of Documentation/writing-checks.rst",
	.memory_mib = 512, .cpus = 1,
	/* of each kernel */
	.cmdline = "kho=on kho_scratch=16M,64M,32M",
	/* a line for each kernel: how it is entered, and what it is told in addition */
	.steps =
		"boot\n"
		"kexec\n"
		"kexec\n",
};

/* the order of the regions: lowmem, global, then one for each node */
#define GLOBAL	1

/*
 * A check: the requirement that it is about (conformance/requirements.def), and a name.
 * It runs in each generation.  What the kernel promises is in EXPECT_, which goes on, or
 * ASSERT_, which does not; what a person needs to understand a failure is in TH_LOG().
 */
KHO_TEST(u4, global_region_is_as_large_as_asked_for)
{
	struct kho_region r[8];
	int n = kho_scratch_read(KHO_DEBUGFS "/out", r, ARRAY_SIZE(r));

	ASSERT_LT(GLOBAL, n) {
		TH_LOG("%d scratch regions", n);
	}
	EXPECT_EQ(64 << 20, r[GLOBAL].size) {
		TH_LOG("the global scratch region at 0x%llx has %llu bytes", r[GLOBAL].addr,
		       r[GLOBAL].size);
	}
}

/* the same check natively, where nobody kexecs, says why it cannot be made */
static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this compares kernels" :
	       kho_why_not();
}

/*
 * What one kernel saves the next one loads: from a file, not by KHO, which is what is
 * under test.
 */
KHO_TEST_WHERE(s18, global_region_stays_where_it_is, not_here())
{
	struct kho_region r[8];
	struct kho_blob before;

	ASSERT_LT(GLOBAL, kho_scratch_read(KHO_DEBUGFS "/out", r, ARRAY_SIZE(r)));
	if (!kho_generation()) {
		ASSERT_EQ(0, kho_state_save("global", &r[GLOBAL], sizeof(r[GLOBAL])));
		return;
	}
	/* struct kho_boot.first: the first kernel of this row of handovers */
	ASSERT_EQ(0, kho_state_load("global", kho_boot_of(kho_generation())->first, &before));
	ASSERT_EQ(sizeof(r[GLOBAL]), before.len);
	EXPECT_EQ(0, memcmp(before.data, &r[GLOBAL], before.len));
	kho_blob_free(&before);
}

TEST_HARNESS_MAIN
