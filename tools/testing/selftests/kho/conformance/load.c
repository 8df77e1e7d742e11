// SPDX-License-Identifier: GPL-2.0-only
/*
 * load.c - loading the next kernel: where it lies, what it leaves alone
 */
#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kexec.h>

#include "asked.h"

/* newer than some headers (include/uapi/linux/kexec.h) */
#ifndef KEXEC_FILE_DEBUG
#define KEXEC_FILE_DEBUG	0x00000008
#endif

#define OUT	KHO_DEBUGFS "/out"
#define KERNEL	"/kho/kernel"

KHO_SCENARIO(loads) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.load",
	.summary = "load, load again, unload and refused loads, with and without -s",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK,
	.cmdline = "kho=on kho_scratch=8M,64M,16M liveupdate=on\n"
		   "reserve_mem=64K:4K:kho_a crashkernel=64M",
	.programs = { "kho_boot", "kho_load" }, .files = { "kexec" },
	.generations = 2,
};

/* a gap in the middle of memory, and the array of regions in one of them */
KHO_SCENARIO(loads_numa) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.load_numa",
	.summary = "where a kernel is loaded to on three nodes, with memory above 4 GiB",
	.nr_nodes = 3, .low_mib = 512, .node = { { 384, 1 }, { 384, 1 }, { 256, 0 } },
	.cmdline = "kho=on liveupdate=on",
	.programs = { "kho_boot", "kho_load" }, .generations = 3,
};

KHO_SCENARIO(small) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.load_small",
	.summary = "scratch too small for a kernel",
	.memory_mib = 512, .cpus = 1, .generations = 1,
	.cmdline = "kho=on kho_scratch=4M,4M,4M reserve_mem=64K:4K:kho_a",
	.programs = { "kho_boot", "kho_load" },
};

KHO_SCENARIO(damaged) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.kdump_damaged",
	.summary = "a crash image that was damaged after it was loaded is not entered",
	.memory_mib = 768, .cpus = 1, .flags = KHO_SC_DAMAGED, .step_seconds = 30,
	.cmdline = "kho=on kho_scratch=8M,96M,16M crashkernel=160M",
	.programs = { "kho_load" },
	.steps =
		"boot\n"
		"reboot\n",
};

static struct kho_region scratch[KHO_REGIONS_MAX];

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this loads kernels" :
	       kho_why_not();
}

/* what is particular to its image and its loader */
static bool is_x86(void)
{
	return !access("/sys/kernel/boot_params", F_OK);
}

/* less than the smallest kernel with its initramfs */
static bool too_small(void)
{
	int n = kho_scratch_read(OUT, scratch, KHO_REGIONS_MAX);
	u64 max = 0;

	for (int i = 0; i < n; i++)
		if (scratch[i].size > max)
			max = scratch[i].size;
	return n > 0 && max <= 4 << 20;
}

static const char *not_if_small(void)
{
	return not_here() ?: too_small() ? "scratch is too small for any kernel" : NULL;
}

/* all that KHO tells of itself, in one string that changes if anything does */
static void snapshot(struct kho_blob *all)
{
	static const char * const path[] = {
		OUT "/scratch_phys", OUT "/scratch_len", OUT "/fdt",
		OUT "/sub_fdts/kexec-metadata", OUT "/sub_fdts/LUO",
		OUT "/sub_fdts/memblock", OUT "/sub_fdts/kho_test",
	};
	char *buf;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	for (size_t i = 0; f && i < ARRAY_SIZE(path); i++) {
		struct kho_blob b;

		fprintf(f, "%s\n", path[i]);
		if (kho_read_file(path[i], &b))
			continue;
		fwrite(b.data, b.len, 1, f);
		kho_blob_free(&b);
	}
	if (f)
		fclose(f);
	all->data = f ? buf : NULL;
	all->len = f ? len : 0;
}

static void expect_unchanged(struct __test_metadata *_metadata,
			     const struct kho_blob *before, const char *what)
{
	struct kho_blob now;

	snapshot(&now);
	EXPECT_TRUE(now.len == before->len && !memcmp(now.data, before->data, now.len)) {
		TH_LOG("%s changed the state", what);
	}
	kho_blob_free(&now);
}

/* an initramfs of a size; the kernel does not look into it when it is loaded */
static int initrd(u64 size)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);

	return fd >= 0 && !ftruncate(fd, size) ? fd : -1;
}

KHO_TEST_WHERE(kx10, load_twice_unload_reload, not_if_small())
{
	struct kho_blob before;

	snapshot(&before);
	EXPECT_EQ(0, kho_kexec_loaded());
	EXPECT_EQ(0, kho_kexec_load(KERNEL, -1, "console=ttyS0"));
	EXPECT_EQ(1, kho_kexec_loaded());
	expect_unchanged(_metadata, &before, "a load");
	EXPECT_EQ(0, kho_kexec_load(KERNEL, -1, "console=ttyS0"));
	expect_unchanged(_metadata, &before, "a second load");
	EXPECT_EQ(0, kho_kexec_unload());
	EXPECT_EQ(0, kho_kexec_loaded());
	expect_unchanged(_metadata, &before, "an unload");
	EXPECT_EQ(0, kho_kexec_load(KERNEL, initrd(1 << 20), "console=ttyS0"));
	EXPECT_EQ(0, kho_kexec_unload());
	/* nothing to unload is no error */
	EXPECT_EQ(0, kho_kexec_unload());
	expect_unchanged(_metadata, &before, "all of it");
	kho_blob_free(&before);
}

/* where the kernel says it puts what it loads */
static int segments(struct __test_metadata *_metadata, int fd_log, unsigned long flags,
		    const struct kho_region *in, int nr)
{
	unsigned long long mem, size;
	char line[1024];
	int n, seen = 0;

	while ((n = kho_klog_next(fd_log, line, sizeof(line))) != 0) {
		const char *p;

		if (n < 0 && n != -EPIPE)
			break;
		p = n > 0 && strstr(line, "segment[") ? strstr(line, " mem=") : NULL;
		if (!p || sscanf(p, " mem=0x%llx memsz=0x%llx", &mem, &size) != 2)
			continue;
		seen++;
		n = 0;
		for (int i = 0; i < nr; i++)
			n |= mem >= in[i].addr && mem + size <= in[i].addr + in[i].size;
		EXPECT_TRUE(n) {
			TH_LOG("flags 0x%lx: not where it should be: %s", flags, line);
		}
	}
	return seen;
}

static int load_and_tell(int fd_initrd, const char *cmdline, unsigned long flags)
{
	int fd = open(KERNEL, O_RDONLY | O_CLOEXEC);
	long ret = syscall(SYS_kexec_file_load, fd, fd_initrd, strlen(cmdline) + 1, cmdline,
			   flags | KEXEC_FILE_DEBUG);
	int err = ret ? -errno : 0;

	close(fd);
	return err;
}

KHO_CHECKS(s22, segments_are_in_scratch);
KHO_TEST_WHERE(kx2, segments_are_in_scratch, not_if_small() ?: kho_no_debugfs())
{
	int n = kho_scratch_read(OUT, scratch, KHO_REGIONS_MAX);
	int log = kho_klog_open(false), fd = initrd(5 << 20);

	ASSERT_LT(0, n);
	ASSERT_LE(0, log);
	ASSERT_EQ(0, load_and_tell(fd, "console=ttyS0", 0));
	/*
	 * Kernel, initramfs, parameters (or device tree), the array of regions, and
	 * purgatory where there is one.
	 */
	EXPECT_LE(is_x86() ? 5 : 4, segments(_metadata, log, 0, scratch, n));
	EXPECT_EQ(0, kho_kexec_unload());
	close(log);
}

KHO_TEST_WHERE(kx5, crash_image_is_elsewhere, not_if_small())
{
	struct kho_region crash = { };
	int log = kho_klog_open(false), n;
	struct kho_blob b, before;
	char *p;

	ASSERT_EQ(0, kho_read_file("/proc/iomem", &b));
	p = strstr(b.data, " : Crash kernel");
	if (!p) {
		kho_blob_free(&b);
		SKIP(return, "no memory is set aside for a crash kernel");
	}
	while (p > (char *)b.data && p[-1] != '\n')
		p--;
	n = sscanf(p, " %llx-%llx", &crash.addr, &crash.size);
	ASSERT_EQ(2, n);
	crash.size += 1 - crash.addr;
	kho_blob_free(&b);
	snapshot(&before);
	ASSERT_EQ(0, load_and_tell(-1, "console=ttyS0",
				   KEXEC_FILE_ON_CRASH | KEXEC_FILE_NO_INITRAMFS));
	/* nothing of KHO's is loaded with it */
	n = segments(_metadata, log, KEXEC_FILE_ON_CRASH, &crash, 1);
	EXPECT_LE(3, n);
	expect_unchanged(_metadata, &before, "a crash image");
	EXPECT_EQ(0, syscall(SYS_kexec_file_load, -1, -1, 0, NULL,
			     KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH));
	kho_blob_free(&before);
	close(log);
}

KHO_TEST_WHERE(kx3, no_room_in_scratch, not_here() ?: kho_no_debugfs())
{
	struct kho_blob before;
	u64 max = 0;
	int n;

	n = kho_scratch_read(OUT, scratch, KHO_REGIONS_MAX);
	ASSERT_LT(0, n);
	for (int i = 0; i < n; i++)
		max = scratch[i].size > max ? scratch[i].size : max;
	snapshot(&before);
	if (too_small()) {
		EXPECT_EQ(-EADDRNOTAVAIL, kho_kexec_load(KERNEL, -1, "console=ttyS0"));
		EXPECT_EQ(0, kho_kexec_loaded());
	} else {
		/* all of memory is there, and none of it but scratch is to be used */
		EXPECT_EQ(-EADDRNOTAVAIL,
			  kho_kexec_load(KERNEL, initrd(max + 1), "console=ttyS0"));
		EXPECT_EQ(-EADDRNOTAVAIL,
			  kho_kexec_load(KERNEL, initrd(max), "console=ttyS0"));
		/* what was loaded before stays */
		EXPECT_EQ(0, kho_kexec_load(KERNEL, -1, "console=ttyS0"));
		EXPECT_EQ(-EADDRNOTAVAIL,
			  kho_kexec_load(KERNEL, initrd(max), "console=ttyS0"));
		EXPECT_EQ(1, kho_kexec_loaded());
		EXPECT_EQ(0, kho_kexec_unload());
	}
	expect_unchanged(_metadata, &before, "a load that was refused");
	kho_blob_free(&before);
}

KHO_TEST_WHERE(kx4, kexec_load_is_allowed, not_if_small())
{
	static const char * const load[] = {
		"kexec", "-c", "-l", KERNEL, "--command-line=console=ttyS0", NULL,
	};
	static const char * const unload[] = { "kexec", "-c", "-u", NULL };
	struct kho_blob before;

	if (access("/kho/bin/kexec", X_OK))
		SKIP(return, "no kexec-tools in this machine");
	snapshot(&before);
	EXPECT_EQ(0, kho_kexec_tool(load));
	EXPECT_EQ(1, kho_kexec_loaded());
	expect_unchanged(_metadata, &before, "kexec_load");
	EXPECT_EQ(0, kho_kexec_tool(unload));
	EXPECT_EQ(0, kho_kexec_loaded());
	expect_unchanged(_metadata, &before, "kexec_load's unload");
	kho_blob_free(&before);
}

/* refused for what is wrong with it, and not for what KHO does */
KHO_TEST_WHERE(kx10, bad_images_are_refused, not_if_small())
{
	struct kho_blob before;
	char cmdline[5000];
	FILE *f;

	snapshot(&before);
	f = fopen("/tmp/no-kernel", "w");
	ASSERT_NE(NULL, f);
	fputs("not a kernel", f);
	fclose(f);
	EXPECT_EQ(is_x86() ? -ENOEXEC : -EINVAL,
		  kho_kexec_load("/tmp/no-kernel", -1, "console=ttyS0"));
	/* others leave it to the next kernel to cut it off */
	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[sizeof(cmdline) - 1] = '\0';
	if (is_x86())
		EXPECT_GT(0, kho_kexec_load(KERNEL, -1, cmdline));
	EXPECT_EQ(0, kho_kexec_loaded());
	expect_unchanged(_metadata, &before, "a load that was refused");
	unlink("/tmp/no-kernel");
	kho_blob_free(&before);
}

static const char *not_damaged(unsigned int generation)
{
	return not_here() ?: strcmp(kho_scenario_name(), "conformance.kdump_damaged") ?
	       "for another scenario" : kho_generation() != generation ?
	       "for another generation" : NULL;
}

/*
 * The last check of its generation: init panics behind it.  What is damaged is the
 * end of a segment that is longer than what was loaded into it: zeroes that belong
 * to the image and do not matter to who would run it.
 */
KHO_TEST_WHERE(kx13, crash_image_is_damaged, not_damaged(0))
{
	unsigned long long len, mem, size;
	int log = kho_klog_open(false), fd = kho_next_initrd(), n;
	struct kho_step next;
	char line[3072];
	const char *why;
	u64 at = 0;
	void *map;

	ASSERT_LE(0, log);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kho_job_step(1, line, sizeof(line)));
	ASSERT_EQ(0, kho_step_parse(line, &next, &why));
	ASSERT_EQ(0, load_and_tell(fd, next.cmdline, KEXEC_FILE_ON_CRASH));
	while ((n = kho_klog_next(log, line, sizeof(line))) != 0) {
		const char *p;

		if (n < 0 && n != -EPIPE)
			break;
		p = n > 0 && strstr(line, "segment[") ? strstr(line, " bufsz=") : NULL;
		if (p && sscanf(p, " bufsz=0x%llx mem=0x%llx memsz=0x%llx", &len, &mem,
				&size) == 3 && size > len + 4096)
			at = mem + size - 1;
	}
	close(log);
	ASSERT_NE(0, at);
	ASSERT_EQ(0, kho_phys_map(at, 1, true, &map));
	ASSERT_EQ(0, *(char *)map);
	*(char *)map = 1;
	kho_phys_unmap(map, at, 1);
}

/* khotest reset a machine that did nothing any more */
KHO_TEST_WHERE(kx13, damaged_crash_image_is_not_entered, not_damaged(1))
{
	EXPECT_NE(0, kho_cmdline_get(NULL, "elfcorehdr", 0, NULL, 0)) {
		TH_LOG("the crash kernel runs: nothing verified its image");
	}
}

TEST_HARNESS_MAIN
