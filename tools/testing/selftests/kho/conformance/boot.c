// SPDX-License-Identifier: GPL-2.0-only
/*
 * boot.c - what a boot tells of a handover, of its refusal, or of none
 *
 * Other programs look at KHO where it is on.  This one looks at every boot: what
 * the log says of KHO must be what the way into this kernel explains, and
 * nothing else.
 */
#include "kho_test.h"

#include "asked.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#define BATTERY	{ "kho_boot", "kho_debugfs", "kho_fdt", "kho_reserve" }

KHO_SCENARIO(ways) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.ways",
	.summary = "KHO kexec, plain kexec, kho=off and reboots in one chain",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK,
	.cmdline = "kho_scratch=8M,64M,16M liveupdate=on reserve_mem=1M:4K:kho_a",
	.programs = BATTERY,
	.steps =
		"boot kho=on\n"
		"kexec kho=on\n"
		"kexec kho=off\n"
		"kexec kho=on\n"
		"kexec kho=on\n"
		"reboot kho=on\n"
		"kexec kho=on\n",
};

KHO_SCENARIO(kexec_load) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.kexec_load",
	.summary = "kexec_load() from a cold boot, and from a kernel that was handed over to",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on kho_scratch=8M,64M,16M liveupdate=on reserve_mem=1M:4K:kho_a",
	.programs = BATTERY,
	.steps =
		"boot\n"
		"kexec_load\n"
		"kexec\n"
		"kexec_load\n"
		"kexec\n",
};

/*
 * What tools/testing/selftests/kho of the kernel does, on the machine it does it
 * on: "make mutants" asks what that would have noticed.
 */
KHO_SCENARIO(own_test) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.own_test",
	.summary = "the kernel's own test of KHO: one kexec, and what its log says then",
	.memory_mib = 1024, .cpus = 2, .flags = KHO_SC_OWN_TEST | KHO_SC_ON_DEMAND,
	.cmdline = "kho=on loglevel=7", .programs = { "kho_boot" }, .generations = 2,
};

KHO_SCENARIO(kdump) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.kdump",
	.summary = "a crash kernel, from a cold boot and from one that was handed over to",
	.memory_mib = 1024, .cpus = 1,
	/* after a handover there is nothing but scratch to take it from */
	.cmdline = "kho=on kho_scratch=8M,256M,16M crashkernel=160M reserve_mem=1M:4K:kho_a",
	.programs = BATTERY,
	.steps =
		"boot\n"
		"crash\n"
		"reboot\n"
		"kexec\n"
		"crash\n",
};

KHO_SCENARIO(crash_from_off) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.kdump_off",
	.summary = "a crash kernel of a kernel with KHO off",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=off crashkernel=160M",
	.programs = { "kho_boot" },
	.steps =
		"boot\n"
		"crash\n",
};

KHO_SCENARIO(without) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.without",
	.summary = "a kernel without KHO between two that have it",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on kho_scratch=8M,96M,16M liveupdate=on reserve_mem=1M:4K:kho_a",
	.programs = BATTERY,
	.steps =
		"boot\n"
		"kexec\n"
		"kexec@nokho\n"
		"kexec\n"
		"kexec\n",
};

KHO_SCENARIO(previous) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.previous",
	.summary = "from the release before to this one and back, and again",
	.memory_mib = 512, .cpus = 1,
	.cmdline = "kho=on reserve_mem=1M:4K:kho_a reserve_mem=2112K:2M:kho_b liveupdate=on",
	.programs = BATTERY,
	.steps =
		"boot@previous\n"
		"kexec\n"
		"kexec@previous\n"
		"kexec\n"
		"kexec\n",
};

static const struct kho_boot *boot(void)
{
	return kho_boot_of(kho_generation());
}

static const char *not_here(void)
{
	return boot() ? kho_unknown() && strcmp(boot()->step.kernel, KHO_KERNEL_NOKHO) ?
	       kho_unknown() : NULL :
	       "not in a machine of khotest: not known how this kernel was booted";
}

static const char *no_way(enum kho_way way)
{
	return not_here() ?: boot()->step.way == way ? NULL :
	       "this kernel was not entered that way";
}

/* the kernel before would have handed over, had it been asked to the right way */
static bool was_on(void)
{
	int gen = kho_generation();

	return gen > 0 && kho_boot_of(gen - 1)->on;
}

static int has(const char *text)
{
	return kho_klog_find(text, NULL, 0);
}

/*
 * All that KHO and live update say of a boot that the documents call normal;
 * a number stands for any number of digits.
 */
static bool explained(const char *line)
{
	const struct kho_boot *b = boot();
	bool refused = b->step.refused;
	bool live = b->on && kho_cmdline_bool(b->step.cmdline, "liveupdate") == 1;
	const struct {
		bool may;
		const char *like;
	} lines[] = {
		{ true, "KHO: scratch areas: lowmem: [0-9]*MiB global: [0-9]*MiB pernode: *MiB" },
		{ true, "KHO: scratch scale is [0-9]*%" },
		{ b->handed_over, "KHO: found kexec handover data." },
		{ b->count && b->on, "KHO: exec from: * (count [0-9]*)" },
		{ b->step.anew, "KHO: kexec-metadata *" },
		{ b->step.anew, "KHO: broken KHO subnode 'kexec-metadata'" },
		{ b->step.anew, "KHO: node * prop * has invalid length: *" },
		{ b->step.way == KHO_BY_CRASH, "KHO: disabled in the kdump kernel" },
		{ b->step.off, "KHO: Failed to reserve * scratch *" },
		{ b->step.off, "KHO: Failed to reserve scratch area, disabling kexec handover" },
		{ refused, "KHO: setup: handover FDT (0x*) is *" },
		{ refused, "KHO: failed to get preserved memory map" },
		{ refused, "KHO: setup: failed to memremap *" },
		{ refused, "KHO: disabling KHO revival*" },
		{ b->handed_over, "luo: Retrieved live update data, liveupdate number: [0-9]*" },
		{ !b->on, "luo: Disabling liveupdate because KHO is disabled" },
		/* CONFIG_LIVEUPDATE_TEST: files there are none yet, but those that came */
		{ live, "liveupdate test: Registered 3 FLBs with file handler: \\[*\\]" },
		{ live && b->handed_over,
		  "liveupdate test: liveupdate-test-flb-v[0-2]: found flb data from *" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (lines[i].may && !fnmatch(lines[i].like, line, 0))
			return true;
	return false;
}

KHO_TEST_WHERE(log1, each_line_is_explained, not_here())
{
	int fd = kho_klog_open(true), n, bad = 0;
	char line[1024];

	if (boot()->step.way == KHO_BY_CRASH && kho_req_why_not(KHO_REQ_en7))
		SKIP(return, "KHO in a crash kernel: %s", kho_req_why_not(KHO_REQ_en7));
	ASSERT_LE(0, fd);
	while ((n = kho_klog_next(fd, line, sizeof(line))) != 0) {
		if (n < 0 && n != -EPIPE)
			break;
		if (n < 0 || (strncmp(line, "KHO: ", 5) && strncmp(line, "luo: ", 5) &&
			      strncmp(line, "liveupdate test: ", 17) &&
			      /* the only word of a kho_init() that failed */
			      strncmp(line, "Freeing  memory: ", 17)) ||
		    explained(line))
			continue;
		TH_LOG("not explained: %s", line);
		bad++;
	}
	close(fd);
	EXPECT_EQ(0, bad);
}

KHO_TEST_WHERE(log2, handover_is_announced, not_here())
{
	/* where KHO is off the data is taken all the same, and may be told of */
	if (!boot()->on && boot()->handed_over)
		SKIP(return, "KHO is switched off in this generation");
	EXPECT_EQ(boot()->handed_over, has("KHO: found kexec handover data."));
	EXPECT_EQ(boot()->count > 0, has("KHO: exec from: "));
}

KHO_TEST_WHERE(s2, malformed_is_logged, not_here())
{
	const char *param = kho_scratch_param(NULL);
	struct kho_sizes s;
	char val[256];
	int n = 0;

	for (int i = 0; !kho_cmdline_get(NULL, param, i, val, sizeof(val)); i++) {
		kho_scratch_parse(val, &s);
		n += !s.valid;
	}
	snprintf(val, sizeof(val), "Malformed early option '%s'", param);
	EXPECT_EQ(n, has(val));
}

KHO_CHECKS(s5, accepted_is_logged);
KHO_CHECKS(s19, accepted_is_logged);
/* each valid kho_scratch= is told of, in its turn, and no other */
KHO_TEST_WHERE(s4, accepted_is_logged, not_here())
{
	int fd = kho_klog_open(true), n, seen = 0, at = 0;
	const char *param = kho_scratch_param(NULL);
	char line[1024], val[256], want[128];

	ASSERT_LE(0, fd);
	while ((n = kho_klog_next(fd, line, sizeof(line))) != 0) {
		struct kho_sizes s = { };

		if (n < 0 && n != -EPIPE)
			break;
		if (n < 0 || strncmp(line, "KHO: scratch ", 13))
			continue;
		while (!s.valid && !kho_cmdline_get(NULL, param, at++, val, sizeof(val)))
			kho_scratch_parse(val, &s);
		*want = '\0';
		if (s.valid && s.scaled)
			snprintf(want, sizeof(want), "KHO: scratch scale is %lu%%",
				 s.scale);
		else if (s.valid)
			snprintf(want, sizeof(want),
				 "KHO: scratch areas: lowmem: %lluMiB global: %lluMiB pernode: %lluMiB",
				 s.size[0] >> 20, s.size[1] >> 20, s.size[2] >> 20);
		EXPECT_STREQ(want, line);
		seen++;
	}
	close(fd);
	for (int i = at; !kho_cmdline_get(NULL, param, i, val, sizeof(val)); i++) {
		struct kho_sizes s;

		kho_scratch_parse(val, &s);
		EXPECT_FALSE(s.valid) {
			TH_LOG("not logged: kho_scratch=%s", val);
		}
	}
	if (!seen)
		SKIP(return, "no valid kho_scratch= on this command line");
}

/* the kernel's own test, where it is built in: lib/test_kho.c */
KHO_TEST_WHERE(kt1, own_test_restores, not_here())
{
	if (!boot()->on || !kho_own_test())
		SKIP(return, "the kernel's own test does not run, or KHO is off");
	/* what one kernel saves the next one restores */
	EXPECT_EQ(boot()->count & 1, has("KHO restore succeeded"));
	EXPECT_EQ(0, has("KHO restore failed"));
}

static const char *no_setup_data(void)
{
	return not_here() ?: access("/sys/kernel/boot_params", F_OK) ?
	       "no /sys/kernel/boot_params: another architecture" : NULL;
}

/*
 * The parts of a kernel that KASLR moves together, as /proc/iomem has them; where it
 * does not tell of bss, that is in what is called data.
 */
static const char * const parts[] = { "Kernel code", "Kernel data", "Kernel bss" };

/* the first two of them are there */
static bool read_parts(struct kho_region *part)
{
	char *line, *save = NULL;
	struct kho_blob b;

	memset(part, 0, ARRAY_SIZE(parts) * sizeof(*part));
	if (kho_read_file("/proc/iomem", &b))
		return false;
	for (line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long start, end;
		int at = 0;

		if (sscanf(line, " %llx-%llx : %n", &start, &end, &at) != 2)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			if (strcmp(line + at, parts[i]))
				continue;
			part[i].addr = start;
			part[i].size = end - start + 1;
		}
	}
	kho_blob_free(&b);
	return part[0].size && part[1].size;
}

/*
 * It was loaded into scratch and goes nowhere else, KASLR or not: what is outside
 * may be preserved.
 */
KHO_TEST_WHERE(kx2, kernel_is_in_scratch, not_here())
{
	static struct kho_region r[KHO_REGIONS_MAX];
	struct kho_region part[ARRAY_SIZE(parts)];
	int n;

	if (!boot()->on || !boot()->handed_over)
		SKIP(return, "not a handover into a kernel with KHO on");
	if (kho_no_debugfs())
		SKIP(return, "%s", kho_no_debugfs());
	ASSERT_TRUE(read_parts(part));
	n = kho_scratch_read(KHO_DEBUGFS "/out", r, KHO_REGIONS_MAX);
	ASSERT_LT(0, n);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		bool in = !part[i].size;

		for (int j = 0; j < n; j++)
			in |= part[i].addr >= r[j].addr &&
			      part[i].addr + part[i].size <= r[j].addr + r[j].size;
		EXPECT_TRUE(in) {
			TH_LOG("%s of %llu bytes at 0x%llx is not in scratch", parts[i],
			       part[i].size, part[i].addr);
		}
	}
}

/* where kernels were, for those that come */
struct places {
	u64 addr;
	u32 kernels;
	u32 moved;
};

/* else all of the above was said of one and the same place */
KHO_TEST_WHERE(kx2, kaslr_finds_several_places, no_setup_data())
{
	struct kho_region part[ARRAY_SIZE(parts)];
	struct places p = { };

	if (strcmp(kho_scenario_name(), "conformance.reserve.kaslr"))
		SKIP(return, "for another scenario");
	if (!kho_config("CONFIG_RANDOMIZE_BASE"))
		SKIP(return, "this kernel is built without KASLR");
	ASSERT_TRUE(read_parts(part));
	/* the cold boot has all of memory to choose from */
	if (kho_generation() > 1) {
		ASSERT_EQ(0, kho_state_get("places", kho_generation() - 1, &p, sizeof(p)));
		p.moved += part[0].addr != p.addr;
	}
	p.kernels += kho_generation() > 0;
	p.addr = part[0].addr;
	ASSERT_EQ(0, kho_state_save("places", &p, sizeof(p)));
	if (p.kernels < 4)
		SKIP(return, "the generations to come are compared with this one");
	EXPECT_LT(0, p.moved) {
		TH_LOG("%u kernels, all of them at 0x%llx", p.kernels, p.addr);
	}
}

/* payload of struct kho_data in arch/x86/include/uapi/asm/setup_data.h */
struct kho_data {
	u64 fdt_addr;
	u64 fdt_size;
	u64 scratch_addr;
	u64 scratch_size;
} __packed;

#define SETUP_KEXEC_KHO	10
#define SETUP_DATA	"/sys/kernel/boot_params/setup_data"

/* setup_data entries of KHO's type; the last one's content */
static int kho_setup_data(struct kho_blob *blob)
{
	struct dirent *e;
	char path[512];
	int nr = 0;
	DIR *d;

	memset(blob, 0, sizeof(*blob));
	d = opendir(SETUP_DATA);
	while (d && (e = readdir(d))) {
		struct kho_blob b;

		snprintf(path, sizeof(path), SETUP_DATA "/%s/type", e->d_name);
		if (*e->d_name == '.' || kho_read_file(path, &b))
			continue;
		if (strtoul(b.data, NULL, 0) == SETUP_KEXEC_KHO) {
			nr++;
			kho_blob_free(blob);
			snprintf(path, sizeof(path), SETUP_DATA "/%s/data", e->d_name);
			kho_read_file(path, blob);
		}
		kho_blob_free(&b);
	}
	if (d)
		closedir(d);
	return nr;
}

KHO_CHECKS(kx1, setup_data_iff_kho_kexec);
KHO_TEST_WHERE(h1, setup_data_iff_kho_kexec, no_setup_data())
{
	struct kho_blob b;

	EXPECT_EQ(boot()->step.way == KHO_BY_KEXEC && was_on(), kho_setup_data(&b));
	kho_blob_free(&b);
}

KHO_CHECKS(h3, setup_data_payload);
KHO_TEST_WHERE(h1, setup_data_payload, no_setup_data())
{
	u64 page = sysconf(_SC_PAGESIZE);
	struct kho_data d;
	struct kho_blob b;

	if (!kho_setup_data(&b))
		SKIP(return, "nothing was handed over");
	ASSERT_EQ(sizeof(d), b.len);
	memcpy(&d, b.data, sizeof(d));
	kho_blob_free(&b);
	EXPECT_EQ(0, d.fdt_addr % page);
	EXPECT_EQ(page, d.fdt_size);
	EXPECT_TRUE(kho_in_ram(d.fdt_addr, d.fdt_size));
	EXPECT_TRUE(kho_in_ram(d.scratch_addr, d.scratch_size));
	EXPECT_EQ(0, d.scratch_size % 16);
	if (boot()->on && boot()->handed_over && !kho_no_debugfs()) {
		static struct kho_region r[KHO_REGIONS_MAX];
		int n = kho_scratch_read(KHO_DEBUGFS "/out", r, KHO_REGIONS_MAX);

		EXPECT_EQ(16 * n, d.scratch_size);
		/* the tree is preserved memory, the array was loaded into scratch */
		EXPECT_FALSE(kho_regions_overlap(r, n, d.fdt_addr, d.fdt_size));
		EXPECT_TRUE(kho_regions_overlap(r, n, d.scratch_addr, d.scratch_size));
	}
}

KHO_TEST_WHERE(h5, nothing_on_the_command_line, not_here())
{
	char line[3072];
	struct kho_step step;
	struct kho_blob b;
	const char *why;
	size_t len;

	ASSERT_EQ(0, kho_job_step(kho_generation(), line, sizeof(line)));
	ASSERT_EQ(0, kho_step_parse(line, &step, &why));
	ASSERT_EQ(0, kho_read_file("/proc/cmdline", &b));
	len = strcspn(b.data, "\n");
	while (len && ((char *)b.data)[len - 1] == ' ')
		len--;
	((char *)b.data)[len] = '\0';
	/* firmware tells its stub what the initramfs is called */
	if (boot()->step.way == KHO_BY_BOOT || boot()->step.way == KHO_BY_REBOOT) {
		static const char more[] = " initrd=initrd";
		const size_t tail = strlen(more);

		if (!access("/sys/firmware/efi", F_OK) && len > tail &&
		    !strcmp((char *)b.data + len - tail, more))
			((char *)b.data)[len - tail] = '\0';
	}
	/* the kernel tells its crash kernel where its memory is, in front */
	if (boot()->step.way == KHO_BY_CRASH && !no_setup_data()) {
		EXPECT_NE(NULL, strstr(b.data, "elfcorehdr="));
		EXPECT_NE(NULL, strstr(b.data, step.cmdline));
	} else {
		EXPECT_STREQ(step.cmdline, b.data);
	}
	kho_blob_free(&b);
}

KHO_TEST_WHERE(en5, off_is_off, not_here())
{
	u64 cma = 0;

	if (boot()->on)
		SKIP(return, "KHO is on in this generation");
	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
	/* what was handed over is taken even so; see kx8 */
	if (boot()->handed_over)
		return;
	/* nothing else makes CMA in these machines */
	EXPECT_TRUE(kho_meminfo("CmaFree", &cma) || !cma) {
		TH_LOG("CmaFree: %llu KiB", cma);
	}
	EXPECT_EQ(0, has("KHO: found kexec handover data"));
}

KHO_TEST_WHERE(en7, crash_kernel_has_none, no_way(KHO_BY_CRASH))
{
	struct kho_blob b;

	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
	EXPECT_EQ(1, has("KHO: disabled in the kdump kernel"));
	EXPECT_EQ(0, has("KHO: found kexec handover data"));
	EXPECT_EQ(0, has("Revived memory reservation"));
	EXPECT_EQ(0, kho_setup_data(&b));
	kho_blob_free(&b);
}

KHO_TEST_WHERE(kx4, kexec_load_hands_nothing_over, no_way(KHO_BY_KEXEC_LOAD))
{
	EXPECT_NE(0, access(KHO_DEBUGFS "/in", F_OK));
	EXPECT_EQ(0, has("KHO: found kexec handover data"));
	EXPECT_EQ(0, has("Revived memory reservation"));
}

KHO_TEST_WHERE(kx8, kho_off_after_a_handover, not_here())
{
	if (!boot()->handed_over || boot()->on)
		SKIP(return, "not a handover into a kernel with KHO off");
	EXPECT_NE(0, access(KHO_DEBUGFS, F_OK));
	EXPECT_EQ(1, has("KHO: found kexec handover data"));
	/* what is there of the previous kernel stays out of everybody's reach */
	EXPECT_TRUE(kho_cmdline_get(NULL, "reserve_mem", 0, NULL, 0) ||
		    has("Revived memory reservation") > 0);
}

KHO_TEST_WHERE(kx11, reboot_drops_everything, no_way(KHO_BY_REBOOT))
{
	EXPECT_NE(0, access(KHO_DEBUGFS "/in", F_OK));
	EXPECT_EQ(0, has("KHO: found kexec handover data"));
}

KHO_CHECKS(en11, kernel_without_kho_ignores_the_data);
KHO_TEST_WHERE(h4, kernel_without_kho_ignores_the_data, not_here())
{
	if (strcmp(boot()->step.kernel, KHO_KERNEL_NOKHO) || !was_on())
		SKIP(return, "not a KHO kexec into a kernel without KHO");
	EXPECT_EQ(1, has("Passed KHO data, but CONFIG_KEXEC_HANDOVER not set. Ignoring."));
}

KHO_TEST_WHERE(f12, refused_and_the_boot_goes_on, not_here())
{
	if (!boot()->step.refused)
		SKIP(return, "nothing that must be refused");
	EXPECT_EQ(1, has("KHO: disabling KHO revival"));
	EXPECT_EQ(0, has("KHO: found kexec handover data"));
	EXPECT_NE(0, access(KHO_DEBUGFS "/in", F_OK));
	EXPECT_EQ(0, has("Revived memory reservation"));
	EXPECT_EQ(0, has("Retrieved live update data"));
}

TEST_HARNESS_MAIN
