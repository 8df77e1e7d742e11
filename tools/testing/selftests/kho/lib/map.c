// SPDX-License-Identifier: GPL-2.0-only
/*
 * map.c - decode the preserved-memory map
 *
 * What is read is not trusted: a tree that points to itself, outside of memory
 * or nowhere ends the walk with what is wrong with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kho.h"
#include "map.h"

/* a bitmap of 4 KiB covers 128 MiB of single pages: no machine of today has more */
#define NODES_MAX	65536u
#define KEYS_MAX	67108864u
/* no architecture has wider physical addresses */
#define ADDR_BITS	56

static unsigned int table_log2(unsigned int page_shift)
{
	return page_shift - 3;
}

static unsigned int bitmap_log2(unsigned int page_shift)
{
	return page_shift + 3;
}

/* the page frame number, and one bit for the order */
static unsigned int key_width(unsigned int page_shift)
{
	return 64 - page_shift + 1;
}

/**
 * kho_map_levels() - levels of the tree, bitmaps included
 * @page_shift: log2 of the page size: 12, 14 or 16
 *
 * Return: 6, 5 or 4 (enum kho_radix_consts, KHO_TREE_MAX_DEPTH)
 */
unsigned int kho_map_levels(unsigned int page_shift)
{
	unsigned int t = table_log2(page_shift);

	return (key_width(page_shift) - bitmap_log2(page_shift) + t - 1) / t + 1;
}

/**
 * kho_map_encode() - the key of what is preserved
 * @page_shift: log2 of the page size
 * @k: what is preserved; its address is a multiple of its size
 *
 * Return: the key
 */
u64 kho_map_encode(unsigned int page_shift, const struct kho_kept *k)
{
	unsigned int shift = page_shift + k->order;

	return 1ULL << (64 - shift) | k->addr >> shift;
}

/**
 * kho_map_decode() - what a key means
 * @page_shift: log2 of the page size
 * @key: the key
 * @k: what is preserved
 *
 * Return: false if it is no key of preserved memory
 */
bool kho_map_decode(unsigned int page_shift, u64 key, struct kho_kept *k)
{
	int top = key ? 63 - __builtin_clzll(key) : -1;
	int order = 64 - (int)page_shift - top;

	if (top < 1 || order < 0 || order + page_shift >= ADDR_BITS)
		return false;
	k->order = order;
	k->addr = (key & ~(1ULL << top)) << (page_shift + order);
	return !(k->addr >> ADDR_BITS);
}

/* grows by doubling; the walk's own limits bound it */
static int add(void **array, size_t nr, size_t size, const void *item)
{
	if (!(nr & (nr - 1))) {
		void *more = realloc(*array, (nr ? 2 * nr : 1) * size);

		if (!more)
			return -ENOMEM;
		*array = more;
	}
	memcpy((char *)*array + nr * size, item, size);
	return 0;
}

struct walk {
	struct kho_map *map;
	kho_page_reader read;
	void *ctx;
	struct kho_problems *p;
	/* one for each level: a parent is still needed below */
	unsigned char *page[KHO_MAP_LEVELS_MAX];
};

static int walk_bitmap(struct walk *w, const u64 *bits, u64 start)
{
	struct kho_map *m = w->map;
	size_t words = (1ULL << m->page_shift) / sizeof(*bits);

	for (size_t i = 0; i < words; i++) {
		for (u64 left = bits[i]; left; left &= left - 1) {
			u64 key = start | (i * 64 + __builtin_ctzll(left));
			struct kho_kept k;

			if (!kho_map_decode(m->page_shift, key, &k)) {
				kho_wrong(w->p, "key 0x%llx is of no order and no address",
					  key);
				return -EBADMSG;
			}
			if (m->nr == KEYS_MAX) {
				kho_wrong(w->p, "more than %u keys", KEYS_MAX);
				return -E2BIG;
			}
			if (add((void **)&m->key, m->nr, sizeof(k), &k))
				return -ENOMEM;
			m->nr++;
		}
	}
	return 0;
}

static int walk_node(struct walk *w, u64 addr, unsigned int level, u64 start)
{
	struct kho_map *m = w->map;
	u64 size = 1ULL << m->page_shift, *table = (u64 *)w->page[level];
	unsigned int shift;
	int err;

	if (addr & (size - 1) || addr >> ADDR_BITS || !addr) {
		kho_wrong(w->p, "level %u: 0x%llx is no page's address", level, addr);
		return -EBADMSG;
	}
	if (m->nr_nodes == NODES_MAX) {
		kho_wrong(w->p, "more than %u pages in the tree", NODES_MAX);
		return -E2BIG;
	}
	if (add((void **)&m->node, m->nr_nodes, sizeof(addr), &addr))
		return -ENOMEM;
	m->nr_nodes++;
	err = w->read(w->ctx, addr, table);
	if (err) {
		kho_wrong(w->p, "level %u: page at 0x%llx: %s", level, addr,
			  strerror(-err));
		return err;
	}
	if (!level)
		return walk_bitmap(w, table, start);
	shift = (level - 1) * table_log2(m->page_shift) + bitmap_log2(m->page_shift);
	for (u64 i = 0; i < size / sizeof(*table); i++) {
		if (!table[i])
			continue;
		/* the root's table has room for more than keys are wide */
		if (shift >= 64 || i >> (64 - shift) ||
		    (start | i << shift) >> key_width(m->page_shift)) {
			kho_wrong(w->p, "level %u: entry %llu is beyond any key", level, i);
			return -EBADMSG;
		}
		err = walk_node(w, table[i], level - 1, start | i << shift);
		if (err)
			return err;
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* each page of the tree has one place in it */
static void check_once(const struct kho_map *m, struct kho_problems *p)
{
	u64 *sorted = malloc(m->nr_nodes * sizeof(*sorted) + 1);

	if (!sorted)
		return kho_wrong(p, "no memory to look for pages met twice");
	memcpy(sorted, m->node, m->nr_nodes * sizeof(*sorted));
	qsort(sorted, m->nr_nodes, sizeof(*sorted), by_address);
	for (size_t i = 1; i < m->nr_nodes; i++)
		if (sorted[i] == sorted[i - 1])
			kho_wrong(p, "page at 0x%llx is twice in the tree", sorted[i]);
	free(sorted);
}

/**
 * kho_map_read() - read a whole map
 * @m: the map; to be freed even after an error, with what was met until then
 * @page_shift: log2 of the page size it was written with: 12 to 16
 * @root: physical address of the tree's uppermost page
 * @read: reads a page of it
 * @ctx: for @read
 * @p: what is wrong is added to this
 *
 * Return: 0; -EBADMSG if it is no such tree; -E2BIG if it is larger than any
 * known; -EINVAL for another page size; -ENOMEM; or what @read failed with.
 * What is wrong besides is only in @p.
 */
int kho_map_read(struct kho_map *m, unsigned int page_shift, u64 root,
		 kho_page_reader read, void *ctx, struct kho_problems *p)
{
	struct walk w = { .map = m, .read = read, .ctx = ctx, .p = p };
	unsigned int levels;
	int err = 0;

	memset(m, 0, sizeof(*m));
	if (page_shift < 12 || page_shift > 16)
		return -EINVAL;
	m->page_shift = page_shift;
	levels = kho_map_levels(page_shift);
	for (unsigned int i = 0; i < levels; i++) {
		w.page[i] = malloc(1u << page_shift);
		if (!w.page[i])
			err = -ENOMEM;
	}
	if (!err)
		err = walk_node(&w, root, levels - 1, 0);
	for (unsigned int i = 0; i < levels; i++)
		free(w.page[i]);
	if (!err)
		check_once(m, p);
	return err;
}

/**
 * kho_map_free() - free what kho_map_read() took
 * @m: the map
 */
void kho_map_free(struct kho_map *m)
{
	free(m->key);
	free(m->node);
	memset(m, 0, sizeof(*m));
}

/**
 * kho_map_has() - is exactly this preserved?
 * @m: the map
 * @addr: its physical address
 * @order: its order
 *
 * Return: true if the map has that key
 */
bool kho_map_has(const struct kho_map *m, u64 addr, unsigned int order)
{
	for (size_t i = 0; i < m->nr; i++)
		if (m->key[i].addr == addr && m->key[i].order == order)
			return true;
	return false;
}

/**
 * kho_map_first_gap() - which byte of a range is not preserved?
 * @m: the map
 * @addr: first byte of the range
 * @size: bytes
 *
 * Return: physical address of the first that is in no key; @addr + @size if
 * all are
 */
u64 kho_map_first_gap(const struct kho_map *m, u64 addr, u64 size)
{
	u64 at = addr;
	bool found = true;

	while (at < addr + size && found) {
		found = false;
		for (size_t i = 0; i < m->nr && !found; i++) {
			const struct kho_kept *k = &m->key[i];
			u64 len = 1ULL << (m->page_shift + k->order);

			if (at >= k->addr && at - k->addr < len) {
				at = k->addr + len;
				found = true;
			}
		}
	}
	return at < addr + size ? at : addr + size;
}

/**
 * kho_map_split() - the keys that a run of pages takes
 * @page_shift: log2 of the page size
 * @addr: physical address of the first page
 * @pages: how many
 * @k: the keys; NULL to count only
 * @max: room in @k
 *
 * The largest order that the address is a multiple of and that fits, again and
 * again (kexec_handover.c, __kho_preserve_pages_order()); the run is of one
 * NUMA node.
 *
 * Return: how many keys it takes; more than @max were not stored
 */
size_t kho_map_split(unsigned int page_shift, u64 addr, u64 pages,
		     struct kho_kept *k, size_t max)
{
	u64 pfn = addr >> page_shift;
	size_t n = 0;

	while (pages) {
		unsigned int order = 63 - __builtin_clzll(pages);

		if (pfn && (unsigned int)__builtin_ctzll(pfn) < order)
			order = __builtin_ctzll(pfn);
		if (k && n < max)
			k[n] = (struct kho_kept){ .addr = pfn << page_shift, .order = order };
		n++;
		pfn += 1ULL << order;
		pages -= 1ULL << order;
	}
	return n;
}

#define NODES_KNOWN	64
#define SPANS_MAX	8

/* where the nodes of this machine are */
struct nodes {
	struct kho_region span[NODES_KNOWN][SPANS_MAX];
	int nr[NODES_KNOWN];
};

/* which node a byte is on; -1 where nobody tells */
static int node_of(const struct nodes *nodes, u64 addr)
{
	for (int nid = 0; nid < NODES_KNOWN; nid++)
		if (nodes->nr[nid] > 0 &&
		    kho_regions_overlap(nodes->span[nid], nodes->nr[nid], addr, 1))
			return nid;
	return -1;
}

static int by_place(const void *a, const void *b)
{
	const struct kho_kept *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/**
 * kho_map_print() - print a map for a person: ranges, orders, nodes, totals
 * @m: the map; its keys are sorted by address
 * @out: where to
 *
 * Keys that lie one behind the other are one range.  The nodes are those of the
 * machine that this runs on.
 */
void kho_map_print(struct kho_map *m, FILE *out)
{
	size_t of[ADDR_BITS] = { }, keys;
	static struct nodes nodes;
	u64 total = 0;

	for (int nid = 0; nid < NODES_KNOWN; nid++)
		nodes.nr[nid] = kho_node_spans(nid, nodes.span[nid], SPANS_MAX);

	fprintf(out, "preserved-memory map: %zu keys in %zu pages of %u bytes, %u levels\n",
		m->nr, m->nr_nodes, 1u << m->page_shift, kho_map_levels(m->page_shift));
	qsort(m->key, m->nr, sizeof(*m->key), by_place);
	for (size_t i = 0; i < m->nr; i += keys) {
		u64 from = m->key[i].addr, to = from;
		unsigned int least = ADDR_BITS, most = 0;
		int node = node_of(&nodes, from);

		for (keys = 0; i + keys < m->nr && m->key[i + keys].addr == to; keys++) {
			unsigned int order = m->key[i + keys].order;

			if (keys && node_of(&nodes, to) != node)
				break;
			to += 1ULL << (m->page_shift + order);
			least = order < least ? order : least;
			most = order > most ? order : most;
			of[order]++;
		}
		fprintf(out, "    0x%llx-0x%llx %llu KiB: %zu key%s of order %u", from, to - 1,
			(to - from) >> 10, keys, keys == 1 ? "" : "s", least);
		if (most != least)
			fprintf(out, " to %u", most);
		if (node >= 0)
			fprintf(out, ", node %d", node);
		fputc('\n', out);
		total += to - from;
	}
	for (unsigned int order = 0; order < ARRAY_SIZE(of); order++)
		if (of[order])
			fprintf(out, "order %u: %zu\n", order, of[order]);
	fprintf(out, "preserved: %llu bytes\n", total);
}
