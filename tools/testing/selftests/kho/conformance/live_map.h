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

#include "live.h"

static struct kho_live live;
static struct kho_map map;
static struct kho_root root;
static struct kho_problems problems;
static u64 tree_at __used;

/* found once, before the checks part: the list of symbols is long */
static const char *not_found = "KHO";
static int no_live = -ENODATA;

static void __attribute__((constructor(1500))) look(void)
{
	if (!kho_why_not())
		no_live = kho_live_open(&live, &not_found);
}

/* why the kernel's memory cannot be looked at, or NULL */
static inline const char *closed(void)
{
	static char why[128];

	if (kho_no_debugfs())
		return kho_no_debugfs();
	if (no_live == -ENOENT || no_live == -EPERM)
		snprintf(why, sizeof(why), "%s: %s: the kernel lets nobody look", not_found,
			 strerror(-no_live));
	return *why ? why : NULL;
}

static inline void no_problems(struct __test_metadata *_metadata, const char *what)
{
	for (unsigned int n = 0; n < problems.nr && n < KHO_PROBLEMS_MAX; n++)
		TH_LOG("%s: %s", what, problems.text[n]);
	EXPECT_EQ(0, problems.nr);
}

static inline void read_tree(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, no_live) {
		TH_LOG("%s: %s", not_found, strerror(-no_live));
	}
	memset(&problems, 0, sizeof(problems));
	ASSERT_EQ(0, kho_live_root(&live, &root, &tree_at, &problems));
	no_problems(_metadata, "the outgoing tree");
}

static inline void read_map(struct __test_metadata *_metadata)
{
	int err;

	read_tree(_metadata);
	memset(&problems, 0, sizeof(problems));
	err = kho_live_map(&live, &root, &map, &problems);
	no_problems(_metadata, "the map");
	ASSERT_EQ(0, err);
}

static inline u64 size_of(const struct kho_kept *k)
{
	return page_size() << k->order;
}

#endif /* KHO_LIVE_MAP_H */
