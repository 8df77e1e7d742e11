// SPDX-License-Identifier: GPL-2.0-only
/*
 * payload.c - what a chain of kexecs carries, and how that changes on the way
 *
 * What exists in a generation follows from its number alone: any generation can tell
 * what the one before must have left to it.
 *
 *	kho_payload=	on the kernel command line:
 *		grow	one more object in each generation, and all others carried on
 *		shrink	one less, and the others carried on
 *		replace	all are freed, and others take their place
 *		scatter	single pages between pages that are free
 *	kho_period=	after so many generations as much is carried as then: OBJECTS, or
 *			what sizes come again after, see make()
 */
#include "producer.h"

#include <errno.h>
#include <string.h>

#define REQUIRES							\
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_CHAIN | KHO_SC_MODULE,	\
	.generations = 5,						\
	.programs = { "kho_payload", "kho_chain" }
#define RESERVE	"reserve_mem=4M:4K:once reserve_mem=1028K:4K:anew"

KHO_SCENARIO(grow) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.grow",
	.summary = "a chain in which more and more is preserved",
	.cmdline = "kho=on kho_payload=grow kho_period=48 " RESERVE, REQUIRES,
};

KHO_SCENARIO(shrinking) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.shrink",
	.summary = "a chain in which less and less is preserved",
	.cmdline = "kho=on kho_payload=shrink kho_period=48 " RESERVE, REQUIRES,
};

KHO_SCENARIO(replace) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.replace",
	.summary = "a chain in which what is preserved is replaced",
	.cmdline = "kho=on kho_payload=replace kho_period=50 " RESERVE, REQUIRES,
};

KHO_SCENARIO(scatter) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.scatter",
	.summary = "a chain that carries single pages between pages that are free",
	.cmdline = "kho=on kho_payload=scatter " RESERVE, REQUIRES,
};

KHO_SCENARIO(model) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.model",
	.summary = "a chain that carries what random operations preserve",
	.nr_nodes = 2, .node = { { 384, 1 }, { 256, 0 } }, .generations = 5,
	.flags = KHO_SC_CHAIN | KHO_SC_MODULE,
	.cmdline = "kho=on kho_scratch=8M,64M,16M kho_levels=slopes " RESERVE,
	.programs = { "kho_model", "kho_chain" },
};

KHO_SCENARIO(debug) = {
	KHO_SCENARIO_HEAD,
	.name = "stress.chains.debug",
	.summary = "more and more is preserved, on a kernel that looks after itself",
	.nr_nodes = 2, .node = { { 1536, 1 }, { 512, 1 } }, .step_seconds = 240,
	.flags = KHO_SC_MODULE | KHO_SC_ON_DEMAND,
	/* see conformance.debug */
	.cmdline = "kho=on kho_scratch=160M,512M,32M kho_payload=grow " RESERVE,
	.programs = { "kho_payload", "kho_chain" },
	.steps = "boot@debug\nkexec@debug\nkexec@debug\n",
};

/* as many as there are at most; a chain that is longer begins anew */
#define OBJECTS		48
#define REPLACED	16
#define SCATTERED	128

enum way { GROW, SHRINK, REPLACE, SCATTER, WAYS };

static const char * const ways[WAYS] = { "grow", "shrink", "replace", "scatter" };

static enum way way(void)
{
	char val[16];

	for (int i = 0; !kho_cmdline_get(NULL, "kho_payload", 0, val, sizeof(val)) && i < WAYS;
	     i++)
		if (!strcmp(val, ways[i]))
			return i;
	return WAYS;
}

static const char *no_payload(void)
{
	return kho_generation() < 0 ? "not in a machine of khotest: this kexecs" :
	       way() == WAYS ? "kho_payload= names no way to change what is preserved" :
	       no_producer();
}

/**
 * struct span - numbers of objects
 * @from: the first
 * @to: behind the last
 */
struct span {
	int from, to;
};

/* what a generation hands over to the next; nothing before the first */
static struct span handed_over(int gen)
{
	int in = gen % OBJECTS;

	if (gen < 0)
		return (struct span){ };
	switch (way()) {
	case GROW:
		return (struct span){ gen - in, gen + 1 };
	case SHRINK:
		return (struct span){ gen, gen - in + OBJECTS };
	case REPLACE:
		return (struct span){ gen * REPLACED, (gen + 1) * REPLACED };
	default:
		return (struct span){ gen * SCATTERED, (gen + 1) * SCATTERED };
	}
}

static u64 seed_of(int nr)
{
	return 0x7061796c00 + nr;
}

static void make(struct __test_metadata *_metadata, int nr)
{
	static const char * const kind[] = { "folio", "pages", "kho", "vmalloc" };
	int like = way() == GROW || way() == SHRINK ? nr % OBJECTS : nr;
	int k = like % (int)ARRAY_SIZE(kind), err;
	unsigned long n = like / (int)ARRAY_SIZE(kind);

	/* orders, pages, and bytes of every size; the same again in another round, so that
	 * what two rounds leave behind can be compared
	 */
	n = k == 0 ? n % 8 : k == 2 ? 1 + n % 40 * 777 : 1 + n % 100;
	if (way() == SCATTER) {
		k = 0;
		n = 0;
	}
	err = producer("new o%d %s %lu", nr, kind[k], n);
	ASSERT_EQ(0, err) {
		TH_LOG("object %d, %s %lu: %s", nr, kind[k], n, strerror(-err));
	}
	EXPECT_EQ(0, producer("fill o%d 0x%llx", nr, seed_of(nr)));
	/* what kho_alloc_preserve() gave is preserved */
	if (k != 2)
		EXPECT_EQ(0, producer("preserve o%d", nr));
}

/* all of it, and no more, is there and as it was; what is not carried on is freed */
KHO_TEST_WHERE(r13, what_was_handed_over_came, no_payload())
{
	struct span had = handed_over(kho_generation() - 1), keep = handed_over(kho_generation());
	int lines = 0, want = had.to - had.from;

	ASSERT_EQ(0, no_module);
	ASSERT_EQ(0, producer("list"));
	for (const char *p = reply; (p = strchr(p, '\n')); p++)
		lines++;
	EXPECT_EQ(want, lines) {
		TH_LOG("%d objects came, must be %d", lines, want);
	}
	for (int i = had.from; i < had.to; i++) {
		int err = producer("restore o%d", i);

		EXPECT_EQ(0, err) {
			TH_LOG("object %d: restore: %s", i, strerror(-err));
			continue;
		}
		err = producer("check o%d 0x%llx", i, seed_of(i));
		EXPECT_EQ(0, err) {
			TH_LOG("object %d: content: %s: %s", i, strerror(-err), reply);
		}
		err = producer("%s o%d", i >= keep.from && i < keep.to ? "preserve" : "put", i);
		EXPECT_EQ(0, err) {
			TH_LOG("object %d: %s", i, strerror(-err));
		}
	}
}

KHO_TEST_WHERE(r13, what_is_handed_over_is_preserved, no_payload())
{
	struct span had = handed_over(kho_generation() - 1), keep = handed_over(kho_generation());

	ASSERT_EQ(0, no_module);
	for (int i = keep.from; i < keep.to; i++) {
		if (i < had.from || i >= had.to)
			make(_metadata, i);
		/* a neighbour, which will be free: the allocator gives them one by one */
		if (way() == SCATTER)
			ASSERT_EQ(0, producer("new n%d folio 0", i));
	}
	for (int i = keep.from; i < keep.to && way() == SCATTER; i++)
		ASSERT_EQ(0, producer("put n%d", i));
}

TEST_HARNESS_MAIN
