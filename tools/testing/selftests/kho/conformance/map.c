// SPDX-License-Identifier: GPL-2.0-only
/*
 * map.c - the preserved-memory map of the running kernel
 *
 * What the next kernel will find: read from memory, where it is built, and
 * compared with what must be preserved - no less, and nothing else.
 */
#include "kho_test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asked.h"
#include "live_map.h"

#define OUT	KHO_DEBUGFS "/out"
#define IN	KHO_DEBUGFS "/in"

/* each of a run's keys is of another order on the way up or down: at most two */
#define KEYS_MAX	128

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.map",
	.summary = "the preserved-memory map, with reservations of many orders on two nodes",
	.nr_nodes = 2, .node = { { 512, 1 }, { 512, 1 } },
	.flags = KHO_SC_QUICK,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_map" }, .files = { "khotest" },
	.steps =
		"boot reserve_mem=4K:4K:page reserve_mem=28K:4K:seven\n"
		" reserve_mem=1M:1M:order8 reserve_mem=6M:2M:six\n"
		" reserve_mem=5124K:4K:ragged reserve_mem=64M:64M:large\n"
		/* one less to preserve, and one of another size */
		"kexec reserve_mem=4K:4K:page reserve_mem=28K:4K:seven\n"
		" reserve_mem=1M:1M:order8 reserve_mem=6M:2M:six\n"
		" reserve_mem=64M:64M:large\n"
		"kexec reserve_mem=4K:4K:page reserve_mem=28K:4K:seven\n"
		" reserve_mem=1M:1M:order8 reserve_mem=6M:2M:six\n"
		" reserve_mem=64M:64M:large\n",
};

static struct kho_reservations resv;
static struct kho_region scratch[KHO_REGIONS_MAX];

KHO_TEST_WHERE(r1, nodes_are_pages_of_ram, closed())
{
	int n = kho_scratch_read(OUT, scratch, ARRAY_SIZE(scratch));

	read_map(_metadata);
	ASSERT_LT(0, n);
	for (size_t i = 0; i < map.nr_nodes; i++) {
		/* the next kernel's image and early memory go into scratch */
		EXPECT_TRUE(kho_in_ram(map.node[i], page_size()) &&
			    !kho_regions_overlap(scratch, n, map.node[i], page_size())) {
			TH_LOG("page of the tree at 0x%llx: not RAM, or in scratch",
			       map.node[i]);
		}
	}
	/* a root, and a way down to the bitmaps */
	EXPECT_LE(kho_map_levels(map.page_shift), map.nr_nodes);
}

KHO_TEST_WHERE(s21, keys_are_ram_outside_scratch, closed())
{
	int n = kho_scratch_read(OUT, scratch, ARRAY_SIZE(scratch));

	read_map(_metadata);
	ASSERT_LT(0, n);
	ASSERT_LT(0, map.nr);
	for (size_t i = 0; i < map.nr; i++) {
		const struct kho_kept *k = &map.key[i];

		EXPECT_TRUE(kho_in_ram(k->addr, size_of(k)) &&
			    !kho_regions_overlap(scratch, n, k->addr, size_of(k))) {
			TH_LOG("preserved: 0x%llx of order %u: not RAM, or in scratch",
			       k->addr, k->order);
		}
	}
}

/* larger orders come first, each by address: a key is one number, and they ascend */
KHO_TEST_WHERE(r4, keys_ascend, closed())
{
	u64 before = 0;

	read_map(_metadata);
	for (size_t i = 0; i < map.nr; i++) {
		u64 key = kho_map_encode(map.page_shift, &map.key[i]);

		EXPECT_GT(key, before) {
			TH_LOG("0x%llx of order %u: key 0x%llx after 0x%llx",
			       map.key[i].addr, map.key[i].order, key, before);
		}
		before = key;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct kho_kept *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* ranges that are told of one kind of memory; the rest is counted */
#define TOLD_MAX	150
#define NODES_MAX	64
#define SPANS_MAX	8

static struct kho_region span[NODES_MAX][SPANS_MAX];

static u64 min_end(const struct kho_region *a, const struct kho_region *b)
{
	u64 x = a->addr + a->size, y = b->addr + b->size;

	return x < y ? x : y;
}

static int node_of(u64 addr)
{
	for (int nid = 0; nid < NODES_MAX; nid++)
		if (kho_regions_overlap(span[nid], SPANS_MAX, addr, 1))
			return nid;
	return 0;
}

/* neighbours on one node are one range */
static void tell_ranges(const char *kind, const struct kho_region *r, size_t nr)
{
	size_t told = 0, left = 0;

	for (size_t i = 0, next; i < nr; i = next) {
		u64 end = r[i].addr + r[i].size;
		int nid = node_of(r[i].addr);

		for (next = i + 1; next < nr && r[next].addr == end &&
		     node_of(r[next].addr) == nid; next++)
			end += r[next].size;
		if (++told > TOLD_MAX) {
			left++;
			continue;
		}
		printf("# kho: memory kind=%s node=%d from=0x%llx size=0x%llx\n", kind, nid,
		       r[i].addr, end - r[i].addr);
	}
	if (left)
		printf("# kho: memory left=%zu\n", left);
}

/* where all of it is, for whoever looks at a report; the keys are by address */
static void tell_memory(void)
{
	static struct kho_region r[KHO_REGIONS_MAX];
	struct kho_region *kept = calloc(map.nr, sizeof(*kept));
	int n;

	for (int nid = 0; nid < NODES_MAX; nid++)
		kho_node_spans(nid, span[nid], SPANS_MAX);
	n = kho_iomem_ram(r, ARRAY_SIZE(r));
	/* of each node by itself: what lies side by side may be of two */
	for (int i = 0; i < n; i++) {
		for (int nid = 0; nid < NODES_MAX; nid++) {
			for (int j = 0; j < SPANS_MAX && span[nid][j].size; j++) {
				struct kho_region *s = &span[nid][j], part;
				u64 end = min_end(&r[i], s);

				part.addr = r[i].addr > s->addr ? r[i].addr : s->addr;
				part.size = end > part.addr ? end - part.addr : 0;
				if (part.size)
					tell_ranges("ram", &part, 1);
			}
		}
	}
	n = kho_scratch_read(OUT, r, ARRAY_SIZE(r));
	/* one of the three sizes may be none */
	for (int i = 0; i < n; i++)
		if (r[i].size)
			tell_ranges("scratch", &r[i], 1);
	for (size_t i = 0; kept && i < map.nr; i++) {
		kept[i].addr = map.key[i].addr;
		kept[i].size = size_of(&map.key[i]);
	}
	if (kept)
		tell_ranges("preserved", kept, map.nr);
	free(kept);
	fflush(stdout);
}

/* preserved twice is restored twice */
KHO_TEST_WHERE(r10, keys_do_not_overlap, closed())
{
	read_map(_metadata);
	qsort(map.key, map.nr, sizeof(*map.key), by_address);
	for (size_t i = 1; i < map.nr; i++) {
		const struct kho_kept *a = &map.key[i - 1], *b = &map.key[i];

		EXPECT_LE(a->addr + size_of(a), b->addr) {
			TH_LOG("0x%llx of order %u and 0x%llx of order %u overlap",
			       a->addr, a->order, b->addr, b->order);
		}
	}
	tell_memory();
}

KHO_TEST_WHERE(f11, tree_is_preserved, closed())
{
	read_map(_metadata);
	EXPECT_TRUE(kho_map_has(&map, tree_at, 0)) {
		TH_LOG("the tree's page at 0x%llx is not in the map", tree_at);
	}
}

KHO_TEST_WHERE(f13, blobs_are_preserved, closed())
{
	read_map(_metadata);
	ASSERT_LT(0, root.nr);
	for (int i = 0; i < root.nr; i++) {
		const struct kho_subnode *s = &root.sub[i];

		EXPECT_EQ(s->data + s->size, kho_map_first_gap(&map, s->data, s->size)) {
			TH_LOG("%s: 0x%llx of %llu bytes is not preserved as a whole",
			       s->name, s->data, s->size);
		}
	}
}

/* what the command line's reservations and the tree itself take, key by key */
static const char *plain_producers(void)
{
	return closed() ?: !kho_own_machine() ?
	       "not in a machine of khotest: who else preserves memory is not known" : NULL;
}

static void read_reservations(struct __test_metadata *_metadata)
{
	struct kho_blob b;

	memset(&resv, 0, sizeof(resv));
	if (kho_read_file(OUT "/sub_fdts/memblock", &b))
		return;
	memset(&problems, 0, sizeof(problems));
	kho_check_memblock(b.data, b.len, &resv, &problems);
	kho_blob_free(&b);
	no_problems(_metadata, OUT "/sub_fdts/memblock");
}

KHO_TEST_WHERE(r10, runs_are_split_into_largest_orders, plain_producers())
{
	struct kho_asked asked[KHO_ASKED_MAX];
	struct kho_refused refused;

	read_map(_metadata);
	read_reservations(_metadata);
	EXPECT_EQ(kho_reserve_asked(NULL, asked, &refused), resv.nr);
	for (int i = 0; i < resv.nr; i++) {
		const struct kho_region *r = &resv.range[i];
		struct kho_kept k[KEYS_MAX];
		size_t n = kho_map_split(map.page_shift, r->addr, r->size / page_size(),
					 k, KEYS_MAX);

		for (size_t j = 0; j < n && j < KEYS_MAX; j++) {
			EXPECT_TRUE(kho_map_has(&map, k[j].addr, k[j].order)) {
				TH_LOG("%s: no key for 0x%llx of order %u", resv.name[i],
				       k[j].addr, k[j].order);
			}
		}
	}
}

KHO_TEST_WHERE(r2, nothing_else_is_preserved, plain_producers())
{
	read_map(_metadata);
	read_reservations(_metadata);
	for (size_t i = 0; i < map.nr; i++) {
		const struct kho_kept *k = &map.key[i];
		struct kho_region r = { .addr = k->addr, .size = size_of(k) };
		bool known = k->addr == tree_at && !k->order;

		for (int j = 0; j < root.nr; j++)
			known |= kho_regions_overlap(&r, 1, root.sub[j].data,
						     root.sub[j].size);
		/* pages of which any part is reserved */
		for (int j = 0; j < resv.nr; j++) {
			u64 from = resv.range[j].addr & -page_size();
			u64 end = resv.range[j].addr + resv.range[j].size + page_size() - 1;

			known |= k->addr >= from && k->addr + size_of(k) <= (end & -page_size());
		}
		EXPECT_TRUE(known) {
			TH_LOG("preserved, and nobody's: 0x%llx of order %u", k->addr,
			       k->order);
		}
	}
}

/* what the generation before meant to hand over */
struct handed {
	u64 root;
	u64 nr;
	struct kho_kept key[KEYS_MAX];
};

/* all of it is where a key's bits can lead, and the next kernel is to find it */
KHO_TEST_WHERE(r3, tree_decodes_as_a_whole, plain_producers())
{
	struct handed h = { };

	read_map(_metadata);
	ASSERT_LT(0, map.nr);
	ASSERT_GE(KEYS_MAX, map.nr);
	h.root = root.map;
	h.nr = map.nr;
	memcpy(h.key, map.key, map.nr * sizeof(*map.key));
	EXPECT_EQ(0, kho_state_save("map", &h, sizeof(h)));
}

static const char *decoder(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/bin/khotest", kho_dir());
	return path;
}

/* what "khotest decode --map" prints */
static void decode(struct __test_metadata *_metadata, struct kho_blob *out)
{
	int fd, status = -1;
	pid_t pid;

	fd = open("/tmp/map", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execl(decoder(), "khotest", "decode", "--map", NULL);
		_exit(127);
	}
	close(fd);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, kho_read_file("/tmp/map", out));
	EXPECT_EQ(0, status) {
		TH_LOG("%s", (char *)out->data);
	}
}

/* and it is what is there */
KHO_TEST_WHERE(r3, map_is_told_to_a_person, plain_producers())
{
	unsigned long long from, to, kib, told = 0, total = 0;
	size_t keys, nr_keys = 0, nr[64] = { }, n;
	char *line, *save = NULL;
	struct kho_blob out;
	unsigned int order;

	if (access(decoder(), X_OK))
		SKIP(return, "khotest is not here");
	read_map(_metadata);
	decode(_metadata, &out);
	for (line = strtok_r(out.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, " 0x%llx-0x%llx %llu KiB: %zu key", &from, &to, &kib,
			   &keys) == 4) {
			told += kib << 10;
			nr_keys += keys;
			EXPECT_EQ(to + 1 - from, kib << 10);
			EXPECT_EQ(to + 1, kho_map_first_gap(&map, from, to + 1 - from));
			EXPECT_NE(NULL, strstr(line, ", node ")) {
				TH_LOG("%s", line);
			}
		} else if (sscanf(line, "order %u: %zu", &order, &n) == 2 && order < 64) {
			nr[order] = n;
		} else if (sscanf(line, "preserved: %llu bytes", &total) != 1 &&
			   strncmp(line, "subtree ", 8) && strncmp(line, "preserved-mem", 13)) {
			EXPECT_STREQ("", line);
		}
	}
	EXPECT_EQ(map.nr, nr_keys);
	EXPECT_EQ(total, told);
	for (size_t i = 0; i < map.nr; i++)
		nr[map.key[i].order]--;
	for (order = 0; order < 64; order++)
		EXPECT_EQ(0, nr[order]);
	kho_blob_free(&out);
}

static const char *no_handover(void)
{
	return plain_producers() ?: kho_handed_over() == 1 ? NULL :
	       "cold boot: nothing was handed over";
}

static void read_handed(struct __test_metadata *_metadata, struct handed *h)
{
	struct kho_blob b;

	ASSERT_EQ(0, kho_state_load("map", kho_generation() - 1, &b));
	ASSERT_EQ(sizeof(*h), b.len);
	memcpy(h, b.data, sizeof(*h));
	kho_blob_free(&b);
	ASSERT_GE(KEYS_MAX, h->nr);
}

KHO_TEST_WHERE(r9, map_of_the_kernel_before_was_handed_over, no_handover())
{
	struct kho_root in;
	struct kho_blob b;
	struct handed h;

	read_handed(_metadata, &h);
	ASSERT_EQ(0, kho_read_file(IN "/fdt", &b));
	memset(&problems, 0, sizeof(problems));
	kho_check_root(b.data, b.len, KHO_COMPATIBLE, &in, &problems);
	kho_blob_free(&b);
	no_problems(_metadata, IN "/fdt");
	EXPECT_EQ(h.root, in.map);
}

/*
 * Nobody restores here, and what was reserved in early boot the page allocator
 * never has: not even what belongs to a reservation that nobody asks for now.
 */
KHO_TEST_WHERE(r12, all_keys_are_reserved, no_handover())
{
	struct handed h;
	u64 first, flags;

	read_handed(_metadata, &h);
	ASSERT_LT(0, h.nr);
	for (u64 i = 0; i < h.nr; i++) {
		const struct kho_kept *k = &h.key[i];

		EXPECT_EQ(0, kho_pages_marked(k->addr, size_of(k), KHO_PAGES_ALLOCATED,
					      &first, &flags)) {
			TH_LOG("0x%llx of order %u: 0x%llx is the page allocator's (0x%llx)",
			       k->addr, k->order, first, flags);
		}
	}
}

TEST_HARNESS_MAIN
