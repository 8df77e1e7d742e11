// SPDX-License-Identifier: GPL-2.0-only
/*
 * api_faults.c - operations that fail for want of memory
 *
 * The kernel's fault injection fails the first allocation of an operation, then
 * the second, and so on until it has no more to fail: each error path there is.
 * What failed must leave the map and the tree as they were, and memory must not
 * become less.
 */
#include "producer.h"

#include "fail_nth.h"

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api.faults",
	.summary = "the in-kernel API when there is no memory, allocation by allocation",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK | KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_api_faults" },
	.steps = "boot\nkexec\n",
};

KHO_SCENARIO(vmalloc) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api.faults_vmalloc",
	.summary = "the same for vmalloc memory",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK | KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_api_faults" },
	.steps = "boot\n",
};

KHO_SCENARIO(debug) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api.faults_debug",
	.summary = "what fails for want of memory, on a kernel that looks after itself",
	.memory_mib = 1024, .cpus = 1, .step_seconds = 240,
	.flags = KHO_SC_MODULE | KHO_SC_ON_DEMAND,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_api_faults", "kho_leaks" },
	.steps = "boot@debug\n",
};

#define NTH_MAX		64
#define ROUNDS		200
/* pages that what else goes on can take in the meantime */
#define NOISE		250

static bool of_vmalloc(void)
{
	return !strcmp(kho_scenario_name(), "conformance.api.faults_vmalloc");
}

static const char *no_injection(void)
{
	return no_map() ?: no_faults ?
	       "no fault injection (CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAILSLAB)" : NULL;
}

static const char *not_here(void)
{
	return of_vmalloc() ? "for another scenario" : no_injection();
}

/* for what fails a certain allocation */
static const char *not_by_number(void)
{
	return not_here() ?: allocates_beside() ?
	       "a kernel that looks after itself allocates, too" : NULL;
}

static const char *not_vmalloc(void)
{
	return of_vmalloc() ? no_injection() : "for another scenario";
}

/*
 * Fail each allocation of a command in turn.  Returns how often it failed; it has
 * succeeded when this returns.  What it did without one, as those are that a kernel makes
 * to look after itself, is taken back and done again.
 */
static int each_failure(struct __test_metadata *_metadata, const char *command,
			const char *back, const struct kho_map *was)
{
	struct kho_root tree;
	int failed = 0;

	read_tree(_metadata);
	tree = root;
	for (int nth = 1; nth <= NTH_MAX; nth++) {
		bool injected;
		int err = producer_nth(nth, &injected, command);

		if (!err && !injected)
			return failed;
		if (!err) {
			TH_LOG("%s: did without allocation %d", command, nth);
			ASSERT_EQ(0, producer("%s", back));
			continue;
		}
		ASSERT_EQ(-ENOMEM, err) {
			TH_LOG("%s, allocation %d: %s", command, nth, strerror(-err));
		}
		failed++;
		expect_map(_metadata, was, command);
		read_tree(_metadata);
		EXPECT_EQ(0, memcmp(&tree, &root, sizeof(root))) {
			TH_LOG("%s, allocation %d: the tree is another", command, nth);
		}
	}
	EXPECT_GE(NTH_MAX, NTH_MAX + 1) {
		TH_LOG("%s: has no end", command);
	}
	return failed;
}

KHO_TEST_WHERE(r8, a_key_that_finds_no_memory_changes_nothing, not_here())
{
	/* of orders that nobody has used: each has a way of its own through the tree */
	static const int order[] = { 2, 4, 5, 7, 8, 9, 10 };
	struct kho_map was;
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		size_t nr;

		ASSERT_EQ(0, producer("new x folio %d", order[i]));
		read_map(_metadata);
		was = map;
		failed += each_failure(_metadata, "preserve x", "unpreserve x", &was);
		nr = keys_of(_metadata, "x", true, keys, NULL);
		expect_added(_metadata, &was, keys, nr, "when there was memory again");
		EXPECT_EQ(0, producer("unpreserve x"));
		expect_map(_metadata, &was, "after it was taken back");
		EXPECT_EQ(0, producer("put x"));
	}
	/* besides the command itself, which is an allocation, too */
	EXPECT_LT((int)ARRAY_SIZE(order), failed) {
		TH_LOG("%d failures of %zu operations: none in KHO", failed, ARRAY_SIZE(order));
	}
}

/* the pages of a branch that was begun */
KHO_TEST_WHERE(r8, a_branch_that_was_begun_is_freed, not_by_number())
{
	unsigned int levels = kho_map_levels(__builtin_ctzll(page_size()));
	long was, now;

	if (producer("radix init") == -EOPNOTSUPP)
		SKIP(return, "this kernel has no trees of keys for others");
	was = kho_free_pages();
	for (int i = 0; i < ROUNDS; i++) {
		bool injected;

		/* the command, pages of tables below the root, and no bitmap */
		ASSERT_EQ(-ENOMEM, producer_nth(levels, &injected, "radix add 0x8000000000"));
		EXPECT_TRUE(injected);
	}
	ASSERT_EQ(0, producer("radix walk"));
	EXPECT_EQ(NULL, strstr(reply, "key"));
	ASSERT_EQ(0, producer("radix destroy"));
	now = kho_free_pages();
	EXPECT_LT(-NOISE, now - was) {
		TH_LOG("%d keys found no memory: %ld pages are lost", ROUNDS, was - now);
	}
}

/* what it allocated before it failed is free */
KHO_TEST_WHERE(r14, alloc_preserve_that_fails_leaks_nothing, not_by_number())
{
	const unsigned long pages = 8;
	char command[64];
	long was, now;

	snprintf(command, sizeof(command), "new k kho %llu", pages * page_size());
	/* of an order that nobody has used, for it is the map's own memory that fails */
	was = kho_free_pages();
	for (int i = 0; i < ROUNDS; i++) {
		bool injected;

		/* the command, the object, the memory itself */
		ASSERT_EQ(-ENOMEM, producer_nth(4, &injected, command));
	}
	now = kho_free_pages();
	EXPECT_GT(NOISE, was - now) {
		TH_LOG("%d times %lu pages: %ld free before, %ld after", ROUNDS,
		       pages, was, now);
	}
}

/* keys of many orders: those that were added before one failed are taken back */
KHO_TEST_WHERE(r16, a_run_that_fails_half_way_is_taken_back, not_here())
{
	struct kho_map was;
	int failed;
	size_t nr;
	u64 phys;

	ASSERT_EQ(0, producer("new x pages 1000"));
	ASSERT_EQ(0, producer("where x"));
	phys = strtoull(reply, NULL, 16);
	read_map(_metadata);
	was = map;
	failed = each_failure(_metadata, "part x 1 998", "unpart x 1 998", &was);
	/* a bitmap at least for each order that nobody had, if it came to that */
	EXPECT_LT(allocates_beside() ? -1 : 2, failed);
	nr = kho_map_split(__builtin_ctzll(page_size()), phys + page_size(), 998, keys,
			   EXPECTED_MAX);
	expect_added(_metadata, &was, keys, nr, "a run, when there was memory again");
	EXPECT_EQ(0, producer("unpart x 1 998"));
	expect_map(_metadata, &was, "after it was taken back");
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r14, alloc_preserve_finds_no_memory, not_here())
{
	char command[64];
	struct kho_map was;

	read_map(_metadata);
	was = map;
	snprintf(command, sizeof(command), "new k kho %llu", 17 * page_size() + 368);
	/* the command, if it can fail, and the memory */
	EXPECT_LT(allocates_beside() ? 0 : 1,
		  each_failure(_metadata, command, "kho_free k", &was));
	EXPECT_EQ(0, producer("zero k"));
	EXPECT_EQ(0, producer("kho_free k"));
	expect_map(_metadata, &was, "after it was freed");
}

/*
 * A tree has its node, or has not; that the file in debugfs finds no memory is
 * warned of, and the node is there all the same.
 */
KHO_TEST_WHERE(r16, a_subtree_is_added_or_not, not_here())
{
	struct kho_root tree;

	ASSERT_EQ(0, producer("new x folio 0"));
	read_tree(_metadata);
	tree = root;
	for (int nth = 1; nth <= NTH_MAX; nth++) {
		bool injected;
		int err;

		EXPECT_EQ(0, kho_klog_ask("kho_add_subtree"));
		err = producer_nth(nth, &injected, "add x some_node 16");
		EXPECT_EQ(0, kho_klog_ask(NULL));
		read_tree(_metadata);
		EXPECT_EQ(tree.nr + !err, root.nr);
		if (!err)
			EXPECT_EQ(0, producer("remove x"));
		read_tree(_metadata);
		EXPECT_EQ(0, memcmp(&tree, &root, sizeof(root)));
		if (!injected)
			break;
		ASSERT_GT(NTH_MAX, nth);
	}
	EXPECT_EQ(0, producer("put x"));
}

/* pages, and the pages that tell where they are: more than one of these */
static void vmalloc_fails(struct __test_metadata *_metadata, const char *command)
{
	/* a page of these has an address for each 8 bytes, but for a head */
	long each = page_size() / 8 - 1, pages = 2 * each + 78;
	struct kho_map was;

	/* large pages are told of by few others: not more than there is room for */
	if (pages > sysconf(_SC_PHYS_PAGES) / 4)
		pages = sysconf(_SC_PHYS_PAGES) / 4;
	/* there is a way to keys of order 1, so that deleting one says nothing */
	ASSERT_EQ(0, producer("new x folio 1"));
	EXPECT_EQ(0, producer("preserve x"));
	EXPECT_EQ(0, producer("unpreserve x"));
	EXPECT_EQ(0, producer("put x"));
	ASSERT_EQ(0, producer("new x vmalloc %ld", pages));
	read_map(_metadata);
	was = map;
	/* the command and each page of addresses at least: three of 4 KiB or 16 */
	EXPECT_LT((pages + each - 1) / each,
		  each_failure(_metadata, command, "unpreserve x", &was));
	EXPECT_EQ(0, producer("unpreserve x"));
	expect_map(_metadata, &was, "after it was taken back");
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r16, vmalloc_that_fails_is_taken_back, not_vmalloc())
{
	vmalloc_fails(_metadata, "preserve x");
}

/* the last one: what is left of it stays */
KHO_TEST_WHERE(r16, vmalloc_that_fails_reads_nothing_of_its_caller, not_vmalloc())
{
	vmalloc_fails(_metadata, "preserve x dirty");
}

TEST_HARNESS_MAIN
