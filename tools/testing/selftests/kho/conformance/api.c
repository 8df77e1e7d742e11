// SPDX-License-Identifier: GPL-2.0-only
/*
 * api.c - the functions that KHO exports, called by the test producer
 *
 * Each operation is judged by what it returns and by the preserved-memory map:
 * what it must add is there and nothing else, and its opposite leaves nothing.
 * The next kernel restores what was preserved and looks at each byte.
 */
#include "producer.h"

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api.calls",
	.summary = "the in-kernel API: folios, pages, vmalloc, subtrees, over three kernels",
	/* the second node begins in the middle of a large block */
	.nr_nodes = 2, .node = { { 514, 1 }, { 510, 1 } },
	.flags = KHO_SC_QUICK | KHO_SC_MODULE | KHO_SC_PARALLEL,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_api" },
	.steps = "boot\nkexec\nkexec\n",
};

KHO_SCENARIO(previous) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api.previous",
	.summary = "the in-kernel API, from release to release and back",
	.nr_nodes = 2, .node = { { 514, 1 }, { 510, 1 } },
	.flags = KHO_SC_MODULE | KHO_SC_PARALLEL,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_api" },
	.steps = "boot@previous\nkexec\nkexec@previous\n",
};

/* more than what else goes on in a machine can hide, in pages */
#define NOISE		192
/* of one page each, so that there are as many pages that tell where they are */
#define SMALL		256
/* those of one vmalloc(), in pages */
#define COUNTED		600

/* of every kind; sizes on both sides of what fits into one page of addresses */
static const struct {
	const char *name, *kind;
	unsigned long n;
	int node;
} handed[] = {
	{ "f0", "folio", 0, 0 },
	{ "f1", "folio", 1, 1 },
	{ "f3", "folio", 3, 1 },
	{ "f9", "folio", 9, 1 },
	{ "f10", "folio", 10, 0 },
	{ "p1", "pages", 1, 1 },
	{ "p7", "pages", 7, 0 },
	{ "p1000", "pages", 1000, 1 },
	{ "k1", "kho", 1, -1 },
	{ "k5000", "kho", 5000, -1 },
	{ "v1", "vmalloc", 1, -1 },
	{ "v510", "vmalloc", 510, -1 },
	{ "v511", "vmalloc", 511, -1 },
	{ "v1100", "vmalloc", 1100, -1 },
	{ "h1024", "huge", 1024, -1 },
};

/*
 * Have so many pages become free since there were @was, or as many less as what else
 * goes on can take?  Some come back a little later.  KASAN keeps what was freed to
 * itself for a while: there free memory tells nothing.
 */
static bool came_back(long was, long pages, long *got)
{
	*got = kho_free_pages() - was;
	for (int look = 0; look < 10 && *got <= pages - NOISE; look++)
		*got = kho_free_pages() - was;
	return *got > pages - NOISE || kho_config("CONFIG_KASAN") == 1;
}

static u64 seed(size_t i)
{
	return 0x6b686f00 + i;
}

KHO_TEST_WHERE(u2, the_test_producer_loads, no_producer())
{
	EXPECT_EQ(0, no_module);
	EXPECT_EQ(0, producer("list"));
}

static int subnode(const char *name)
{
	for (int i = 0; i < root.nr; i++)
		if (!strcmp(root.sub[i].name, name))
			return i;
	return -1;
}

static void expect_subnode(struct __test_metadata *_metadata, const char *name)
{
	EXPECT_LE(0, subnode(name)) {
		TH_LOG("%s is not in the tree", name);
	}
}

/* the first one: what unloading takes back is made again by those that follow */
KHO_TEST_WHERE(s21, unloading_leaves_nothing_preserved, no_map())
{
	ASSERT_EQ(0, no_before);
	ASSERT_EQ(0, no_module);
	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		EXPECT_EQ(0, producer("new x_%s %s %lu", handed[i].name, handed[i].kind,
				      handed[i].n));
		if (strcmp(handed[i].kind, "kho"))
			EXPECT_EQ(0, producer("preserve x_%s", handed[i].name));
	}
	EXPECT_EQ(0, producer("add x_f0 left_behind 8"));
	EXPECT_EQ(0, producer("new each pages 5"));
	EXPECT_EQ(0, producer("each each preserve"));
	EXPECT_EQ(0, producer("part x_f3 2 3"));
	ASSERT_EQ(0, syscall(SYS_delete_module, "kho_producer", 0));
	expect_map(_metadata, &before, "without the producer");
	EXPECT_EQ(-1, subnode(LEDGER));
	EXPECT_EQ(-1, subnode("left_behind"));
	ASSERT_EQ(0, load_module(""));
}

static const char *no_handover(void)
{
	return no_producer() ?: kho_generation() ? NULL : "nothing was handed over yet";
}

KHO_TEST_WHERE(r13, a_run_over_two_nodes_is_restored, no_handover())
{
	u64 was, now;
	char name[16];

	snprintf(name, sizeof(name), "over%d", kho_generation() - 1);
	if (producer("list") || !strstr(reply, name))
		SKIP(return, "the kernel before had none");
	ASSERT_EQ(0, kho_meminfo("MemTotal", &was));
	EXPECT_EQ(0, producer("restore %s", name));
	ASSERT_EQ(0, kho_meminfo("MemTotal", &now));
	EXPECT_EQ(was + (4 << 10), now) {
		TH_LOG("a run over two nodes: %llu KiB of 4 MiB were restored", now - was);
	}
	EXPECT_EQ(0, producer("check %s 9", name));
	EXPECT_EQ(0, producer("put %s", name));
}

/* a run that begins as a large block would, and goes on where the second node begins */
static const char *new_run_over_nodes(struct __test_metadata *_metadata, char *name, size_t size)
{
	struct kho_region span[16];
	u64 at;
	int err;

	ASSERT_LT(0, kho_node_spans(1, span, ARRAY_SIZE(span)));
	at = span[0].addr & ~((4ULL << 20) - 1);
	if (at == span[0].addr)
		return "the second node begins where a large block does";
	snprintf(name, size, "over%d", kho_generation());
	err = producer("new %s at %llu 0x%llx", name, (4 << 20) / page_size(), at);
	/* what is early has its own things at the end of a node */
	if (err == -EBUSY)
		return "the end of the first node is in use";
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, producer("fill %s 9", name));
	return NULL;
}

/* a block lies on one node, however large it could be by its address */
KHO_TEST_WHERE(r10, runs_are_split_where_a_node_ends, no_map())
{
	const char *why_not;
	struct kho_map was;
	int node = -1;
	char name[16];
	size_t nr;

	read_map(_metadata);
	was = map;
	why_not = new_run_over_nodes(_metadata, name, sizeof(name));
	if (why_not)
		SKIP(return, "%s", why_not);
	for (int again = 0; again < 2; again++) {
		EXPECT_EQ(0, producer("preserve %s", name));
		nr = keys_of(_metadata, name, false, keys, &node);
		EXPECT_EQ(1, node);
		expect_added(_metadata, &was, keys, nr, "a run over two nodes");
		EXPECT_EQ(0, producer("unpreserve %s", name));
		expect_map(_metadata, &was, "after it was taken back");
	}
	/* now that it is had, the next kernel is to have it */
	EXPECT_EQ(0, producer("preserve %s", name));
}

/* a line "NAME VALUE" of the reply; what is not there is no errno either */
static int told(const char *name)
{
	char line[64];
	const char *p;
	int val = 1 << 30;

	snprintf(line, sizeof(line), "%s ", name);
	p = strstr(reply, line);
	if (p && (p == reply || p[-1] == '\n'))
		sscanf(p + strlen(line), "%d", &val);
	return val;
}

KHO_TEST_WHERE(u3, a_producer_is_told_that_kho_is_on, no_producer())
{
	ASSERT_EQ(0, producer("self"));
	EXPECT_EQ(1, told("enabled"));
	EXPECT_EQ(kho_generation() ? 1 : 0, told("boot"));
}

KHO_TEST_WHERE(f16, the_address_is_needed_and_the_size_is_not, no_producer())
{
	ASSERT_EQ(0, producer("self"));
	EXPECT_EQ(kho_generation() ? -EINVAL : -ENOENT, told("retrieve_without_phys"));
	EXPECT_EQ(kho_generation() ? 0 : -ENOENT, told("retrieve_without_size"));
}

KHO_TEST_WHERE(r15, what_is_not_vmalloc_memory_is_refused, no_producer())
{
	ASSERT_EQ(0, producer("self"));
	EXPECT_EQ(-EINVAL, told("vmalloc_of_a_page"));
	EXPECT_EQ(-EINVAL, told("vmalloc_of_nothing"));
}

/* the ledger's own state: what came from the kernel before, and nothing else */
KHO_TEST_WHERE(f10, subtree_of_the_producer_is_found, no_producer())
{
	EXPECT_EQ(kho_generation() ? 0 : -ENOENT, producer("get " LEDGER));
	EXPECT_EQ(-ENOENT, producer("get no_such_node"));
	EXPECT_EQ(-ENOENT, producer("get kho_produce"));
	EXPECT_EQ(0, producer("list"));
	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s %s %lu handed\n", handed[i].name,
			 handed[i].kind, handed[i].n);
		EXPECT_EQ(!!kho_generation(), !!strstr(reply, line)) {
			TH_LOG("generation %d: %s", kho_generation(), line);
		}
	}
}

KHO_TEST_WHERE(f15, name_matches_with_and_without_its_unit_address, no_handover())
{
	char with[128];

	ASSERT_EQ(0, producer("get at@1"));
	strcpy(with, reply);
	EXPECT_EQ(0, producer("get at"));
	EXPECT_STREQ(with, reply);
	EXPECT_EQ(-ENOENT, producer("get at@2"));
	EXPECT_EQ(-ENOENT, producer("get a"));
}

/* KHO gives nothing for a place, and warns of who asks for it */
static void expect_nothing(struct __test_metadata *_metadata, u64 phys, const char *what)
{
	for (int pages = 0; pages < 2; pages++) {
		int fd = kho_warning_begin(_metadata, "kho_restore_");

		EXPECT_EQ(-ENODATA, producer("probe 0x%llx%s", phys, pages ? " 1" : "")) {
			TH_LOG("%s: 0x%llx, as %s: %s", what, phys,
			       pages ? "pages" : "a folio", reply);
		}
		kho_warning_end(_metadata, fd, "kho_restore_", 1);
	}
}

KHO_TEST_WHERE(r13, what_was_never_preserved_is_not_restored, no_producer())
{
	u64 phys;

	ASSERT_EQ(0, producer("new x folio 2"));
	phys = begin_of(_metadata, "x");
	expect_nothing(_metadata, phys, "never preserved");
	/* the next kernel is to have it, not this one */
	EXPECT_EQ(0, producer("preserve x"));
	expect_nothing(_metadata, phys, "preserved by this kernel");
	EXPECT_EQ(0, producer("unpreserve x"));
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r13, nothing_is_restored_twice, no_handover())
{
	static const char * const name[] = { "twice_f", "twice_p" };

	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		u64 phys;

		EXPECT_EQ(0, producer("restore %s", name[i]));
		phys = begin_of(_metadata, name[i]);
		expect_nothing(_metadata, phys, "restored already");
		expect_nothing(_metadata, phys + page_size(), "the inside of a block");
		EXPECT_EQ(0, producer("check %s 5", name[i]));
		EXPECT_EQ(0, producer("put %s", name[i]));
	}
}

/* pages that the kernel has counted as vmalloc()'s */
static long nr_vmalloc(void)
{
	kho_write("/proc/sys/vm/stat_refresh", "1");
	return kho_vmstat("nr_vmalloc");
}

/*
 * /proc/meminfo has them as VmallocUsed; what vfree() takes off must have been added.
 * This comes before all else that restores and frees: what is less than none is shown as
 * none.
 */
KHO_TEST_WHERE(r15, vmalloc_memory_is_counted, no_handover())
{
	long was, restored, freed;

	if (nr_vmalloc() < 0)
		SKIP(return, "/proc/vmstat has no nr_vmalloc");
	ASSERT_EQ(0, producer("new more vmalloc %d", 2 * COUNTED));
	was = nr_vmalloc();
	EXPECT_EQ(0, producer("restore counted"));
	restored = nr_vmalloc();
	EXPECT_GT(NOISE, labs(was + COUNTED - restored)) {
		TH_LOG("nr_vmalloc was %ld, and is %ld when %d pages more are restored", was,
		       restored, COUNTED);
	}
	EXPECT_EQ(0, producer("put counted"));
	freed = nr_vmalloc();
	EXPECT_GT(NOISE, labs(was - freed)) {
		TH_LOG("nr_vmalloc was %ld, and is %ld when %d pages were restored and freed",
		       was, freed, COUNTED);
	}
	EXPECT_EQ(0, producer("put more"));
}

/* kho_restore_free(): the memory is the page allocator's again */
KHO_TEST_WHERE(r18, restored_to_be_freed, no_handover())
{
	long free_was = kho_free_pages(), got;
	u64 was, now;

	ASSERT_EQ(0, kho_meminfo("MemTotal", &was));
	EXPECT_EQ(0, producer("restore_free rf"));
	ASSERT_EQ(0, kho_meminfo("MemTotal", &now));
	EXPECT_EQ(was + 256 * (page_size() >> 10), now);
	EXPECT_TRUE(came_back(free_was, 256, &got)) {
		TH_LOG("256 pages were restored to be freed; %ld more are free", got);
	}
	EXPECT_EQ(-ENOENT, producer("restore rf"));
}

/* pages that the page allocator has of a node's zones */
static long node_managed(int nid)
{
	char *line, *save = NULL;
	struct kho_blob b;
	int node = -1;
	long sum = 0, v;

	if (kho_read_file("/proc/zoneinfo", &b))
		return -1;
	for (line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "Node %ld, zone", &v) == 1)
			node = v;
		if (node == nid && sscanf(line, " managed %ld", &v) == 1)
			sum += v;
	}
	kho_blob_free(&b);
	return sum;
}

/* and the pages that told where each is, one each */
KHO_TEST_WHERE(r18, restored_and_freed_is_free, no_handover())
{
	long was = kho_free_pages(), got;

	ASSERT_LT(0, was);
	for (int i = 0; i < SMALL; i++)
		ASSERT_EQ(0, producer("restore s%d", i));
	EXPECT_TRUE(came_back(was, SMALL, &got)) {
		TH_LOG("%d pages were restored, as many described them; %ld more are free",
		       SMALL, got);
	}
	for (int i = 0; i < SMALL; i++)
		ASSERT_EQ(0, producer("put s%d", i));
	EXPECT_TRUE(came_back(was, 2 * SMALL, &got)) {
		TH_LOG("%d pages were restored and freed; %ld more are free", 2 * SMALL, got);
	}
}

static void expect_vmalloc(struct __test_metadata *_metadata, unsigned long pages)
{
	char *line, *save = NULL, want[32];
	struct kho_blob b;
	int met = 0;

	snprintf(want, sizeof(want), " pages=%lu ", pages);
	ASSERT_EQ(0, kho_read_file("/proc/vmallocinfo", &b));
	for (line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		met += strstr(line, "[kho_producer]") && strstr(line, want) &&
		       strstr(line, " vmalloc");
	kho_blob_free(&b);
	EXPECT_EQ(1, met) {
		TH_LOG("/proc/vmallocinfo: no vmalloc memory of %lu pages", pages);
	}
}

/* restore all of a kind; each gives the kernel back as many pages as it has */
static void restore_all(struct __test_metadata *_metadata, bool vmalloc)
{
	long free_was = kho_free_pages(), all = 0, got;

	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		u64 was, now, pages = handed[i].n;
		const char *name = handed[i].name;
		int node = -1;
		long of_node;

		if (is_vmalloc(handed[i].kind) != vmalloc)
			continue;
		if (!strcmp(handed[i].kind, "folio"))
			pages = 1ULL << handed[i].n;
		else if (!strcmp(handed[i].kind, "kho"))
			pages = handed[i].n > page_size() ? 2 : 1;
		/* and the pages that told where they were, which are free then */
		if (vmalloc)
			pages += 1 + (pages >> (*name == 'h' ? 9 : 0)) /
				 (page_size() / sizeof(u64) - 1);
		ASSERT_EQ(0, kho_meminfo("MemTotal", &was));
		of_node = node_managed(handed[i].node);
		EXPECT_EQ(0, producer("restore %s", name)) {
			TH_LOG("%s was not restored", name);
			continue;
		}
		ASSERT_EQ(0, kho_meminfo("MemTotal", &now));
		EXPECT_EQ(was + pages * (page_size() >> 10), now) {
			TH_LOG("%s: %llu pages", name, pages);
		}
		if (handed[i].node >= 0)
			EXPECT_EQ(of_node + pages, node_managed(handed[i].node)) {
				TH_LOG("%s: %llu pages on node %d", name, pages,
				       handed[i].node);
			}
		EXPECT_EQ(0, producer("check %s 0x%llx", name, seed(i))) {
			TH_LOG("%s: %s", name, reply);
		}
		EXPECT_EQ(-EALREADY, producer("restore %s", name));
		keys_of(_metadata, name, is_folio(handed[i].kind), keys, &node);
		if (handed[i].node >= 0)
			EXPECT_EQ(handed[i].node, node);
		EXPECT_EQ(0, producer("fill %s 1", name));
		/* the mapping is one of vmalloc(), by its flags */
		if (vmalloc)
			expect_vmalloc(_metadata, handed[i].n);
		/* a page that is not as the page allocator wants it would be told of */
		EXPECT_EQ(0, producer("put %s", name));
		all += pages;
	}
	/* and all of it is free then */
	EXPECT_TRUE(came_back(free_was, all, &got)) {
		TH_LOG("%ld pages were restored and freed; %ld more are free", all, got);
	}
}

KHO_TEST_WHERE(r13, folios_and_pages_are_restored, no_handover())
{
	restore_all(_metadata, false);
}

KHO_TEST_WHERE(r15, vmalloc_memory_is_restored, no_handover())
{
	restore_all(_metadata, true);
}

KHO_TEST_WHERE(r13, nothing_is_where_no_memory_is, no_producer())
{
	EXPECT_EQ(-ENODATA, producer("probe 0x%llx", 1ULL << 45));
}

/* whether it is clean: a block of 512 MiB would take a machine without KVM a minute */
#define LOOKED_AT	(32ul << 20)

KHO_TEST_WHERE(r14, alloc_preserve_takes_what_is_not_too_much, no_map())
{
	unsigned long most = kho_largest_block();
	struct kho_map was;

	read_map(_metadata);
	was = map;
	EXPECT_EQ(-EINVAL, producer("new k kho 0"));
	EXPECT_EQ(-E2BIG, producer("new k kho %lu", most + 1));
	EXPECT_EQ(-E2BIG, producer("new k kho %lu", ~0UL >> 1));
	expect_map(_metadata, &was, "after what was refused");
	for (unsigned long size = 1; size <= most; size += size == 1 ? page_size() - 1 : size) {
		unsigned long pages = (size + page_size() - 1) / page_size();
		int err;

		/* what is free is not clean */
		err = producer("new dirty folio %d", __builtin_ctzl(pages));
		/* a part of memory so large may be free, and not in one piece */
		if (err == -ENOMEM && pages > (unsigned long)sysconf(_SC_PHYS_PAGES) / 64)
			break;
		EXPECT_EQ(0, err);
		if (size <= LOOKED_AT)
			EXPECT_EQ(0, producer("fill dirty 7"));
		EXPECT_EQ(0, producer("put dirty"));
		ASSERT_EQ(0, producer("new k kho %lu", size)) {
			TH_LOG("kho_alloc_preserve(%lu)", size);
		}
		if (size <= LOOKED_AT) {
			EXPECT_EQ(0, producer("zero k")) {
				TH_LOG("kho_alloc_preserve(%lu): %s", size, reply);
			}
		}
		expect_added(_metadata, &was, keys, keys_of(_metadata, "k", true, keys, NULL),
			     "kho_alloc_preserve()");
		EXPECT_EQ(0, producer("unpreserve k"));
		EXPECT_EQ(0, producer("put k"));
		expect_map(_metadata, &was, "after what was freed");
	}
}

KHO_TEST_WHERE(r14, unpreserved_to_be_freed, no_map())
{
	struct kho_map was;
	long free_was, got;

	read_map(_metadata);
	was = map;
	free_was = kho_free_pages();
	for (int i = 0; i < 2 * NOISE; i++) {
		ASSERT_EQ(0, producer("new k kho 5000"));
		ASSERT_EQ(0, producer("kho_free k"));
	}
	EXPECT_TRUE(came_back(free_was, 0, &got)) {
		TH_LOG("%d pages were allocated and freed; %ld are lost", 4 * NOISE, -got);
	}
	expect_map(_metadata, &was, "after kho_unpreserve_free()");
}

/* neither the memory nor what describes it is lost */
KHO_TEST_WHERE(r18, unpreserved_and_freed_is_free, no_map())
{
	static const char * const kind[] = { "folio 1", "pages 3", "vmalloc 2" };

	for (size_t i = 0; i < ARRAY_SIZE(kind); i++) {
		long was = kho_free_pages(), got;

		for (int j = 0; j < 2 * NOISE; j++) {
			ASSERT_EQ(0, producer("new x %s", kind[i]));
			ASSERT_EQ(0, producer("preserve x"));
			ASSERT_EQ(0, producer("unpreserve x"));
			ASSERT_EQ(0, producer("put x"));
		}
		EXPECT_TRUE(came_back(was, 0, &got)) {
			TH_LOG("%s, %d times: %ld pages are lost", kind[i], 2 * NOISE, -got);
		}
	}
}

/* each call of several CPUs has its effect: none sets or clears another's bit */
KHO_TEST_WHERE(r17, cpus_add_and_delete_side_by_side, no_map())
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct kho_map was;

	if (cpus < 2)
		SKIP(return, "one CPU");
	read_map(_metadata);
	was = map;
	ASSERT_EQ(0, producer("new x pages 1000"));
	for (int round = 0; round < 30; round++) {
		u64 phys;

		ASSERT_EQ(0, producer("each x preserve %ld", cpus));
		phys = begin_of(_metadata, "x");
		for (int i = 0; i < 1000; i++)
			keys[i] = (struct kho_kept){ phys + i * page_size(), 0 };
		expect_added(_metadata, &was, keys, 1000, "added by several CPUs");
		ASSERT_EQ(0, producer("each x unpreserve %ld", cpus));
		expect_map(_metadata, &was, "deleted by several CPUs");
	}
	EXPECT_EQ(0, producer("put x"));
	/* allocations and the tree of subtrees among them */
	EXPECT_EQ(0, producer("loop kho 5000 preserve 200 %ld", cpus));
	EXPECT_EQ(0, producer("loop vmalloc 3 preserve 200 %ld", cpus));
	expect_map(_metadata, &was, "after what several CPUs took back");
	EXPECT_EQ(0, producer("loop folio 0 subtree 200 %ld", cpus));
	read_tree(_metadata);
	for (int i = 0; i < root.nr; i++)
		EXPECT_NE(0, strncmp(root.sub[i].name, "loop.", 5));
}

/* "samples OP VALUE...": how many, and their sum */
static int samples_of(const char *line, const char *op, unsigned long long *sum)
{
	char begin[32], *end;
	int n = 0;

	*sum = 0;
	snprintf(begin, sizeof(begin), "samples %s", op);
	if (strncmp(line, begin, strlen(begin)))
		return -1;
	for (line += strlen(begin); *line == ' '; line = end, n++)
		*sum += strtoull(line, &end, 10);
	return n;
}

/* of each kind the calls are counted as they are made, and nothing is left */
KHO_TEST_WHERE(p1, operations_again_and_again, no_map())
{
	static const char * const what[] = {
		"folio 0 preserve", "folio 9 preserve", "pages 7 preserve",
		"kho 4096 preserve", "vmalloc 600 preserve", "huge 512 preserve",
		"folio 0 subtree",
	};
	struct kho_map was;

	read_map(_metadata);
	was = map;
	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		unsigned long long calls[2], total[2], min, max, from, n;
		char op[2][16], of[16];
		int nr = 0, words, told = 0;

		ASSERT_EQ(0, producer("loop %s 50", what[i]));
		for (char *p = reply; *p; p += strcspn(p, "\n"), p += *p == '\n') {
			if (sscanf(p, "bucket %15s %llu %llu", of, &from, &n) == 3) {
				ASSERT_LT(0, nr);
				EXPECT_STREQ(op[nr - 1], of);
				/* the bucket of the shortest begins below it */
				EXPECT_LE(from, max);
				calls[nr - 1] -= n;
				continue;
			}
			/* behind the two, of each */
			if (nr == 2) {
				ASSERT_GT(2, told);
				EXPECT_EQ(50, samples_of(p, op[told], &n));
				EXPECT_EQ(total[told], n);
				told++;
				continue;
			}
			words = sscanf(p, "%15s %llu %llu %llu %llu", op[nr], &calls[nr],
				       &total[nr], &min, &max);
			ASSERT_EQ(5, words);
			EXPECT_EQ(50, calls[nr]);
			EXPECT_LE(min * 50, total[nr]);
			EXPECT_GE(max * 50, total[nr]);
			nr++;
		}
		ASSERT_EQ(2, nr);
		EXPECT_EQ(2, told);
		EXPECT_EQ(0, calls[0]);
		EXPECT_EQ(0, calls[1]);
		expect_map(_metadata, &was, what[i]);
	}
}

KHO_TEST_WHERE(r4, each_kind_has_its_keys_and_no_others, no_map())
{
	struct kho_map was;

	read_map(_metadata);
	was = map;
	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		if (!strcmp(handed[i].kind, "kho"))
			continue;
		ASSERT_EQ(0, producer("new x %s %lu", handed[i].kind, handed[i].n)) {
			TH_LOG("%s %lu", handed[i].kind, handed[i].n);
		}
		for (int again = 0; again < 2; again++) {
			EXPECT_EQ(0, producer("preserve x"));
			expect_added(_metadata, &was, keys,
				     keys_of(_metadata, "x", is_folio(handed[i].kind), keys,
					     NULL), handed[i].name);
			EXPECT_EQ(0, producer("unpreserve x"));
			expect_map(_metadata, &was, "after the opposite");
		}
		EXPECT_EQ(0, producer("put x"));
	}
}

KHO_TEST_WHERE(r15, each_page_of_addresses_is_preserved, no_map())
{
	static const struct {
		unsigned long pages, chunks;
	} of[] = { { 1, 1 }, { 510, 1 }, { 511, 2 }, { 512, 2 }, { 1021, 2 }, { 1022, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		unsigned long chunks = 0;

		ASSERT_EQ(0, producer("new x vmalloc %lu", of[i].pages));
		EXPECT_EQ(0, producer("preserve x"));
		EXPECT_EQ(0, producer("where x"));
		for (char *p = reply; (p = strstr(p, "chunk")); p++)
			chunks++;
		/* 511 addresses in a page of 4 KiB; a full one has an empty one behind it */
		if (page_size() == 4096)
			EXPECT_EQ(of[i].chunks, chunks);
		EXPECT_EQ(0, producer("unpreserve x"));
		EXPECT_EQ(0, producer("put x"));
	}
}

KHO_TEST_WHERE(r15, other_mappings_are_refused, no_map())
{
	struct kho_map was;

	read_map(_metadata);
	was = map;
	ASSERT_EQ(0, producer("new x vmap 4"));
	EXPECT_EQ(-EOPNOTSUPP, producer("preserve x"));
	expect_map(_metadata, &was, "after a failure");
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r10, runs_of_pages_are_split_by_their_place, no_map())
{
	static const struct {
		unsigned long first, n;
	} part[] = {
		{ 0, 1 }, { 0, 64 }, { 1, 1 }, { 1, 63 }, { 3, 10 }, { 31, 2 }, { 32, 31 },
		{ 63, 1 },
	};
	unsigned int shift = __builtin_ctzll(page_size());
	struct kho_map was;
	u64 phys;

	read_map(_metadata);
	was = map;
	ASSERT_EQ(0, producer("new x folio 6"));
	ASSERT_EQ(0, producer("where x"));
	phys = strtoull(reply, NULL, 16);
	ASSERT_LT(0, phys);
	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		size_t nr = kho_map_split(shift, phys + part[i].first * page_size(), part[i].n,
					  keys, EXPECTED_MAX);

		EXPECT_EQ(0, producer("part x %lu %lu", part[i].first, part[i].n));
		expect_added(_metadata, &was, keys, nr, "kho_preserve_pages()");
		EXPECT_EQ(0, producer("unpart x %lu %lu", part[i].first, part[i].n));
		expect_map(_metadata, &was, "after kho_unpreserve_pages()");
	}
	/* no pages: nothing to do, and no error */
	EXPECT_EQ(0, producer("part x 5 0"));
	expect_map(_metadata, &was, "after no pages");
	EXPECT_EQ(0, producer("put x"));
}

/* scratch is the next kernel's: who would preserve it is told so */
static const char *not_debug(void)
{
	return no_map() ?: kho_config("CONFIG_KEXEC_HANDOVER_DEBUG") == 1 ? NULL :
	       "the kernel is built without CONFIG_KEXEC_HANDOVER_DEBUG, or nobody knows";
}

KHO_TEST_WHERE(s21, scratch_is_not_preserved, not_debug())
{
	struct kho_region scratch[KHO_REGIONS_MAX];
	int n = kho_scratch_read(KHO_DEBUGFS "/out", scratch, ARRAY_SIZE(scratch)), tried = 0;
	struct kho_map was;

	ASSERT_LT(0, n);
	read_map(_metadata);
	was = map;
	for (int i = 0; i < n; i++) {
		u64 page = page_size(), end = scratch[i].addr + scratch[i].size;
		const struct {
			u64 at;
			int pages;
			bool in;
		} of[] = {
			{ scratch[i].addr, 1, true }, { end - page, 1, true },
			{ scratch[i].addr - page, 1, false }, { end, 1, false },
			{ scratch[i].addr - page, 2, true }, { end - page, 2, true },
			{ scratch[i].addr + scratch[i].size / 2, 3, true },
		};

		for (size_t j = 0; scratch[i].size && j < ARRAY_SIZE(of); j++) {
			bool in = of[j].in;
			int fd;

			for (int k = 0; k < n && !in; k++)
				in = kho_regions_overlap(&scratch[k], 1, of[j].at, page);
			/* what cannot be had is somebody's, and of no concern */
			if (producer("new x at %d 0x%llx", of[j].pages, of[j].at))
				continue;
			tried += in;
			for (int folio = 0; folio < (of[j].pages == 1 ? 2 : 1); folio++) {
				fd = in ? kho_warning_begin(_metadata, "kho_preserve_") : -1;
				EXPECT_EQ(in ? -EINVAL : 0,
					  producer("preserve x%s", folio ? " folio" : "")) {
					TH_LOG("region %d, %d pages at 0x%llx%s", i, of[j].pages,
					       of[j].at, folio ? ", as a folio" : "");
				}
				if (in) {
					kho_warning_end(_metadata, fd, "kho_preserve_", 1);
					expect_map(_metadata, &was, "after scratch was refused");
				} else {
					EXPECT_EQ(0, producer("unpreserve x"));
				}
			}
			EXPECT_EQ(0, producer("put x"));
		}
	}
	EXPECT_LT(0, tried);
}

KHO_TEST_WHERE(r6, adding_twice_is_adding_once, no_map())
{
	struct kho_map was, once;

	read_map(_metadata);
	was = map;
	ASSERT_EQ(0, producer("new x folio 4"));
	EXPECT_EQ(0, producer("part x 0 4"));
	read_map(_metadata);
	once = map;
	EXPECT_EQ(was.nr + 1, once.nr);
	EXPECT_EQ(0, producer("part x 0 4"));
	expect_map(_metadata, &once, "after a second time");
	EXPECT_EQ(0, producer("unpart x 0 4"));
	expect_map(_metadata, &was, "after it was taken back once");
	EXPECT_EQ(0, producer("unpart x 0 4"));
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r6, nodes_stay_when_their_keys_go, no_map())
{
	size_t nodes;

	ASSERT_EQ(0, producer("new x folio 4"));
	EXPECT_EQ(0, producer("part x 0 1"));
	read_map(_metadata);
	nodes = map.nr_nodes;
	EXPECT_EQ(0, producer("unpart x 0 1"));
	read_map(_metadata);
	EXPECT_EQ(nodes, map.nr_nodes);
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r7, deleting_what_is_not_there_changes_nothing, no_map())
{
	struct kho_map was;

	ASSERT_EQ(0, producer("new x folio 4"));
	EXPECT_EQ(0, producer("part x 0 1"));
	EXPECT_EQ(0, producer("part x 0 1"));
	EXPECT_EQ(0, producer("part x 2 1"));
	EXPECT_EQ(0, producer("unpart x 0 1"));
	read_map(_metadata);
	was = map;
	/* in a leaf that is there, the key is not */
	EXPECT_EQ(0, producer("unpart x 0 1"));
	expect_map(_metadata, &was, "after nothing was deleted");
	EXPECT_EQ(0, producer("unpart x 2 1"));
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(r11, overlapping_keys_stand_side_by_side, no_map())
{
	struct kho_map was;
	size_t nr;

	read_map(_metadata);
	was = map;
	ASSERT_EQ(0, producer("new x folio 4"));
	EXPECT_EQ(0, producer("preserve x"));
	nr = keys_of(_metadata, "x", true, keys, NULL);
	EXPECT_EQ(0, producer("part x 2 2"));
	keys[nr++] = (struct kho_kept){ keys[0].addr + 2 * page_size(), 1 };
	expect_added(_metadata, &was, keys, nr, "a part of a folio");
	EXPECT_EQ(0, producer("unpart x 2 2"));
	expect_added(_metadata, &was, keys, nr - 1, "the folio alone");
	EXPECT_EQ(0, producer("unpreserve x"));
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(f6, a_name_that_exists_is_refused, no_map())
{
	struct kho_root was;

	ASSERT_EQ(0, producer("new x folio 0"));
	ASSERT_EQ(0, producer("new y folio 0"));
	EXPECT_EQ(0, producer("add x some_name 8"));
	read_tree(_metadata);
	was = root;
	EXPECT_EQ(-EEXIST, producer("add y some_name 8"));
	EXPECT_EQ(-EEXIST, producer("add y " LEDGER " 8"));
	read_tree(_metadata);
	EXPECT_EQ(0, memcmp(&was, &root, sizeof(root)));
	EXPECT_EQ(0, producer("remove x"));
	EXPECT_EQ(0, producer("put x"));
	EXPECT_EQ(0, producer("put y"));
}

KHO_TEST_WHERE(f14, what_is_removed_is_that_address, no_map())
{
	int nr, at;
	u64 phys;

	read_tree(_metadata);
	nr = root.nr;
	for (const char *name = "abc"; *name; name++) {
		ASSERT_EQ(0, producer("new %c folio 0", *name));
		ASSERT_EQ(0, producer("add %c node_%c 24", *name, *name));
	}
	EXPECT_EQ(0, producer("where b"));
	phys = strtoull(reply, NULL, 16);
	ASSERT_LT(0, phys);
	read_tree(_metadata);
	EXPECT_EQ(nr + 3, root.nr);
	at = subnode("node_b");
	ASSERT_LE(0, at);
	EXPECT_EQ(phys, root.sub[at].data);
	EXPECT_EQ(24, root.sub[at].size);
	EXPECT_EQ(0, producer("remove b"));
	read_tree(_metadata);
	EXPECT_EQ(nr + 2, root.nr);
	EXPECT_EQ(-1, subnode("node_b"));
	EXPECT_LE(0, subnode("node_a"));
	EXPECT_LE(0, subnode("node_c"));
	EXPECT_EQ(0, producer("remove a"));
	EXPECT_EQ(0, producer("remove c"));
	read_tree(_metadata);
	EXPECT_EQ(nr, root.nr);
	for (const char *name = "abc"; *name; name++)
		EXPECT_EQ(0, producer("put %c", *name));
}

/* one blob under two names: what debugfs shows is what the tree holds */
KHO_TEST_WHERE(d11, files_follow_the_tree, no_map())
{
	static const char * const name[] = { "one_name", "other_name" };

	ASSERT_EQ(0, producer("new x folio 0"));
	for (size_t i = 0; i < ARRAY_SIZE(name); i++)
		EXPECT_EQ(0, producer("add x %s 8", name[i]));
	for (int left = 2; left >= 0; left--) {
		int nodes = 0;

		read_tree(_metadata);
		for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
			char path[128];

			snprintf(path, sizeof(path), KHO_DEBUGFS "/out/sub_fdts/%s", name[i]);
			nodes += subnode(name[i]) >= 0;
			EXPECT_EQ(subnode(name[i]) >= 0, !access(path, F_OK)) {
				TH_LOG("%s is%s in the tree, and there is %s file", name[i],
				       subnode(name[i]) >= 0 ? "" : " not",
				       access(path, F_OK) ? "no" : "a");
			}
		}
		EXPECT_EQ(left, nodes);
		if (left)
			EXPECT_EQ(0, producer("remove x"));
	}
	EXPECT_EQ(0, producer("put x"));
}

KHO_TEST_WHERE(f9, a_full_tree_refuses_and_stays, no_map())
{
	struct kho_root empty, full;
	int nr, err = 0;

	read_tree(_metadata);
	empty = root;
	for (nr = 0; nr < KHO_SUBNODES_MAX; nr++) {
		ASSERT_EQ(0, producer("new s%d folio 0", nr));
		err = producer("add s%d node_%d 4096", nr, nr);
		if (err)
			break;
	}
	EXPECT_EQ(-ENOMEM, err);
	/* a node takes less than 128 bytes of the page */
	EXPECT_LE((int)page_size() / 128, nr);
	/* all that were added, and nothing of the one that was not, however often it is tried */
	read_tree(_metadata);
	full = root;
	EXPECT_EQ(empty.nr + nr, full.nr);
	for (int i = 0; i < empty.nr; i++)
		expect_subnode(_metadata, empty.sub[i].name);
	for (int i = 0; i < nr; i++) {
		char name[32];

		snprintf(name, sizeof(name), "node_%d", i);
		expect_subnode(_metadata, name);
	}
	EXPECT_EQ(-ENOMEM, producer("add s%d node_%d 4096", nr, nr));
	read_tree(_metadata);
	EXPECT_EQ(0, memcmp(&full, &root, sizeof(root)));
	for (int i = 0; i < nr; i++)
		EXPECT_EQ(0, producer("remove s%d", i));
	for (int i = 0; i <= nr; i++)
		EXPECT_EQ(0, producer("put s%d", i));
	read_tree(_metadata);
	EXPECT_EQ(empty.nr, root.nr);
}

/* keys of the radix tree: as wide as the page frame number and a bit for the order */
static unsigned int key_bits(void)
{
	return 64 - __builtin_ctzll(page_size()) + 1;
}

KHO_TEST_WHERE(r5, wide_keys_are_refused, no_producer())
{
	u64 most = (1ULL << key_bits()) - 1;
	char want[32];

	ASSERT_EQ(0, producer("radix init"));
	EXPECT_EQ(-ERANGE, producer("radix add 0x%llx", most + 1));
	EXPECT_EQ(-ERANGE, producer("radix add 0x%llx", ~0ULL));
	/* nothing to delete, nothing to say */
	EXPECT_EQ(0, producer("radix del 0x%llx", most + 1));
	EXPECT_EQ(0, producer("radix walk"));
	EXPECT_EQ(NULL, strstr(reply, "key"));
	EXPECT_EQ(0, producer("radix add 0x%llx", most));
	EXPECT_EQ(0, producer("radix walk"));
	snprintf(want, sizeof(want), "key 0x%llx\n", most);
	EXPECT_NE(NULL, strstr(reply, want));
	EXPECT_EQ(0, producer("radix del 0x%llx", most));
	EXPECT_EQ(0, producer("radix walk"));
	EXPECT_EQ(NULL, strstr(reply, "key"));
	EXPECT_EQ(0, producer("radix destroy"));
}

KHO_TEST_WHERE(r19, walks_ascend_and_stop, no_producer())
{
	/* to the highest bit that there is */
	const u64 last = 1ULL << (key_bits() - 1);
	const u64 key[] = { 1ULL << 40, 3, 32768, 0, 32767, 1ULL << 23, last };
	const u64 sorted[] = { 0, 3, 32767, 32768, 1ULL << 23, 1ULL << 40, last };
	size_t n = 0;

	ASSERT_EQ(0, producer("radix init"));
	for (size_t i = 0; i < ARRAY_SIZE(key); i++)
		EXPECT_EQ(0, producer("radix add 0x%llx", key[i]));
	EXPECT_EQ(0, producer("radix walk"));
	for (char *p = reply; (p = strstr(p, "key ")); p++) {
		ASSERT_GT(ARRAY_SIZE(sorted), n);
		EXPECT_EQ(sorted[n++], strtoull(p + 4, NULL, 16));
	}
	EXPECT_EQ(ARRAY_SIZE(sorted), n);
	/* told to stop at the third, it goes no further and says what it was told */
	EXPECT_EQ(0, producer("radix walk 3"));
	n = 0;
	for (char *p = reply; (p = strstr(p, "key ")); p++)
		n++;
	EXPECT_EQ(3, n);
	EXPECT_NE(NULL, strstr(reply, "stopped 7\n"));
	EXPECT_EQ(0, producer("radix destroy"));
}

/* each page of a tree is met once, and is free when the tree is gone */
KHO_TEST_WHERE(r19, destroying_frees_each_page, no_producer())
{
	long was = kho_free_pages(), got;

	for (int i = 0; i < NOISE; i++) {
		int nodes = 0;

		ASSERT_EQ(0, producer("radix init"));
		ASSERT_EQ(0, producer("radix add 0x%llx", 1ULL << (key_bits() - 2)));
		ASSERT_EQ(0, producer("radix add 0x%llx", 1ULL << 40));
		ASSERT_EQ(0, producer("radix walk"));
		for (char *p = reply; (p = strstr(p, "node ")); p++)
			nodes++;
		/* the root in common, and a way down for each */
		if (page_size() == 4096)
			EXPECT_EQ(11, nodes);
		ASSERT_EQ(0, producer("radix destroy"));
	}
	EXPECT_TRUE(came_back(was, 0, &got)) {
		TH_LOG("%d trees: %ld pages are lost", NOISE, -got);
	}
}

KHO_TEST_WHERE(r7, deleting_where_nothing_leads_is_warned_of, no_producer())
{
	if (producer("radix init") == -EOPNOTSUPP)
		SKIP(return, "this kernel has no trees of keys for others");
	for (int add = 0; add < 2; add++) {
		int fd;

		/* in an empty tree, and beside the one way that there is */
		EXPECT_EQ(0, add ? producer("radix add 1") : 0);
		fd = kho_warning_begin(_metadata, "kho_radix_");
		EXPECT_EQ(0, producer("radix del 0x8000000000"));
		kho_warning_end(_metadata, fd, "kho_radix_", 1);
	}
	EXPECT_EQ(0, producer("radix walk"));
	EXPECT_NE(NULL, strstr(reply, "key 0x1\n"));
	EXPECT_EQ(0, producer("radix destroy"));
}

KHO_TEST_WHERE(r7, without_a_root_there_is_no_tree, no_producer())
{
	static const char * const op[] = { "add 1", "walk" };

	if (producer("radix init") == -EOPNOTSUPP)
		SKIP(return, "this kernel has no trees of keys for others");
	EXPECT_EQ(0, producer("radix destroy"));
	for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
		int fd = kho_warning_begin(_metadata, "kho_radix_");

		EXPECT_EQ(-EINVAL, producer("radix %s", op[i]));
		kho_warning_end(_metadata, fd, "kho_radix_", 1);
	}
}

/* what nobody restores is nobody's, and stays as it was: after all else that went on here */
KHO_TEST_WHERE(r12, what_is_not_restored_stays, no_handover())
{
	struct kho_blob b;
	u64 phys, first, flags;

	ASSERT_EQ(0, kho_state_load("left", kho_generation() - 1, &b));
	ASSERT_EQ(sizeof(phys), b.len);
	memcpy(&phys, b.data, sizeof(phys));
	kho_blob_free(&b);
	EXPECT_EQ(0, kho_pages_marked(phys, 8 * page_size(), KHO_PAGES_ALLOCATED, &first, &flags)) {
		TH_LOG("0x%llx is the page allocator's (0x%llx)", first, flags);
	}
	EXPECT_EQ(0, producer("restore left"));
	EXPECT_EQ(0, producer("check left 11")) {
		TH_LOG("%s", reply);
	}
	EXPECT_EQ(0, producer("put left"));
}

/* the last one: what the next kernel is to find */
KHO_TEST_WHERE(r12, the_next_kernel_has_something_to_restore, no_producer())
{
	u64 phys;

	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		char node[16] = "";

		if (handed[i].node >= 0)
			snprintf(node, sizeof(node), " %d", handed[i].node);
		ASSERT_EQ(0, producer("new %s %s %lu%s", handed[i].name, handed[i].kind,
				      handed[i].n, node)) {
			TH_LOG("%s", handed[i].name);
		}
		EXPECT_EQ(0, producer("fill %s 0x%llx", handed[i].name, seed(i)));
		if (strcmp(handed[i].kind, "kho"))
			EXPECT_EQ(0, producer("preserve %s", handed[i].name));
	}
	EXPECT_EQ(0, producer("add f0 at@1 8"));
	ASSERT_EQ(0, producer("new twice_f folio 3"));
	ASSERT_EQ(0, producer("new twice_p pages 6"));
	EXPECT_EQ(0, producer("fill twice_f 5"));
	EXPECT_EQ(0, producer("fill twice_p 5"));
	EXPECT_EQ(0, producer("preserve twice_f"));
	EXPECT_EQ(0, producer("preserve twice_p"));
	ASSERT_EQ(0, producer("new counted vmalloc %d", COUNTED));
	EXPECT_EQ(0, producer("preserve counted"));
	ASSERT_EQ(0, producer("new rf kho %llu", 256 * page_size()));
	ASSERT_EQ(0, producer("new left folio 3"));
	EXPECT_EQ(0, producer("fill left 11"));
	EXPECT_EQ(0, producer("preserve left"));
	phys = begin_of(_metadata, "left");
	EXPECT_EQ(0, kho_state_save("left", &phys, sizeof(phys)));
	for (int i = 0; i < SMALL; i++) {
		ASSERT_EQ(0, producer("new s%d vmalloc 1", i));
		EXPECT_EQ(0, producer("preserve s%d", i));
	}
}

TEST_HARNESS_MAIN
