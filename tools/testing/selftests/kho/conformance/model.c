// SPDX-License-Identifier: GPL-2.0-only
/*
 * model.c - random operations on preserved memory, and a plain model of them
 *
 * What an operation does follows from the seed and the operation's number, and
 * from what its slot holds: so that a sequence can be repeated, and what is left
 * of it when some operations are passed over is the same as before.  After each
 * operation the kernel's map must hold what the model says, key by key.
 *
 *	kho_seed=N	on the kernel command line: the seed (1)
 *	kho_ops=A-B,C	the operations to do, numbered through all generations (all)
 *
 * "khotest shrink" finds the fewest that still fail.
 */
#include "producer.h"

#include "fail_nth.h"

KHO_SCENARIO(machine) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.model.walk",
	.summary = "random operations on preserved memory, compared with a model",
	.nr_nodes = 2, .node = { { 384, 1 }, { 256, 0 } },
	.flags = KHO_SC_QUICK | KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,64M,16M",
	.programs = { "kho_model" },
	.generations = 4,
};

KHO_SCENARIO(debug) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.model.debug",
	.summary = "the same on a kernel that looks after itself",
	.nr_nodes = 2, .node = { { 1536, 1 }, { 512, 0 } },
	.flags = KHO_SC_MODULE | KHO_SC_ON_DEMAND, .step_seconds = 180,
	/* the next kernel's KASAN takes an eighth of all memory before it has more than scratch */
	.cmdline = "kho=on kho_scratch=160M,512M,32M", .programs = { "kho_model" },
	.steps = "boot@debug\nkexec@debug\n",
};

/* in each generation */
#define OPS		100
#define SLOTS		20
#define KEYS_MAX	1400

enum state {
	EMPTY,
	/* allocated, and this kernel's alone */
	OURS,
	PRESERVED,
	/* some of its pages are, or each by itself */
	PART,
	EACH,
	/* the kernel before preserved it, and nobody restored it yet */
	HANDED,
	STATES,
};

static const char * const state_name[STATES] = {
	"empty", "ours", "preserved", "part", "each", "handed over",
};

/**
 * struct slot - what the model knows of one object
 * @state: what became of it
 * @kind: index of the kind
 * @n: order, pages or bytes
 * @seed: what it was filled with
 * @filled: it was
 * @first: of a part, its first page
 * @pages: of a part, how many
 * @subtree: it is in the tree, with a name of that number
 * @nr: keys that must be in the map for it, or were when it was handed over
 * @key: these
 */
struct slot {
	enum state state;
	int kind;
	unsigned long n;
	u64 seed;
	bool filled;
	unsigned long first, pages;
	unsigned int subtree;
	size_t nr;
	struct kho_kept key[KEYS_MAX];
};

static const char * const kinds[] = { "folio", "pages", "kho", "vmalloc", "huge" };

enum { FOLIO, PAGES, KHO, VMALLOC, HUGE, KINDS };

static struct slot slot[SLOTS];
/* what is in the map without any object */
static struct kho_map base;
static u64 model_seed = 1;
static char wanted[2048];
/* the operation that is done, for whoever reads what failed */
static char doing[160];
static bool wrong;
static unsigned int restored;

#define EXPECT_ERR(want, is) do {						\
	int _want = (want), _is = (is);						\
	EXPECT_EQ(_want, _is) {							\
		TH_LOG("%s: %s, must be %s", doing, strerror(-_is), strerror(-_want)); \
		wrong = true;							\
	}									\
} while (0)

/* the @k-th random number of an operation */
static u64 draw(unsigned int op, unsigned int k, u64 below)
{
	return kho_pattern(model_seed, (u64)op * 16 + k) % below;
}

static bool is_wanted(unsigned int op)
{
	const char *p = wanted;

	while (*p) {
		char *end;
		unsigned long from = strtoul(p, &end, 10), to = from;

		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if (op >= from && op <= to)
			return true;
		p = *end ? end + 1 : end;
	}
	return !*wanted;
}

static u64 pages_of(const struct slot *s)
{
	u64 pages = s->n;

	if (s->kind == FOLIO)
		return 1ULL << s->n;
	if (s->kind != KHO)
		return pages;
	for (pages = 1; pages * page_size() < s->n; pages *= 2)
		;
	return pages;
}

static bool is_virtual(const struct slot *s)
{
	return s->kind == VMALLOC || s->kind == HUGE;
}

/* keys of pages that lie one behind the other */
static void take_keys(struct __test_metadata *_metadata, struct slot *s, int i)
{
	static struct kho_kept k[EXPECTED_MAX];
	unsigned int shift = __builtin_ctzll(page_size());
	u64 phys;

	if (s->state == PRESERVED) {
		char name[8];

		snprintf(name, sizeof(name), "o%d", i);
		s->nr = keys_of(_metadata, name, s->kind == FOLIO || s->kind == KHO, k, NULL);
		ASSERT_GE(KEYS_MAX, s->nr);
		memcpy(s->key, k, s->nr * sizeof(*k));
		return;
	}
	EXPECT_EQ(0, producer("where o%d", i));
	phys = strtoull(reply, NULL, 16);
	s->nr = 0;
	if (s->state == PART)
		s->nr = kho_map_split(shift, phys + s->first * page_size(), s->pages, s->key,
				      KEYS_MAX);
	for (unsigned long p = 0; s->state == EACH && p < s->n; p++)
		s->key[s->nr++] = (struct kho_kept){ phys + p * page_size(), 0 };
}

static int by_key(const void *a, const void *b)
{
	unsigned int shift = __builtin_ctzll(page_size());
	u64 x = kho_map_encode(shift, a), y = kho_map_encode(shift, b);

	return x < y ? -1 : x > y;
}

/* the map holds the base, the keys of all slots, and nothing else */
static void compare(struct __test_metadata *_metadata)
{
	static struct kho_kept all[SLOTS * KEYS_MAX + 64];
	struct kho_map want = { .key = all };

	ASSERT_GE(64, base.nr);
	memcpy(all, base.key, base.nr * sizeof(*all));
	want.nr = base.nr;
	for (int i = 0; i < SLOTS; i++) {
		if (slot[i].state == HANDED)
			continue;
		memcpy(all + want.nr, slot[i].key, slot[i].nr * sizeof(*all));
		want.nr += slot[i].nr;
	}
	qsort(all, want.nr, sizeof(*all), by_key);
	kho_map_free(&map);
	read_map(_metadata);
	EXPECT_TRUE(same(&want, &map)) {
		TH_LOG("%s: the map is another: %zu keys, must be %zu", doing, map.nr, want.nr);
		log_missing(_metadata, "must be preserved", &want, &map);
		log_missing(_metadata, "must not be preserved", &map, &want);
		wrong = true;
	}
}

static void do_new(struct __test_metadata *_metadata, struct slot *s, int i, unsigned int op)
{
	static const unsigned long most[KINDS] = { 11, 700, 300000, 1200, 2 };
	int kind = draw(op, 2, KINDS), node = draw(op, 3, 3);
	unsigned long n = draw(op, 4, most[kind]);
	char where[8] = "";
	int err;

	/* small ones are many */
	if (draw(op, 5, 2))
		n = draw(op, 6, n + 1);
	if (kind == HUGE)
		n = (n + 1) * 512;
	else if (kind != FOLIO)
		n++;
	if (node < 2 && (kind == FOLIO || kind == PAGES))
		snprintf(where, sizeof(where), " %d", node);
	err = producer("new o%d %s %lu%s", i, kinds[kind], n, where);
	if (s->state != EMPTY) {
		EXPECT_ERR(-EEXIST, err);
		return;
	}
	/* of the largest there may be none left */
	if (err == -ENOMEM)
		return;
	EXPECT_ERR(0, err);
	s->kind = kind;
	s->n = n;
	s->filled = false;
	s->subtree = 0;
	s->state = kind == KHO ? PRESERVED : OURS;
	if (kind == KHO) {
		EXPECT_ERR(0, producer("zero o%d", i));
		take_keys(_metadata, s, i);
	}
}

static void do_fill(struct __test_metadata *_metadata, struct slot *s, int i, unsigned int op)
{
	s->seed = draw(op, 2, 1ULL << 32);
	s->filled = true;
	EXPECT_ERR(0, producer("fill o%d 0x%llx", i, s->seed));
}

static void do_check(struct __test_metadata *_metadata, struct slot *s, int i)
{
	if (s->filled)
		EXPECT_ERR(0, producer("check o%d 0x%llx", i, s->seed));
}

static void do_preserve(struct __test_metadata *_metadata, struct slot *s, int i, unsigned int op)
{
	int fail = no_faults ? 0 : draw(op, 2, 6);
	char command[32];
	bool injected;

	if (s->state == PRESERVED) {
		EXPECT_ERR(-EALREADY, producer("preserve o%d", i));
		return;
	}
	if (s->state != OURS)
		return;
	snprintf(command, sizeof(command), "preserve o%d", i);
	if (fail && producer_nth(fail, &injected, command) == -ENOMEM) {
		compare(_metadata);
		fail = 0;
	}
	if (!fail)
		EXPECT_ERR(0, producer("%s", command));
	s->state = PRESERVED;
	take_keys(_metadata, s, i);
}

static void give_up(struct slot *s, enum state state)
{
	s->state = state;
	s->nr = 0;
	if (state == EMPTY)
		s->subtree = 0;
}

static void do_unpreserve(struct __test_metadata *_metadata, struct slot *s, int i)
{
	EXPECT_ERR(s->state == PRESERVED ? 0 : -EALREADY, producer("unpreserve o%d", i));
	if (s->state == PRESERVED)
		give_up(s, OURS);
}

static void do_put(struct __test_metadata *_metadata, struct slot *s, int i)
{
	bool can = s->state == OURS && !s->subtree;

	EXPECT_ERR(can ? 0 : -EBUSY, producer("put o%d", i));
	if (can)
		give_up(s, EMPTY);
}

static void do_kho_free(struct __test_metadata *_metadata, struct slot *s, int i)
{
	bool can = s->state == PRESERVED && !s->subtree;

	EXPECT_ERR(s->kind != KHO ? -EINVAL : can ? 0 : -EBUSY, producer("kho_free o%d", i));
	if (can && s->kind == KHO)
		give_up(s, EMPTY);
}

static void do_part(struct __test_metadata *_metadata, struct slot *s, int i, unsigned int op)
{
	if (is_virtual(s) || (s->state != OURS && s->state != PART))
		return;
	if (s->state == PART) {
		EXPECT_ERR(0, producer("unpart o%d %lu %lu", i, s->first, s->pages));
		give_up(s, OURS);
		return;
	}
	s->first = draw(op, 2, pages_of(s));
	s->pages = draw(op, 3, pages_of(s) - s->first) + 1;
	EXPECT_ERR(0, producer("part o%d %lu %lu", i, s->first, s->pages));
	s->state = PART;
	take_keys(_metadata, s, i);
}

static void do_each(struct __test_metadata *_metadata, struct slot *s, int i)
{
	if (s->kind != PAGES || (s->state != OURS && s->state != EACH))
		return;
	if (s->state == EACH) {
		EXPECT_ERR(0, producer("each o%d unpreserve", i));
		give_up(s, OURS);
		return;
	}
	EXPECT_ERR(0, producer("each o%d preserve", i));
	s->state = EACH;
	take_keys(_metadata, s, i);
}

static void do_subtree(struct __test_metadata *_metadata, struct slot *s, int i, unsigned int op)
{
	if (is_virtual(s))
		return;
	if (s->subtree) {
		/* first once more under the name it has */
		EXPECT_ERR(-EEXIST, producer("add o%d model_%u 8", i, s->subtree));
		EXPECT_ERR(0, producer("remove o%d", i));
		s->subtree = 0;
		return;
	}
	EXPECT_ERR(0, producer("add o%d model_%u %llu", i, op + 1, pages_of(s)));
	s->subtree = op + 1;
}

static void do_restore(struct __test_metadata *_metadata, struct slot *s, int i, bool free)
{
	u64 was = 0, now = 0, pages = 0;

	if (s->state != HANDED) {
		EXPECT_ERR(s->state == EMPTY ? -ENOENT : -EALREADY, producer("restore o%d", i));
		return;
	}
	/* what was in the map for it, pages that tell where others are included */
	for (size_t k = 0; k < s->nr; k++)
		pages += 1ULL << s->key[k].order;
	EXPECT_EQ(0, kho_meminfo("MemTotal", &was));
	if (free && s->kind == KHO)
		EXPECT_ERR(0, producer("restore_free o%d", i));
	else
		EXPECT_ERR(0, producer("restore o%d", i));
	EXPECT_EQ(0, kho_meminfo("MemTotal", &now));
	EXPECT_EQ(was + pages * (page_size() >> 10), now) {
		TH_LOG("%s: %llu KiB were restored of %llu pages", doing, now - was, pages);
		wrong = true;
	}
	restored++;
	give_up(s, free && s->kind == KHO ? EMPTY : OURS);
	if (s->state == OURS)
		do_check(_metadata, s, i);
}

/* what came from the kernel before can be found, and nothing else can */
static void do_find(struct __test_metadata *_metadata)
{
	EXPECT_ERR(0, producer("list"));
	for (int i = 0; i < SLOTS; i++) {
		char line[64];

		snprintf(line, sizeof(line), "o%d ", i);
		EXPECT_EQ(slot[i].state != EMPTY, !!strstr(reply, line)) {
			TH_LOG("%s: o%d, which is %s: %s", doing, i, state_name[slot[i].state],
			       reply);
			wrong = true;
		}
	}
}

/* the next kernel is loaded, or is taken away, and nothing else changes */
static void do_load(struct __test_metadata *_metadata)
{
	int fd;

	if (kho_kexec_loaded() > 0) {
		EXPECT_ERR(0, kho_kexec_unload());
		return;
	}
	fd = kho_next_initrd();
	ASSERT_LE(0, fd);
	EXPECT_ERR(0, kho_kexec_load("/kho/kernel", fd, "kho=on"));
	close(fd);
}

/* the producer goes and comes again: it leaves nothing, and finds what was handed over */
static void do_reload(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, syscall(SYS_delete_module, "kho_producer", 0));
	for (int i = 0; i < SLOTS; i++) {
		if (slot[i].state != HANDED)
			give_up(&slot[i], EMPTY);
	}
	kho_map_free(&map);
	read_map(_metadata);
	EXPECT_TRUE(same(&before, &map)) {
		TH_LOG("%s: something is left", doing);
		log_missing(_metadata, "must not be preserved", &map, &before);
		wrong = true;
	}
	EXPECT_ERR(0, load_module(""));
	read_map(_metadata);
	base = map;
	memset(&map, 0, sizeof(map));
}

/* from one slot on, the next that is in some state; that one if none is */
static unsigned int next_slot(unsigned int i, enum state state)
{
	for (unsigned int k = 0; k < SLOTS; k++)
		if (slot[(i + k) % SLOTS].state == state)
			return (i + k) % SLOTS;
	return i;
}

static void operate(struct __test_metadata *_metadata, unsigned int op)
{
	static const struct {
		const char *name;
		unsigned int weight;
	} ops[] = {
		{ "new", 26 }, { "fill", 8 }, { "check", 4 }, { "preserve", 20 },
		{ "unpreserve", 6 }, { "put", 6 }, { "kho_free", 3 }, { "part", 6 },
		{ "each", 4 }, { "subtree", 6 }, { "restore", 12 }, { "restore_free", 3 },
		{ "load", 1 }, { "reload", 1 }, { "find", 2 },
	};
	unsigned int sum = 0, at, i = draw(op, 0, SLOTS);
	struct slot *s;
	size_t what;
	bool there;

	for (what = 0; what < ARRAY_SIZE(ops); what++)
		sum += ops[what].weight;
	at = draw(op, 1, sum);
	for (what = 0; at >= ops[what].weight; what++)
		at -= ops[what].weight;
	/* mostly where there is something to do, for it is rarer than nothing */
	if (draw(op, 15, 4))
		i = next_slot(i, what == 3 ? OURS : what == 10 || what == 11 ? HANDED :
			      slot[i].state);
	s = &slot[i];
	there = s->state != EMPTY && s->state != HANDED;
	snprintf(doing, sizeof(doing), "model: op %u: %s o%u (%s)", op, ops[what].name, i,
		 state_name[s->state]);
	switch (what) {
	case 0:
		do_new(_metadata, s, i, op);
		break;
	case 10:
	case 11:
		do_restore(_metadata, s, i, what == 11);
		break;
	case 12:
		do_load(_metadata);
		break;
	case 13:
		do_reload(_metadata);
		break;
	case 14:
		do_find(_metadata);
		break;
	default:
		/* there is nothing to work on */
		if (!there) {
			EXPECT_ERR(s->state == EMPTY ? -ENOENT : -EAGAIN, producer("put o%u", i));
			break;
		}
		switch (what) {
		case 1:
			do_fill(_metadata, s, i, op);
			break;
		case 2:
			do_check(_metadata, s, i);
			break;
		case 3:
			do_preserve(_metadata, s, i, op);
			break;
		case 4:
			do_unpreserve(_metadata, s, i);
			break;
		case 5:
			do_put(_metadata, s, i);
			break;
		case 6:
			do_kho_free(_metadata, s, i);
			break;
		case 7:
			do_part(_metadata, s, i, op);
			break;
		case 8:
			do_each(_metadata, s, i);
			break;
		case 9:
			do_subtree(_metadata, s, i, op);
			break;
		}
	}
	if (!wrong)
		compare(_metadata);
}

/* what the kernel before left, as this one must find it */
static void take_over(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, kho_state_get("model", kho_generation() - 1, slot, sizeof(slot)));
	for (int i = 0; i < SLOTS; i++) {
		struct slot *s = &slot[i];
		u64 first, flags;

		if (s->subtree) {
			EXPECT_EQ(0, producer("get model_%u", s->subtree)) {
				TH_LOG("o%d: subtree model_%u is not found", i, s->subtree);
				wrong = true;
			}
			s->subtree = 0;
		}
		/* whatever was preserved and how: no page of it is the page allocator's */
		for (size_t k = 0; k < s->nr && s->state != HANDED; k++) {
			EXPECT_EQ(0, kho_pages_marked(s->key[k].addr, size_of(&s->key[k]),
						      KHO_PAGES_ALLOCATED, &first, &flags)) {
				TH_LOG("o%d: 0x%llx is the page allocator's now (0x%llx)", i,
				       first, flags);
				wrong = true;
			}
		}
		/* what was not restored then is nobody's now */
		if (s->state == PRESERVED)
			s->state = HANDED;
		else
			give_up(s, EMPTY);
	}
}

/* neither what is preserved nor the tree that tells of it is where the next kernel goes */
static void expect_outside_scratch(struct __test_metadata *_metadata)
{
	static struct kho_region scratch[KHO_REGIONS_MAX];
	int n = kho_scratch_read(KHO_DEBUGFS "/out", scratch, KHO_REGIONS_MAX);

	ASSERT_LT(0, n);
	kho_map_free(&map);
	read_map(_metadata);
	for (size_t i = 0; i < map.nr; i++) {
		EXPECT_FALSE(kho_regions_overlap(scratch, n, map.key[i].addr,
						 size_of(&map.key[i]))) {
			TH_LOG("preserved in scratch: 0x%llx of order %u", map.key[i].addr,
			       map.key[i].order);
		}
	}
	for (size_t i = 0; i < map.nr_nodes; i++) {
		EXPECT_FALSE(kho_regions_overlap(scratch, n, map.node[i], page_size())) {
			TH_LOG("a page of the tree in scratch: 0x%llx", map.node[i]);
		}
	}
}

KHO_TEST_WHERE(r2, map_and_model_agree, no_map())
{
	unsigned int from = kho_generation() * OPS, done = 0, preserved = 0;
	char num[32];

	if (!kho_cmdline_get(NULL, "kho_seed", 0, num, sizeof(num)))
		model_seed = strtoull(num, NULL, 0);
	EXPECT_NE(-ENOSPC, kho_cmdline_get(NULL, "kho_ops", 0, wanted, sizeof(wanted)));
	strcpy(doing, "model: what was handed over");
	ASSERT_EQ(0, no_module);
	if (kho_generation())
		take_over(_metadata);
	do_find(_metadata);
	read_map(_metadata);
	base = map;
	memset(&map, 0, sizeof(map));
	for (unsigned int op = from; op < from + OPS && !wrong; op++) {
		if (!is_wanted(op))
			continue;
		operate(_metadata, op);
		done++;
	}
	kho_kexec_unload();
	expect_outside_scratch(_metadata);
	for (int i = 0; i < SLOTS; i++)
		preserved += slot[i].state == PRESERVED;
	printf("# kho: value name=model.operations unit=operations value=%u seed=%llu", done,
	       model_seed);
	printf(" restored=%u handed_on=%u\n", restored, preserved);
	fflush(stdout);
	EXPECT_EQ(0, kho_state_save("model", slot, sizeof(slot)));
}

TEST_HARNESS_MAIN
