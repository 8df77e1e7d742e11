// SPDX-License-Identifier: GPL-2.0-only
/*
 * enable.c - what the command line says of KHO, and what becomes of it
 *
 * Walks over command lines.  Each is judged by what the kernel logs of every
 * single option and by the regions that result; the rules stand here once, and
 * the scenarios are nothing but command lines.
 */
#include "kho_test.h"

#include "asked.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OUT	KHO_DEBUGFS "/out"

KHO_SCENARIO(walk) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.switch",
	.summary = "all forms of kho=, valid, invalid and repeated",
	.memory_mib = 512, .cpus = 1,
	.programs = { "kho_enable", "kho_boot" },
	.steps =
		"boot kho=off\n"
		"kexec kho=0\n"
		"kexec kho=n kho=\n"
		"kexec kho=x kho= kho=2 kho kho=o kho=-1 kho=\" 1\"\n"
		"kexec kho=on kho=off\n"
		"kexec- kho=on kho_scratch=64G,64M,16M\n"
		"kexec- kho=on kho_scratch=8M,64G,16M\n"
		"kexec- kho=on kho_scratch=8M,64M,64G\n"
		"kexec- kho=on kho_scratch=4294967295%\n"
		"kexec kho=off kho=on kho=x\n"
		"kexec kho=y\n"
		"kexec kho=1\n"
		"kexec kho=true\n"
		"kexec kho=oN kho=kho\n"
		"kexec kho=yellow\n"
		"kexec kho=0n\n"
		"kexec kho=N\n"
		"kexec_load kho=ON\n",
};

KHO_SCENARIO(scratch) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.scratch",
	.summary = "kho_scratch=l,m,n in all its forms, valid, invalid and repeated",
	.memory_mib = 1536, .cpus = 1,
	.cmdline = "kho=on",
	.programs = { "kho_enable", "kho_boot", "kho_debugfs" },
	.steps =
		"boot kho_scratch=8M,32M,16M\n"
		"kexec_load kho_scratch=0x800000,33554432,16384K\n"
		"kexec_load kho_scratch=040000000,64m,0\n"
		"kexec_load kho_scratch=0,64M,8M\n"
		"kexec_load kho_scratch=8M,0,64M\n"
		/* no multiple of anything */
		"kexec_load kho_scratch=1,50M,5M\n"
		"kexec_load kho_scratch=4097K,64M,4194305\n"
		"kexec_load kho_scratch=0K,64M,0T\n"
		"kexec_load kho_scratch=0P,1G,0E\n"
		"kexec_load kho_scratch=8M,32M,16M kho_scratch=4M,40M,8M\n"
		/* none of these is taken, and the valid one among them is */
		"kexec_load kho_scratch= kho_scratch kho_scratch=16M\n"
		" kho_scratch=16M,64M kho_scratch=16M,64M,32M,1M\n"
		" kho_scratch=12M,60M,20M\n"
		" kho_scratch=16M,64M,32Mx kho_scratch=-1M,64M,32M\n"
		" kho_scratch=16M,,32M kho_scratch=,64M,32M kho_scratch=16M,64M,\n"
		" kho_scratch=\" 16M,64M,32M\" kho_scratch=16M,\"64M\",32M\n"
		" kho_scratch=K,64M,32M kho_scratch=x,64M,32M kho_scratch=0,0,0 kho_scratch=16M;64M;32M\n"
		" kho_scratch=% kho_scratch=x% kho_scratch=0x10% kho_scratch=5%%\n"
		" kho_scratch=12345678901% kho_scratch=4294967296% kho_scratch=-5%\n"
		" kho_scratch=1.5% kho_scratch=50%,64M,32M\n",
};

KHO_SCENARIO(scale) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.scale",
	.summary = "kho_scratch=nn% and the default, on two nodes",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } },
	.cmdline = "kho=on",
	.programs = { "kho_enable", "kho_boot", "kho_debugfs" },
	.steps =
		"boot\n"
		"kexec_load kho_scratch=200%\n"
		"kexec_load kho_scratch=100%\n"
		"kexec_load kho_scratch=+400%\n"
		"kexec_load kho_scratch=0000000150%\n"
		"kexec_load kho_scratch=8M,32M,16M kho_scratch=300%\n"
		"kexec_load kho_scratch=300% kho_scratch=8M,32M,16M\n"
		"kexec_load kho_scratch=x% kho_scratch=16M\n",
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
	.memory_mib = 512, .cpus = 1, .step_seconds = 20,
	.steps = "boot kho=on\nkexec kho=on debugfs=off\n",
};

static bool is(const char *scenario)
{
	return !strcmp(kho_scenario_name(), scenario);
}

static const struct kho_boot *boot(void)
{
	return kho_boot_of(kho_generation());
}

/* these command lines are khotest's: elsewhere nothing is known of them */
static const char *not_here(void)
{
	return boot() ? kho_unknown() :
	       "not in a machine of khotest: not known how this kernel was booted";
}

/* where debugfs is switched off, nothing of it can be looked at */
static const char *not_in_walk(void)
{
	char val[8];

	return not_here() ?: !kho_cmdline_get(NULL, "debugfs", 0, val, sizeof(val)) &&
	       !strcmp(val, "off") ? "debugfs is switched off" : NULL;
}

static const char *not_in(const char *scenario)
{
	return not_here() ?: is(scenario) ? NULL : "for another scenario";
}

KHO_TEST_WHERE(en1, on_or_off, not_in_walk())
{
	EXPECT_EQ(boot()->on, !access(OUT, F_OK)) {
		TH_LOG("KHO is %s", boot()->on ? "not on" : "not off");
	}
}

/* how often a switch stands on the command line, and how often in vain */
static int count_kho(bool malformed)
{
	char val[64];
	int n = 0;

	for (int i = 0; !kho_cmdline_get(NULL, "kho", i, val, sizeof(val)); i++) {
		char one[80];

		snprintf(one, sizeof(one), "kho=\"%s\"", val);
		n += !malformed || kho_cmdline_bool(one, "kho") < 0;
	}
	return n;
}

KHO_TEST_WHERE(en2, malformed_is_logged, not_in_walk())
{
	EXPECT_EQ(count_kho(true),
		  kho_klog_find("Malformed early option 'kho'", NULL, 0));
}

KHO_TEST_WHERE(en3, last_valid_one_wins, not_in_walk())
{
	if (count_kho(false) - count_kho(true) < 2)
		SKIP(return, "not more than one valid kho= on this command line");
	EXPECT_EQ(boot()->on, !access(OUT, F_OK));
}

KHO_TEST_WHERE(en4, default_is_kconfigs, not_in_walk())
{
	if (kho_cmdline_enabled(NULL) >= 0)
		SKIP(return, "kho= decides on this command line");
	EXPECT_EQ(boot()->step.by_default, !access(KHO_DEBUGFS, F_OK));
}

static const char *no_fresh_scratch(void)
{
	return not_in_walk() ?: !boot()->on ? "KHO is off in this generation" :
	       boot()->handed_over ? "the regions are those that were handed over" : NULL;
}

#define SCALES_MAX	4

/* regions of one generation, for those that come */
struct scaled {
	u64 scale;
	u64 size[SCALES_MAX];
};

/*
 * Sizes are in proportion to the scale: what is allocated during boot is the same
 * in each of these kernels but for a few pages, and sizes are rounded up to whole
 * blocks.
 */
KHO_TEST_WHERE(s7, sizes_follow_the_scale, no_fresh_scratch())
{
	static struct kho_region r[KHO_REGIONS_MAX];
	int n = kho_scratch_read(OUT, r, KHO_REGIONS_MAX);
	struct scaled now = { .scale = 200 }, was;
	const u64 block = kho_largest_block();
	struct kho_sizes s;
	struct kho_blob b;

	ASSERT_LT(2, n);
	ASSERT_LT(0, block);
	/* what a cold boot allocates on which node is not what a kexec does */
	if (boot()->step.way == KHO_BY_BOOT)
		SKIP(return, "the generations to come are compared with each other");
	if (kho_scratch_asked(NULL, &s)) {
		if (!s.scaled)
			SKIP(return, "kho_scratch=l,m,n decides on this command line");
		now.scale = s.scale;
	}
	for (int i = 0; i < SCALES_MAX && i < n; i++)
		now.size[i] = r[i].size;
	if (kho_state_load("scaled", kho_generation() - 1, &b)) {
		ASSERT_EQ(0, kho_state_save("scaled", &now, sizeof(now)));
		SKIP(return, "the generations to come are compared with this one");
	}
	ASSERT_EQ(sizeof(was), b.len);
	memcpy(&was, b.data, sizeof(was));
	kho_blob_free(&b);
	ASSERT_EQ(0, kho_state_save("scaled", &was, sizeof(was)));
	for (int i = 0; i < SCALES_MAX && i < n; i++) {
		/* both are rounded up by less than a block */
		u64 most = (was.size[i] * now.scale + was.scale - 1) / was.scale + block;
		u64 least = was.size[i] > block ?
			    (was.size[i] - block) * now.scale / was.scale : 0;

		/* the initramfs, which grows a little, is not counted, but for its list */
		EXPECT_TRUE(now.size[i] <= most && now.size[i] >= least) {
			TH_LOG("region %d: %llu MiB at %llu %%, %llu MiB at %llu %%", i,
			       now.size[i] >> 20, now.scale, was.size[i] >> 20,
			       was.scale);
		}
	}
}

KHO_TEST_WHERE(en6, no_room_for_scratch, not_in_walk())
{
	if (!boot()->step.off)
		SKIP(return, "scratch fits on this command line");
	EXPECT_EQ(1, kho_klog_find("KHO: Failed to reserve scratch area, disabling kexec handover",
				   NULL, 0));
	EXPECT_EQ(2, kho_klog_find("KHO: Failed to reserve ", NULL, 0));
	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
}

/* nothing of what was reserved before the failure is kept from the kernel */
KHO_TEST_WHERE(s23, no_scratch_is_left, not_in_walk())
{
	const u64 block = kho_largest_block();
	u64 total, now;
	struct kho_blob b;

	ASSERT_LT(0, block);
	ASSERT_EQ(0, kho_meminfo("MemTotal", &now));
	if (!kho_generation() || kho_state_load("total", kho_generation() - 1, &b)) {
		if (boot()->on || boot()->step.off)
			SKIP(return, "no generation before with KHO off to compare with");
		ASSERT_EQ(0, kho_state_save("total", &now, sizeof(now)));
		SKIP(return, "the generations to come are compared with this one");
	}
	ASSERT_EQ(sizeof(total), b.len);
	memcpy(&total, b.data, sizeof(total));
	kho_blob_free(&b);
	ASSERT_EQ(0, kho_state_save("total", &total, sizeof(total)));
	if (!boot()->step.off)
		SKIP(return, "scratch fits on this command line");
	/* a block is the least that scratch is made of */
	EXPECT_LT(total > now ? (total - now) << 10 : 0, block / 2) {
		TH_LOG("MemTotal %llu KiB, with KHO off %llu KiB", now, total);
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
