/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * live_map.h - the preserved-memory map of the running kernel, for checks
 *
 * Read from memory, where the kernel builds it.  A part of each program that
 * includes it, as the harness is.
 */
#ifndef KHO_LIVE_MAP_H
#define KHO_LIVE_MAP_H

#include "kho_test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fdt_check.h"
#include "kcore.h"
#include "map.h"

static struct kho_kcore kcore = { .fd = -1 };
static struct kho_map map;
static struct kho_root root;
static struct kho_problems problems;
static u64 tree_at __used;

static inline u64 page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static inline int read_page(void *ctx, u64 addr, void *page)
{
	return kho_kcore_phys(ctx, addr, page, page_size());
}

/* found once, before the checks part: the list of symbols is long */
static u64 kho_out;
static int no_kcore, no_symbol;

static void __attribute__((constructor)) look(void)
{
	if (kho_why_not())
		return;
	no_kcore = kho_kcore_open(&kcore);
	no_symbol = kho_symbol("kho_out", &kho_out);
}

/* why the kernel's memory cannot be looked at, or NULL */
static inline const char *closed(void)
{
	static char why[128];

	if (kho_why_not())
		return kho_why_not();
	if (no_kcore == -ENOENT || no_kcore == -EPERM)
		snprintf(why, sizeof(why), "/proc/kcore: %s: the kernel lets nobody look",
			 strerror(-no_kcore));
	else if (no_symbol == -ENOENT || no_symbol == -EPERM)
		snprintf(why, sizeof(why),
			 "/proc/kallsyms does not tell of kho_out (CONFIG_KALLSYMS_ALL): %s",
			 strerror(-no_symbol));
	return *why ? why : NULL;
}

static inline void no_problems(struct __test_metadata *_metadata, const char *what)
{
	for (unsigned int n = 0; n < problems.nr && n < KHO_PROBLEMS_MAX; n++)
		TH_LOG("%s: %s", what, problems.text[n]);
	EXPECT_EQ(0, problems.nr);
}

/*
 * The root tree is where the kernel edits it: debugfs shows it cut off or not at
 * all once there are producers (known issues).
 */
static inline void read_tree(struct __test_metadata *_metadata)
{
	unsigned char page[KHO_MAP_PAGE_MAX];
	u64 fdt = 0;
	u32 len;

	ASSERT_EQ(0, no_kcore);
	ASSERT_EQ(0, no_symbol);
	/* its first member is the tree's address */
	ASSERT_EQ(0, kho_kcore_virt(&kcore, kho_out, &fdt, sizeof(fdt)));
	tree_at = kho_kcore_to_phys(&kcore, fdt);
	ASSERT_EQ(0, kho_kcore_virt(&kcore, fdt, page, page_size())) {
		TH_LOG("kho_out begins with 0x%llx, where no tree can be", fdt);
	}
	/* a device tree begins with its magic number and length, big endian */
	len = (u32)page[4] << 24 | page[5] << 16 | page[6] << 8 | page[7];
	memset(&problems, 0, sizeof(problems));
	kho_check_root(page, len < page_size() ? len : page_size(), KHO_COMPATIBLE,
		       &root, &problems);
	no_problems(_metadata, "the outgoing tree");
}

static inline void read_map(struct __test_metadata *_metadata)
{
	int err;

	read_tree(_metadata);
	memset(&problems, 0, sizeof(problems));
	err = kho_map_read(&map, __builtin_ctzll(page_size()), root.map, read_page,
			   &kcore, &problems);
	no_problems(_metadata, "the map");
	ASSERT_EQ(0, err);
}

static inline u64 size_of(const struct kho_kept *k)
{
	return page_size() << k->order;
}

#endif /* KHO_LIVE_MAP_H */
