// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec_tools.c - the KHO kexec as the document tells its readers to do it
 *
 * "kexec -l /path/to/bzImage --initrd /path/to/initrd -s" and "kexec -e" of
 * kexec-tools, and nothing of the suite's own on the way.
 */
#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fdt_check.h"

KHO_SCENARIO(kexec_tools) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.kexec_tools",
	.summary = "the KHO kexec by kexec-tools, as documented",
	.memory_mib = 512, .cpus = 1, .generations = 2,
	.flags = KHO_SC_PROGRAM_LOADS | KHO_SC_KEXEC_E,
	.cmdline = "kho=on reserve_mem=2M:4K:kho_a",
	.files = { "kexec" },
};

#define SEED	0x6b65786563ULL

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       kho_why_not();
}

/* where the reservation is, as the kernel tells */
static int reservation(struct kho_region *r)
{
	static struct kho_reservations all;
	struct kho_problems p = { };
	struct kho_blob b;
	int err = kho_read_file(KHO_DEBUGFS "/out/sub_fdts/memblock", &b);

	if (err)
		return err;
	kho_check_memblock(b.data, b.len, &all, &p);
	kho_blob_free(&b);
	if (p.nr || all.nr != 1)
		return -EBADMSG;
	*r = all.range[0];
	return 0;
}

KHO_TEST_WHERE(u6, state_of_the_previous_kernel, not_here())
{
	if (!kho_generation())
		SKIP(return, "cold boot: nothing was handed over");
	EXPECT_EQ(0, access(KHO_DEBUGFS "/in/sub_fdts/kexec-metadata", F_OK));
	EXPECT_EQ(1, kho_klog_find("KHO: exec from:", NULL, 0));
}

KHO_TEST_WHERE(u7, reserve_mem_is_where_it_was, not_here())
{
	struct kho_region r, was;
	struct kho_blob b;
	u64 bad;
	void *map;

	ASSERT_EQ(0, reservation(&r));
	ASSERT_EQ(0, kho_phys_map(r.addr, r.size, !kho_generation(), &map));
	if (!kho_generation()) {
		kho_pattern_fill(map, r.size, SEED);
		ASSERT_EQ(0, kho_state_save("reservation", &r, sizeof(r)));
	} else {
		ASSERT_EQ(0, kho_state_load("reservation", 0, &b));
		memcpy(&was, b.data, sizeof(was));
		EXPECT_EQ(was.addr, r.addr);
		EXPECT_EQ(was.size, r.size);
		EXPECT_EQ(0, kho_pattern_check(map, r.size, SEED, &bad));
	}
	kho_phys_unmap(map, r.addr, r.size);
}

KHO_TEST_WHERE(u5, kexec_l_s, not_here())
{
	char cmdline[3072], arg[3200], initrd[32];
	struct kho_step step;
	const char *why_not;
	const char *argv[8] = {
		"kexec", "-l", "/kho/kernel", "--initrd", initrd, arg, "-s",
		NULL
	};
	int fd;

	if (kho_generation())
		SKIP(return, "this is the kernel that was to be reached");
	fd = kho_next_initrd();
	ASSERT_LE(0, fd);
	/* kexec opens it by name */
	fcntl(fd, F_SETFD, 0);
	snprintf(initrd, sizeof(initrd), "/proc/self/fd/%d", fd);
	ASSERT_EQ(0, kho_job_step(1, cmdline, sizeof(cmdline)));
	ASSERT_EQ(0, kho_step_parse(cmdline, &step, &why_not));
	snprintf(arg, sizeof(arg), "--command-line=%s", step.cmdline);
	EXPECT_EQ(0, kho_kexec_tool(argv));
}

TEST_HARNESS_MAIN
