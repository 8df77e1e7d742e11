// SPDX-License-Identifier: GPL-2.0-only
/*
 * nodes.c - the preserved-memory map and NUMA nodes
 *
 * Nodes of the map where nothing is preserved are not keys of it themselves, and must
 * stay intact until the next kernel has walked it: also in a gigabyte that it would
 * else take for free.  And preserved pages whose struct pages the next kernel makes
 * last must belong to their node all the same.
 */
#include "producer.h"

#include <linux/mempolicy.h>

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.map.nodes",
	.summary = "nodes of the map on a NUMA node with no preserved page",
	/*
	 * The second node is a gigabyte of its own, and the last one; where the
	 * kernel boots it goes to all nodes in turn for memory, but not to one that
	 * is less than 16 MiB
	 */
	.nr_nodes = 2, .low_mib = 1024, .node = { { 2048, 1 }, { 12, 0 } },
	.flags = KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,96M,4M",
	.programs = { "kho_nodes" },
	.steps =
		"boot\n"
		/* early memory that would fill the second node, and is written at once */
		"kexec hashdist=0 dhash_entries=524288 ihash_entries=262144\n",
};

KHO_SCENARIO(deferred) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.map.deferred",
	.summary = "preserved pages of a node whose struct pages are made last",
	.nr_nodes = 2, .low_mib = 1024, .node = { { 1024, 1 }, { 2048, 0 } },
	.flags = KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,96M,16M",
	.programs = { "kho_nodes" },
	.steps = "boot@variant\nkexec@variant\n",
};

/* keys of one order share a leaf only within this: a page's bits of pages */
#define LEAF_SPAN	(page_size() * page_size() * 8)
#define OBJECTS		16
/* pages of a window that are tried */
#define TRIES		512
#define NODE		1

static const char *not_in(int generation)
{
	return no_map() ?: strcmp(kho_scenario_name(), "conformance.map.nodes") ?
	       "for another scenario" : kho_generation() != generation ?
	       "for another generation" : NULL;
}

static const char *not_deferred(int generation)
{
	return no_map() ?: strcmp(kho_scenario_name(), "conformance.map.deferred") ?
	       "for another scenario" : kho_generation() != generation ?
	       "for another generation" : NULL;
}

static int bind_to(int node)
{
	unsigned long mask = node < 0 ? 0 : 1UL << node;

	return syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
		       node < 0 ? NULL : &mask, node < 0 ? 0 : 8 * sizeof(mask)) ? -errno : 0;
}

/*
 * Low addresses are given out first, and early memory of the next kernel comes from
 * above: what is below @end is taken before.
 */
static void take(u64 from, u64 end)
{
	const unsigned int some = 16;

	for (u64 at = from; at < end; at += some * page_size()) {
		if (!producer("new pad%llx at %u 0x%llx", at, some, at))
			continue;
		/* what is in use is what nobody else can be given */
		for (unsigned int i = 0; i < some; i++)
			producer("new pad%llx at 1 0x%llx", at + i * page_size(),
				 at + i * page_size());
	}
}

KHO_TEST_WHERE(r9, nodes_are_where_nothing_is_preserved, not_in(0))
{
	static struct kho_region scratch[KHO_REGIONS_MAX], span[8];
	int n, nr_span, made = 0, nodes = 0;

	ASSERT_EQ(0, no_module);
	nr_span = kho_node_spans(NODE, span, ARRAY_SIZE(span));
	ASSERT_LT(0, nr_span);
	n = kho_scratch_read(KHO_DEBUGFS "/out", scratch, ARRAY_SIZE(scratch));
	ASSERT_LT(0, n);
	take(span[0].addr, span[0].addr + (3 << 20));
	/* a page for each leaf: nodes are new, and where this task may allocate */
	for (u64 at = 0; made < OBJECTS && at < span[0].addr; at += LEAF_SPAN) {
		u64 from = at + LEAF_SPAN / 4;
		int err = -EBUSY;

		if (!kho_in_ram(from, TRIES * page_size()) ||
		    kho_regions_overlap(scratch, n, from, TRIES * page_size()))
			continue;
		for (int i = 0; err && i < TRIES; i++)
			err = producer("new n%d at 1 0x%llx", made, from + i * page_size());
		if (err) {
			TH_LOG("at 0x%llx: %s", from, strerror(-err));
			continue;
		}
		ASSERT_EQ(0, producer("fill n%d %d", made, made));
		ASSERT_EQ(0, bind_to(NODE));
		err = producer("preserve n%d", made++);
		ASSERT_EQ(0, bind_to(-1));
		ASSERT_EQ(0, err);
	}
	EXPECT_LT(2, made);
	read_map(_metadata);
	for (size_t i = 0; i < map.nr_nodes; i++)
		nodes += kho_regions_overlap(span, nr_span, map.node[i], page_size());
	EXPECT_LT(2, nodes);
	/* with a page in it the gigabyte would not be taken for free anyway */
	for (size_t i = 0; i < map.nr; i++) {
		EXPECT_FALSE(kho_regions_overlap(span, nr_span, map.key[i].addr,
						 size_of(&map.key[i]))) {
			TH_LOG("0x%llx of order %u is preserved on node %d",
			       map.key[i].addr, map.key[i].order, NODE);
		}
	}
	ASSERT_EQ(0, kho_state_save("objects", &made, sizeof(made)));
}

/* how many objects the generation before made */
static int made_before(struct __test_metadata *_metadata)
{
	int made;

	ASSERT_EQ(0, kho_state_get("objects", 0, &made, sizeof(made)));
	return made;
}

KHO_TEST_WHERE(r9, nodes_were_read, not_in(1))
{
	int made = made_before(_metadata);

	ASSERT_EQ(0, no_module);
	for (int i = 0; i < made; i++) {
		EXPECT_EQ(0, producer("restore n%d", i)) {
			TH_LOG("page %d of %d was preserved, and is not restored", i, made);
		}
		EXPECT_EQ(0, producer("check n%d %d", i, i));
	}
}

/* far from the begin of the node, which is made early: through all the rest of it */
KHO_TEST_WHERE(r13, pages_made_last_are_preserved, not_deferred(0))
{
	static struct kho_region scratch[KHO_REGIONS_MAX], span[8];
	int nr = kho_node_spans(NODE, span, ARRAY_SIZE(span)), made = 0;
	int n = kho_scratch_read(KHO_DEBUGFS "/out", scratch, ARRAY_SIZE(scratch));
	u64 step, from;

	ASSERT_EQ(0, no_module);
	ASSERT_LT(0, nr);
	ASSERT_LT(0, n);
	step = span[nr - 1].size / (2 * OBJECTS);
	from = span[nr - 1].addr + span[nr - 1].size / 2;
	for (int i = 0; i < OBJECTS; i++) {
		u64 at = from + i * step;
		int err = -EBUSY;

		if (kho_regions_overlap(scratch, n, at, TRIES * 8 * page_size()))
			continue;
		for (int try = 0; err && try < TRIES; try++)
			err = producer("new d%d at 8 0x%llx", made, at + try * 8 * page_size());
		ASSERT_EQ(0, err) {
			TH_LOG("no free pages at 0x%llx", at);
		}
		ASSERT_EQ(0, producer("fill d%d %d", made, made));
		ASSERT_EQ(0, producer("preserve d%d", made++));
	}
	EXPECT_LE(OBJECTS / 2, made);
	ASSERT_EQ(0, kho_state_save("objects", &made, sizeof(made)));
}

KHO_TEST_WHERE(r13, pages_made_last_are_restored, not_deferred(1))
{
	int made = made_before(_metadata);

	ASSERT_EQ(0, no_module);
	for (int i = 0; i < made; i++) {
		unsigned long long phys = 0;
		unsigned long pages;
		int node = -1;

		EXPECT_EQ(0, producer("restore d%d", i));
		EXPECT_EQ(0, producer("check d%d %d", i, i));
		EXPECT_EQ(0, producer("where d%d", i));
		if (sscanf(reply, "%llx %lu %d", &phys, &pages, &node) != 3)
			TH_LOG("where: %s", reply);
		/* where its struct page has it, to which it is freed */
		EXPECT_EQ(NODE, node) {
			TH_LOG("0x%llx of node %d is taken for one of node %d", phys, NODE, node);
		}
		EXPECT_EQ(0, producer("put d%d", i));
	}
}

TEST_HARNESS_MAIN
