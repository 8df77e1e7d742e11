/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * producer.h - the test producer and what it does to the map, for checks
 *
 * Loaded before the first check, with the preserved-memory map as it was without
 * it.  A part of each program that includes it, as the harness is.
 */
#ifndef KHO_PRODUCER_H
#define KHO_PRODUCER_H

#include "live_map.h"
#include "module.h"

#define EXPECTED_MAX	4096
#define LEDGER		"kho_producer"

static struct kho_map before;
static int no_before __used = -ENODATA;
static struct kho_kept keys[EXPECTED_MAX] __used;

/* behind look(), which this needs */
static void __attribute__((constructor(2000))) begin(void)
{
	struct kho_problems p = { };
	struct kho_root r;

	if (!no_live && !access(module_path(), F_OK))
		no_before = kho_live_root(&live, &r, NULL, &p) ?:
			kho_live_map(&live, &r, &before, &p);
	no_module = load_module("");
}

static inline const char *no_map(void)
{
	return no_producer() ?: closed();
}

static inline bool same(const struct kho_map *a, const struct kho_map *b)
{
	return a->nr == b->nr && !memcmp(a->key, b->key, a->nr * sizeof(*a->key));
}

/* what one map has and another has not; the first few tell enough */
static inline void log_missing(struct __test_metadata *_metadata, const char *what,
			       const struct kho_map *of, const struct kho_map *in)
{
	int said = 0;

	for (size_t i = 0; i < of->nr && said < 16; i++) {
		if (kho_map_has(in, of->key[i].addr, of->key[i].order))
			continue;
		TH_LOG("%s: 0x%llx of order %u", what, of->key[i].addr, of->key[i].order);
		said++;
	}
}

static inline void expect_map(struct __test_metadata *_metadata, const struct kho_map *want,
			      const char *when)
{
	read_map(_metadata);
	EXPECT_TRUE(same(want, &map)) {
		TH_LOG("%s the map is another: %zu keys, must be %zu", when, map.nr, want->nr);
		log_missing(_metadata, "must be preserved", want, &map);
		log_missing(_metadata, "must not be preserved", &map, want);
	}
}

/* the keys that are in @map beyond those of @old are just @k, in any order */
static inline void expect_added(struct __test_metadata *_metadata, const struct kho_map *old,
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
static inline size_t keys_of(struct __test_metadata *_metadata, const char *name, bool folio,
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

/* where an object begins */
static inline u64 begin_of(struct __test_metadata *_metadata, const char *name)
{
	u64 phys;

	EXPECT_EQ(0, producer("where %s", name));
	phys = strtoull(reply, NULL, 16);
	ASSERT_LT(0, phys);
	return phys;
}

static inline bool is_folio(const char *kind)
{
	return !strcmp(kind, "folio") || !strcmp(kind, "kho");
}

static inline bool is_vmalloc(const char *kind)
{
	return !strcmp(kind, "vmalloc") || !strcmp(kind, "huge");
}

#endif /* KHO_PRODUCER_H */
