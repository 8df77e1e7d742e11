// SPDX-License-Identifier: GPL-2.0-only
/*
 * hotplug.c - preserved memory that came when the machine ran
 *
 * What a kernel adds by itself when it finds a memory device is in no table of the
 * firmware, which the next kernel begins with: it has the memory only when it finds
 * the device, too.  Preserved is preserved.
 */
#include "producer.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define MACHINE								\
	.nr_nodes = 1, .node = { { 512, 1 } }, .hot_mib = 256, .generations = 3, \
	.flags = KHO_SC_MODULE, .step_seconds = 30,			\
	.steps = "boot@variant\nkexec@variant\nkexec@variant\n"

KHO_SCENARIO(at_boot) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.hotplug.boot",
	.summary = "memory that is added before KHO begins, and preserved",
	.cmdline = "kho=on memhp_default_state=online", MACHINE,
};

KHO_SCENARIO(later) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.hotplug.later",
	.summary = "memory that a program puts on line, and preserved",
	.cmdline = "kho=on memhp_default_state=offline", MACHINE,
};

#define OBJECTS	8

static const char *not_here(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       no_producer();
}

/* the memory that came last is behind all other */
static u64 hot_begin(void)
{
	static struct kho_region ram[256];
	int n = kho_iomem_ram(ram, ARRAY_SIZE(ram));
	u64 last = 0;

	for (int i = 0; i < n; i++)
		last = ram[i].addr > last ? ram[i].addr : last;
	return last;
}

/* where the object of the generation before is, and how large */
static void place_of(struct __test_metadata *_metadata, int i, struct kho_region *r)
{
	char name[16];

	snprintf(name, sizeof(name), "o%d", i);
	ASSERT_EQ(0, kho_state_get(name, kho_generation() - 1, r, sizeof(*r)));
}

/* blocks that are not on line yet */
static int put_on_line(void)
{
	static const char dir[] = "/sys/devices/system/memory";
	struct dirent *e;
	DIR *d = opendir(dir);
	int err = 0;

	while (d && !err && (e = readdir(d))) {
		struct kho_blob b;
		char path[300];

		snprintf(path, sizeof(path), "%s/%.200s/state", dir, e->d_name);
		if (strncmp(e->d_name, "memory", 6) || kho_read_file(path, &b))
			continue;
		if (!strncmp(b.data, "offline", 7))
			err = kho_write(path, "online");
		kho_blob_free(&b);
	}
	if (d)
		closedir(d);
	return d ? err : -errno;
}

KHO_TEST_WHERE(u6, memory_was_added, not_here())
{
	struct kho_blob b;

	ASSERT_EQ(0, put_on_line());
	ASSERT_LT(0, hot_begin());
	printf("# kho: value name=hotplug.begin unit=mib value=%llu\n", hot_begin() >> 20);
	fflush(stdout);
	/* beyond what the firmware told of */
	ASSERT_EQ(0, kho_read_file("/proc/iomem", &b));
	EXPECT_LE(4ULL << 30, hot_begin()) {
		TH_LOG("%s", (char *)b.data);
	}
	kho_blob_free(&b);
}

KHO_TEST_WHERE(r12, added_memory_stays_preserved, not_here())
{
	ASSERT_EQ(0, no_module);
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	for (int i = 0; i < OBJECTS; i++) {
		u64 bad = 0, flags = 0;
		struct kho_region r;
		long lost;

		place_of(_metadata, i, &r);
		lost = kho_pages_marked(r.addr, r.size, KHO_PAGES_ALLOCATED, &bad, &flags);
		EXPECT_EQ(0, lost) {
			TH_LOG("object %d, 0x%llx: the page allocator has %ld of its pages",
			       i, r.addr, lost);
		}
	}
}

KHO_TEST_WHERE(r13, added_memory_is_restored, not_here())
{
	ASSERT_EQ(0, no_module);
	if (!kho_generation())
		SKIP(return, "the next generation tells");
	for (int i = 0; i < OBJECTS; i++) {
		struct kho_region r;
		int err;

		place_of(_metadata, i, &r);
		err = producer("restore o%d", i);
		EXPECT_EQ(0, err) {
			TH_LOG("object %d, 0x%llx: restore: %s", i, r.addr, strerror(-err));
			continue;
		}
		err = producer("check o%d %d", i, 100 * kho_generation() - 100 + i);
		EXPECT_EQ(0, err) {
			TH_LOG("object %d, 0x%llx: content: %s: %s", i, r.addr, strerror(-err),
			       reply);
		}
		EXPECT_EQ(0, producer("put o%d", i));
	}
}

KHO_TEST_WHERE(r13, added_memory_is_preserved, not_here())
{
	ASSERT_EQ(0, no_module);
	/* highest memory first: nobody asks for a place */
	for (int i = 0; i < OBJECTS; i++) {
		struct kho_region r = { .size = page_size() << i };
		char name[16];

		snprintf(name, sizeof(name), "o%d", i);
		ASSERT_EQ(0, producer("new %s folio %d", name, i));
		EXPECT_EQ(0, producer("fill %s %d", name, 100 * kho_generation() + i));
		EXPECT_EQ(0, producer("preserve %s", name));
		r.addr = begin_of(_metadata, name);
		EXPECT_LE(hot_begin(), r.addr) {
			TH_LOG("object %d, 0x%llx, is not in memory that was added", i, r.addr);
		}
		EXPECT_EQ(0, kho_state_save(name, &r, sizeof(r)));
	}
}

TEST_HARNESS_MAIN
