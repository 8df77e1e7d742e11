// SPDX-License-Identifier: GPL-2.0-only
/*
 * api.c - the functions that KHO exports, called by the test producer
 *
 * Each operation is judged by what it returns and by the preserved-memory map:
 * what it must add is there and nothing else, and its opposite leaves nothing.
 * The next kernel restores what was preserved and looks at each byte.
 */
#include "live_map.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#define PRODUCER	"/sys/kernel/debug/kho_producer"
#define REPLY_MAX	65536
#define EXPECTED_MAX	4096
#define LEDGER		"kho_producer"

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.api",
	.summary = "the in-kernel API: folios, pages, vmalloc, subtrees, over three kernels",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } },
	.flags = KHO_SC_QUICK | KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_api" },
	.steps = "boot\nkexec\nkexec\n",
};

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

static struct kho_map before;
static int no_module, no_before = -ENODATA;
static char reply[REPLY_MAX];

/**
 * producer() - have the test producer do something
 * @fmt: the command, see kmod/kho_producer.c
 *
 * Return: 0 with @reply, or the negative errno of the command
 */
static __printf(1, 2) int producer(const char *fmt, ...)
{
	char line[256];
	ssize_t n = 0;
	int fd, err = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	*reply = 0;
	fd = open(PRODUCER, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) < 0)
		err = -errno;
	n = read(fd, reply, sizeof(reply) - 1);
	reply[n > 0 ? n : 0] = 0;
	close(fd);
	return err;
}

static int load(void)
{
	int fd = open(KHO_MODULE, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

static int map_into(struct kho_map *m, struct kho_problems *p)
{
	unsigned char page[KHO_MAP_PAGE_MAX];
	struct kho_root r;
	u64 fdt;
	u32 len;
	int err;

	err = kho_kcore_virt(&kcore, kho_out, &fdt, sizeof(fdt));
	if (!err)
		err = kho_kcore_virt(&kcore, fdt, page, page_size());
	if (err)
		return err;
	len = (u32)page[4] << 24 | page[5] << 16 | page[6] << 8 | page[7];
	kho_check_root(page, len < page_size() ? len : page_size(), KHO_COMPATIBLE, &r, p);
	return kho_map_read(m, __builtin_ctzll(page_size()), r.map, read_page, &kcore, p);
}

/* behind look(), which this needs */
static void __attribute__((constructor(2000))) begin(void)
{
	static struct kho_problems p;

	if (kho_why_not() || access(KHO_MODULE, F_OK)) {
		no_module = -ENOENT;
		return;
	}
	no_kcore = kho_kcore_open(&kcore);
	no_symbol = kho_symbol("kho_out", &kho_out);
	if (!no_kcore && !no_symbol)
		no_before = map_into(&before, &p);
	/* CONFIG_MODULES */
	no_module = access("/proc/modules", F_OK) ? -EPERM : load();
}

static const char *no_producer(void)
{
	if (kho_why_not())
		return kho_why_not();
	switch (no_module) {
	case -ENOENT:
		return "there is no " KHO_MODULE;
	case -ENOEXEC:
		return KHO_MODULE " was built for another kernel";
	case -EPERM:
	case -EKEYREJECTED:
	case -ENOKEY:
		return "this kernel takes no modules, or none without a signature";
	}
	return NULL;
}

static const char *no_map(void)
{
	return no_producer() ?: closed();
}

static bool same(const struct kho_map *a, const struct kho_map *b)
{
	return a->nr == b->nr && !memcmp(a->key, b->key, a->nr * sizeof(*a->key));
}

static void log_map(struct __test_metadata *_metadata, const char *what,
		    const struct kho_map *m)
{
	for (size_t i = 0; i < m->nr; i++)
		TH_LOG("%s: 0x%llx of order %u", what, m->key[i].addr, m->key[i].order);
}

static void expect_map(struct __test_metadata *_metadata, const struct kho_map *want,
		       const char *when)
{
	read_map(_metadata);
	EXPECT_TRUE(same(want, &map)) {
		TH_LOG("%s the map is another", when);
		log_map(_metadata, "should be", want);
		log_map(_metadata, "is", &map);
	}
}

/* the keys that are in @map beyond those of @old are just @k, in any order */
static void expect_added(struct __test_metadata *_metadata, const struct kho_map *old,
			 const struct kho_kept *k, size_t nr, const char *what)
{
	read_map(_metadata);
	EXPECT_EQ(old->nr + nr, map.nr) {
		TH_LOG("%s: keys before, to be added, now: %zu %zu %zu", what, old->nr, nr,
		       map.nr);
	}
	for (size_t i = 0; i < old->nr; i++)
		EXPECT_TRUE(kho_map_has(&map, old->key[i].addr, old->key[i].order));
	for (size_t i = 0; i < nr; i++) {
		EXPECT_TRUE(kho_map_has(&map, k[i].addr, k[i].order)) {
			TH_LOG("%s: 0x%llx of order %u is not in the map", what, k[i].addr,
			       k[i].order);
		}
	}
}

/* what "where" says of an object, as the keys that it must have */
static size_t keys_of(struct __test_metadata *_metadata, const char *name, bool folio,
		      struct kho_kept *k, int *node)
{
	unsigned int shift = __builtin_ctzll(page_size());
	char *line, *save = NULL;
	size_t nr = 0;

	EXPECT_EQ(0, producer("where %s", name));
	for (line = strtok_r(reply, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long phys;
		unsigned long pages = 1;
		int nid = -1;

		if (sscanf(line, "chunk %llx", &phys) != 1) {
			if (sscanf(line, "%llx %lu %d", &phys, &pages, &nid) != 3)
				break;
			if (node)
				*node = nid;
		}
		if (folio)
			k[nr++] = (struct kho_kept){ phys, __builtin_ctzl(pages) };
		else
			nr += kho_map_split(shift, phys, pages, k + nr, EXPECTED_MAX - nr);
	}
	EXPECT_EQ(NULL, line);
	EXPECT_LT(0, nr);
	return nr;
}

static struct kho_kept keys[EXPECTED_MAX];

static bool is_folio(const char *kind)
{
	return !strcmp(kind, "folio") || !strcmp(kind, "kho");
}

static bool is_vmalloc(const char *kind)
{
	return !strcmp(kind, "vmalloc") || !strcmp(kind, "huge");
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

static const char *no_handover(void)
{
	return no_producer() ?: kho_generation() ? NULL : "nothing was handed over yet";
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

/* restore all of a kind; each gives the kernel back as many pages as it has */
static void restore_all(struct __test_metadata *_metadata, bool vmalloc)
{
	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		u64 was, now, pages = handed[i].n;
		const char *name = handed[i].name;
		int node = -1;

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
		EXPECT_EQ(0, producer("restore %s", name)) {
			TH_LOG("%s was not restored", name);
			continue;
		}
		ASSERT_EQ(0, kho_meminfo("MemTotal", &now));
		EXPECT_EQ(was + pages * (page_size() >> 10), now) {
			TH_LOG("%s: %llu pages", name, pages);
		}
		EXPECT_EQ(0, producer("check %s 0x%llx", name, seed(i))) {
			TH_LOG("%s: %s", name, reply);
		}
		EXPECT_EQ(-EALREADY, producer("restore %s", name));
		keys_of(_metadata, name, is_folio(handed[i].kind), keys, &node);
		if (handed[i].node >= 0)
			EXPECT_EQ(handed[i].node, node);
		EXPECT_EQ(0, producer("fill %s 1", name));
		/* a page that is not as the page allocator wants it would be told of */
		EXPECT_EQ(0, producer("put %s", name));
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

KHO_TEST_WHERE(r14, alloc_preserve_takes_what_is_not_too_much, no_map())
{
	unsigned long most = page_size() << 10;
	struct kho_map was;

	read_map(_metadata);
	was = map;
	EXPECT_EQ(-EINVAL, producer("new k kho 0"));
	EXPECT_EQ(-E2BIG, producer("new k kho %lu", most + 1));
	EXPECT_EQ(-E2BIG, producer("new k kho %lu", ~0UL >> 1));
	expect_map(_metadata, &was, "after what was refused");
	for (unsigned long size = 1; size <= most; size += size == 1 ? page_size() - 1 : size) {
		unsigned long pages = (size + page_size() - 1) / page_size();

		/* what is free is not clean */
		EXPECT_EQ(0, producer("new dirty folio %d", __builtin_ctzl(pages)));
		EXPECT_EQ(0, producer("fill dirty 7"));
		EXPECT_EQ(0, producer("put dirty"));
		ASSERT_EQ(0, producer("new k kho %lu", size)) {
			TH_LOG("kho_alloc_preserve(%lu)", size);
		}
		EXPECT_EQ(0, producer("zero k")) {
			TH_LOG("kho_alloc_preserve(%lu): %s", size, reply);
		}
		expect_added(_metadata, &was, keys, keys_of(_metadata, "k", true, keys, NULL),
			     "kho_alloc_preserve()");
		EXPECT_EQ(0, producer("unpreserve k"));
		EXPECT_EQ(0, producer("put k"));
		expect_map(_metadata, &was, "after what was freed");
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

static int subnode(const char *name)
{
	for (int i = 0; i < root.nr; i++)
		if (!strcmp(root.sub[i].name, name))
			return i;
	return -1;
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

KHO_TEST_WHERE(f9, a_full_tree_refuses_and_stays, no_map())
{
	struct kho_root empty, full;
	int nr, err = 0;

	read_tree(_metadata);
	empty = root;
	for (nr = 0; nr < KHO_SUBNODES_MAX; nr++) {
		ASSERT_EQ(0, producer("new s%d folio 0", nr));
		read_tree(_metadata);
		full = root;
		err = producer("add s%d node_%d 4096", nr, nr);
		if (err)
			break;
	}
	EXPECT_EQ(-ENOMEM, err);
	/* a node takes less than 128 bytes of the page */
	EXPECT_LE((int)page_size() / 128, nr);
	read_tree(_metadata);
	EXPECT_EQ(0, memcmp(&full, &root, sizeof(root)));
	EXPECT_EQ(empty.nr + nr, root.nr);
	for (int i = 0; i < nr; i++)
		EXPECT_EQ(0, producer("remove s%d", i));
	for (int i = 0; i <= nr; i++)
		EXPECT_EQ(0, producer("put s%d", i));
	read_tree(_metadata);
	EXPECT_EQ(empty.nr, root.nr);
}

KHO_TEST_WHERE(s21, unloading_leaves_nothing_preserved, no_map())
{
	ASSERT_EQ(0, no_before);
	ASSERT_EQ(0, no_module);
	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		EXPECT_EQ(0, producer("new %s %s %lu", handed[i].name, handed[i].kind,
				      handed[i].n));
		if (strcmp(handed[i].kind, "kho"))
			EXPECT_EQ(0, producer("preserve %s", handed[i].name));
	}
	EXPECT_EQ(0, producer("add f0 left_behind 8"));
	ASSERT_EQ(0, syscall(SYS_delete_module, "kho_producer", 0));
	expect_map(_metadata, &before, "without the producer");
	EXPECT_EQ(-1, subnode(LEDGER));
	EXPECT_EQ(-1, subnode("left_behind"));
	ASSERT_EQ(0, load());
}

/* the last one: what the next kernel is to find */
KHO_TEST_WHERE(r12, the_next_kernel_has_something_to_restore, no_producer())
{
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
}

TEST_HARNESS_MAIN
