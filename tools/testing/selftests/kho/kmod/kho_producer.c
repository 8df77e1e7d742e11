// SPDX-License-Identifier: GPL-2.0-only
/*
 * kho_producer.c - a producer and consumer of KHO under the tests' control
 *
 * Its interface is one file of debugfs, kho_producer: where KHO is tested there
 * is debugfs, a person can use it from a shell, and no structures are shared with
 * programs.  A write is one command, and fails with the errno of what the
 * command did; a read of the same open file gives the command's reply.
 *
 *	new NAME KIND N [WHERE]	allocate an object; KIND is one of
 *				    folio    one folio of order N
 *				    pages    N contiguous pages
 *				    at       N pages, the first at PHYS
 *				    kho      N bytes of kho_alloc_preserve()
 *				    vmalloc  N pages of vmalloc()
 *				    huge     N pages of vmalloc_huge()
 *				    vmap     N pages, mapped by vmap()
 *				WHERE is a NUMA node; for "at" it is PHYS, anywhere
 *				in memory, scratch included; EBUSY if that is in use
 *	put NAME		free it; EBUSY while it is preserved
 *	kho_free NAME		kho_unpreserve_free() of a "kho"
 *	fill NAME SEED		write a pattern that depends on place and seed
 *	check NAME SEED		EIO if that is not what is there; reply: where
 *	zero NAME		EIO if it is not all zeroes; reply: where
 *	preserve NAME [HOW]	hand it to KHO; with HOW "dirty" what KHO is to fill in
 *				for vmalloc memory is not all zeroes before; with "folio"
 *				one page "at" a place is handed to it as a folio
 *	unpreserve NAME		take it back
 *	part NAME FIRST N	kho_preserve_pages() of some pages of an object
 *	unpart NAME FIRST N	the opposite
 *	each NAME OP [CPUS]	OP (preserve or unpreserve) of each page by itself, by
 *				several CPUs at once, which take turns with the pages
 *	where NAME		reply: "PHYS PAGES NODE", a line for each piece, and
 *				"chunk PHYS" for each page that describes vmalloc memory
 *	page PHYS		reply: "COUNT NODE reserved|- compound|-"
 *	add NAME NODE SIZE	kho_add_subtree() of the object as NODE; it can be in
 *				the tree under several names
 *	remove NAME		kho_remove_subtree() of it, once
 *	get NODE		kho_retrieve_subtree(); reply: "PHYS SIZE"
 *	self			reply: what tells of KHO itself, "NAME VALUE" lines; and when
 *				the kernel before was asked to kexec, began to reboot
 *				and had shut down its devices, by the processor's counter
 *	list			reply: "NAME KIND N STATE", a line for each object
 *	restore NAME		restore what the kernel before preserved; it is then
 *				an object as any other.  EALREADY for a second time,
 *				ENODATA if KHO gave nothing, EILSEQ if order or
 *				references are not what they were, or pages are marked
 *				as reserved.  Reply: "took TIME", what KHO's function did,
 *				as loops have it
 *	restore_free NAME	kho_restore_free() of a "kho" that the kernel before
 *				preserved
 *	probe PHYS [N]		kho_restore_folio() of a place that was never preserved,
 *				or kho_restore_pages() of N pages: ENODATA if KHO gave
 *				nothing, as it should
 *	loop KIND N OP TIMES [CPUS [WHERE]]
 *				OP (preserve, or subtree) of an object that nobody else
 *				has, and its opposite, again and again, on each CPU with
 *				one of its own, on node WHERE; with KIND kho,
 *				kho_alloc_preserve() and kho_unpreserve_free().  Reply,
 *				for each of the two, in nanoseconds, or in the counter's
 *				own unit where the module was loaded with cycles=1:
 *				    "OP CALLS TOTAL MIN MAX",
 *				    "bucket OP FROM CALLS", what took FROM and longer but
 *				    less than the next bucket, of which there are eight
 *				    for each doubling,
 *				    "samples OP VALUE...", each call's, of up to 1000 calls
 *	radix init|destroy	a tree of keys of the module's own (kho_radix_tree.h)
 *	radix add|del KEY	kho_radix_add_key() and kho_radix_del_key() there
 *	radix walk [STOP]	reply: "node PHYS" and "key KEY" as they are met; at the
 *				STOPth key the walk is ended, then "stopped RETURN"
 *
 * It loads where KHO is off, or not built in: what KHO says then is passed on.
 *
 * What was preserved is written into a ledger, which is itself preserved and a
 * subtree ("kho_producer"): the module finds it in the next kernel.  The page of
 * a ledger that was handed over is never freed, so that the module can be
 * unloaded and loaded again.  Unloading takes back and frees all that is left.
 */
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kprobes.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho_radix_tree.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/syscore_ops.h>
#include <linux/timex.h>
#include <linux/vmalloc.h>

#define LEDGER_NODE	"kho_producer"
#define LEDGER_MAGIC	0x344745444c4f484bULL	/* "KHOLDGE4" */
#define LEDGER_BYTES	262144
#define NAME_MAX_LEN	32
#define PARTS_MAX	8
#define WORDS_MAX	7
#define REPLY_MAX	131072
#define PAGES_MAX	(SZ_1G >> PAGE_SHIFT)

enum kind { FOLIO, PAGES, AT, KHO, VMALLOC, HUGE, VMAP, NR_KINDS };

static const char * const kinds[NR_KINDS] = {
	"folio", "pages", "at", "kho", "vmalloc", "huge", "vmap",
};

/* what the next kernel needs to know of an object */
struct record {
	char name[NAME_MAX_LEN];
	u32 kind;
	u32 taken;
	u64 n;
	u64 phys;
	struct kho_vmalloc vm;
};

/*
 * By the processor's counter: @kexec, when it was called for, before anything is frozen,
 * 0 where the kernel has no kprobes; @reboot, when what reboots is told; @shutdown, when
 * devices were down.
 */
struct ledger {
	u64 magic;
	u64 nr;
	u64 kexec, reboot, shutdown;
	struct record record[];
};

#define RECORDS_MAX	((LEDGER_BYTES - sizeof(struct ledger)) / sizeof(struct record))

/**
 * struct object - a piece of memory
 * @list: all of them
 * @name: its name
 * @kind: how it was allocated
 * @n: order, pages or bytes, as @kind has it
 * @mem: where the kernel sees it, NULL before it was restored
 * @page: the pages under a vmap
 * @record: in the ledger of the kernel before, until it is restored
 * @preserved: KHO has it
 * @each: KHO has each page of it by itself
 * @broken: it is not as KHO should have restored it: it is never freed
 * @subtrees: how often it is in the root tree
 * @vm: of vmalloc memory that is preserved
 * @part: pieces that were preserved by themselves
 */
struct object {
	struct list_head list;
	char name[NAME_MAX_LEN];
	enum kind kind;
	unsigned long n;
	void *mem;
	struct page **page;
	struct record *record;
	bool preserved;
	bool each;
	bool broken;
	unsigned int subtrees;
	struct kho_vmalloc vm;
	struct {
		unsigned long first, n;
	} part[PARTS_MAX];
};

struct reply {
	size_t len;
	char text[REPLY_MAX];
};

static LIST_HEAD(objects);
static DEFINE_MUTEX(lock);
static struct ledger *out, *in;
static struct dentry *file;

static __printf(2, 3) void say(struct reply *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r->len += vscnprintf(r->text + r->len, REPLY_MAX - r->len, fmt, ap);
	va_end(ap);
}

static struct object *find(const char *name)
{
	struct object *o;

	list_for_each_entry(o, &objects, list)
		if (!strcmp(o->name, name))
			return o;
	return NULL;
}

static bool is_virtual(const struct object *o)
{
	return o->kind == VMALLOC || o->kind == HUGE || o->kind == VMAP;
}

static unsigned long pages_of(const struct object *o)
{
	switch (o->kind) {
	case FOLIO:
		return 1UL << o->n;
	case KHO:
		return 1UL << get_order(o->n);
	default:
		return o->n;
	}
}

static unsigned long bytes_of(const struct object *o)
{
	return pages_of(o) << PAGE_SHIFT;
}

static struct page *page_of(const struct object *o, unsigned long i)
{
	if (is_virtual(o))
		return vmalloc_to_page(o->mem + (i << PAGE_SHIFT));
	return virt_to_page(o->mem) + i;
}

static void write_ledger(void)
{
	struct object *o;

	/* KHO is off */
	if (!out)
		return;
	out->nr = 0;
	list_for_each_entry(o, &objects, list) {
		struct record *r = &out->record[out->nr];

		if (!o->preserved)
			continue;
		*r = (struct record){
			.kind = o->kind, .n = o->n,
			.phys = PFN_PHYS(page_to_pfn(page_of(o, 0))), .vm = o->vm,
		};
		strscpy(r->name, o->name);
		out->nr++;
	}
}

static unsigned int nr_preserved(void)
{
	struct object *o;
	unsigned int n = 0;

	list_for_each_entry(o, &objects, list)
		n += o->preserved;
	return n;
}

static void *pages_new(struct object *o, gfp_t gfp, int nid)
{
	unsigned int order = get_order(bytes_of(o));
	struct page *page;

	if (order > MAX_PAGE_ORDER)
		return NULL;
	page = alloc_pages_node(nid, gfp, order);
	if (!page)
		return NULL;
	split_page(page, order);
	for (unsigned long i = o->n; i < 1UL << order; i++)
		__free_page(page + i);
	return page_address(page);
}

/*
 * By place: pages of one zone at a time, for that is what can be isolated.  Which
 * of the two ways a place takes, ordinary memory or CMA, is not for modules to see.
 */
static int at_new(struct object *o, u64 phys)
{
	unsigned long first = PHYS_PFN(phys), end = first + o->n, at, next;
	int err = 0;

	if (!PAGE_ALIGNED(phys) || !first || end < first)
		return -EINVAL;
	for (at = first; at < end; at++)
		if (!pfn_to_online_page(at))
			return -EFAULT;
	for (at = first; at < end && !err; at = err ? at : next) {
		struct zone *zone = page_zone(pfn_to_page(at));

		for (next = at + 1; next < end; next++)
			if (page_zone(pfn_to_page(next)) != zone)
				break;
		err = alloc_contig_range(at, next, ACR_FLAGS_NONE, GFP_KERNEL);
		if (err)
			err = alloc_contig_range(at, next, ACR_FLAGS_CMA, GFP_KERNEL);
	}
	if (!err)
		o->mem = page_address(pfn_to_page(first));
	else if (at > first)
		free_contig_range(first, at - first);
	return err;
}

static void *vmap_new(struct object *o)
{
	void *mem = NULL;
	unsigned long i;

	o->page = kvcalloc(o->n, sizeof(*o->page), GFP_KERNEL);
	if (!o->page)
		return NULL;
	for (i = 0; i < o->n; i++) {
		o->page[i] = alloc_page(GFP_KERNEL);
		if (!o->page[i])
			break;
	}
	if (i == o->n)
		mem = vmap(o->page, o->n, VM_MAP, PAGE_KERNEL);
	if (mem)
		return mem;
	while (i--)
		__free_page(o->page[i]);
	kvfree(o->page);
	return NULL;
}

/* returns 0 with @o->mem, or what went wrong */
static int allocate(struct object *o, int nid, u64 phys)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	struct folio *folio;

	if (nid != NUMA_NO_NODE)
		gfp |= __GFP_THISNODE;
	else
		nid = numa_mem_id();
	switch (o->kind) {
	case FOLIO:
		if (o->n > MAX_PAGE_ORDER)
			return -E2BIG;
		folio = __folio_alloc_node(gfp, o->n, nid);
		o->mem = folio ? folio_address(folio) : NULL;
		break;
	case PAGES:
		o->mem = pages_new(o, gfp, nid);
		break;
	case AT:
		return at_new(o, phys);
	case KHO:
		o->mem = kho_alloc_preserve(o->n);
		if (IS_ERR(o->mem))
			return PTR_ERR(o->mem);
		o->preserved = true;
		break;
	case VMALLOC:
		o->mem = vmalloc_node(bytes_of(o), nid);
		break;
	case HUGE:
		o->mem = vmalloc_huge(bytes_of(o), GFP_KERNEL);
		break;
	case VMAP:
		o->mem = vmap_new(o);
		break;
	default:
		return -EINVAL;
	}
	return o->mem ? 0 : -ENOMEM;
}

/* the memory alone: KHO does not have it any more */
static void release(struct object *o)
{
	unsigned long i;

	/* the page allocator is not to suffer for it */
	if (o->broken)
		return;
	switch (o->kind) {
	case FOLIO:
	case KHO:
		folio_put(virt_to_folio(o->mem));
		break;
	case PAGES:
	case AT:
		for (i = 0; i < o->n; i++)
			__free_page(page_of(o, i));
		break;
	case VMAP:
		vunmap(o->mem);
		for (i = 0; i < o->n; i++)
			__free_page(o->page[i]);
		kvfree(o->page);
		break;
	default:
		vfree(o->mem);
	}
}

static int preserve(struct object *o, const char *how)
{
	int err;

	switch (o->kind) {
	case FOLIO:
	case KHO:
		return kho_preserve_folio(virt_to_folio(o->mem));
	case PAGES:
	case AT:
		if (how && !strcmp(how, "folio"))
			return kho_preserve_folio(virt_to_folio(o->mem));
		return kho_preserve_pages(virt_to_page(o->mem), o->n);
	default:
		/* it is for KHO to fill in: what is there before means nothing */
		memset(&o->vm, how ? 1 : 0, sizeof(o->vm));
		err = kho_preserve_vmalloc(o->mem, &o->vm);
		if (err)
			memset(&o->vm, 0, sizeof(o->vm));
		return err;
	}
}

static void unpreserve(struct object *o)
{
	switch (o->kind) {
	case FOLIO:
	case KHO:
		kho_unpreserve_folio(virt_to_folio(o->mem));
		break;
	case PAGES:
	case AT:
		kho_unpreserve_pages(virt_to_page(o->mem), o->n);
		break;
	default:
		kho_unpreserve_vmalloc(&o->vm);
		memset(&o->vm, 0, sizeof(o->vm));
	}
	o->preserved = false;
}

/* the head has the one reference, and all pages are its */
static bool is_folio(struct folio *folio, unsigned long pages)
{
	if (folio_nr_pages(folio) != pages || folio_ref_count(folio) != 1)
		return false;
	for (unsigned long i = 1; i < pages; i++) {
		struct page *page = folio_page(folio, i);

		if (page_ref_count(page) || page_folio(page) != folio || PageReserved(page))
			return false;
	}
	return !PageReserved(folio_page(folio, 0));
}

/* one reference each, and none of them a part of something */
static bool are_single(const struct object *o)
{
	for (unsigned long i = 0; i < o->n; i++)
		if (page_count(page_of(o, i)) != 1 || PageCompound(page_of(o, i)) ||
		    PageReserved(page_of(o, i)))
			return false;
	return true;
}

/* time has the clock's grain; where instructions are counted, the counter has them all */
static bool cycles;
module_param(cycles, bool, 0444);
MODULE_PARM_DESC(cycles, "loops tell cycles of the processor's counter instead of nanoseconds");

static u64 now(void)
{
	return cycles ? get_cycles() : ktime_get_ns();
}

static int restore(struct object *o)
{
	struct folio *folio;
	struct page *page;
	bool good = true;

	switch (o->kind) {
	case FOLIO:
	case KHO:
		folio = kho_restore_folio(o->record->phys);
		o->mem = folio ? folio_address(folio) : NULL;
		good = folio && is_folio(folio, pages_of(o));
		break;
	case PAGES:
	case AT:
		page = kho_restore_pages(o->record->phys, o->n);
		o->mem = page ? page_address(page) : NULL;
		good = page && are_single(o);
		break;
	default:
		o->mem = kho_restore_vmalloc(&o->record->vm);
	}
	o->record->taken = 1;
	o->record = NULL;
	if (!o->mem)
		return -ENODATA;
	o->broken = !good;
	return good ? 0 : -EILSEQ;
}

static bool has_parts(const struct object *o)
{
	for (int i = 0; i < PARTS_MAX; i++)
		if (o->part[i].n)
			return true;
	return false;
}

static void forget(struct object *o)
{
	list_del(&o->list);
	kfree(o);
}

/* undo all that was done to it */
static void drop(struct object *o)
{
	if (o->mem) {
		while (o->subtrees) {
			kho_remove_subtree(o->mem);
			o->subtrees--;
		}
		for (unsigned long i = 0; o->each && i < o->n; i++)
			kho_unpreserve_pages(page_of(o, i), 1);
		for (int i = 0; i < PARTS_MAX; i++)
			if (o->part[i].n)
				kho_unpreserve_pages(page_of(o, o->part[i].first), o->part[i].n);
		if (o->preserved)
			unpreserve(o);
		release(o);
	}
	forget(o);
}

static struct object *new_object(const char *name)
{
	struct object *o = kzalloc(sizeof(*o), GFP_KERNEL);

	if (o) {
		strscpy(o->name, name);
		list_add_tail(&o->list, &objects);
	}
	return o;
}

/* a node that has memory; none is any */
static int which_node(const char *word, int *nid)
{
	*nid = NUMA_NO_NODE;
	if (!word)
		return 0;
	if (kstrtoint(word, 0, nid))
		return -EINVAL;
	return *nid < 0 || *nid >= MAX_NUMNODES || !node_state(*nid, N_MEMORY) ? -ENODEV : 0;
}

static int do_new(struct reply *r, char **w)
{
	int nid = NUMA_NO_NODE, kind, err;
	struct object *o;
	unsigned long n;
	u64 phys = 0;

	kind = match_string(kinds, NR_KINDS, w[2]);
	if (kind < 0 || strlen(w[1]) >= NAME_MAX_LEN)
		return -EINVAL;
	if (kstrtoul(w[3], 0, &n))
		return -EINVAL;
	err = kind != AT ? which_node(w[4], &nid) :
	      !w[4] || kstrtou64(w[4], 0, &phys) ? -EINVAL : 0;
	if (err)
		return err;
	/* what kho_alloc_preserve() takes is for it to say */
	if (kind != KHO && kind != FOLIO && (!n || n > PAGES_MAX))
		return -EINVAL;
	if (find(w[1]))
		return -EEXIST;
	if (kind == KHO && nr_preserved() == RECORDS_MAX)
		return -ENOSPC;
	o = new_object(w[1]);
	if (!o)
		return -ENOMEM;
	o->kind = kind;
	o->n = n;
	err = allocate(o, nid, phys);
	if (err)
		forget(o);
	else
		write_ledger();
	return err;
}

static u64 word_at(u64 seed, u64 at)
{
	return (at + 1) * 0x9e3779b97f4a7c15ULL ^ seed;
}

static int do_fill(struct reply *r, struct object *o, char **w)
{
	u64 seed, *p = o->mem;

	if (kstrtou64(w[2], 0, &seed))
		return -EINVAL;
	for (u64 i = 0; i < bytes_of(o) / sizeof(*p); i++)
		p[i] = word_at(seed, i);
	return 0;
}

static int do_check(struct reply *r, struct object *o, char **w)
{
	u64 seed, *p = o->mem;

	if (kstrtou64(w[2], 0, &seed))
		return -EINVAL;
	for (u64 i = 0; i < bytes_of(o) / sizeof(*p); i++) {
		if (p[i] == word_at(seed, i))
			continue;
		say(r, "offset %llu: 0x%llx instead of 0x%llx\n", i * sizeof(*p), p[i],
		    word_at(seed, i));
		return -EIO;
	}
	return 0;
}

static int do_zero(struct reply *r, struct object *o, char **w)
{
	u8 *bad = memchr_inv(o->mem, 0, bytes_of(o));

	if (!bad)
		return 0;
	say(r, "offset %zu: 0x%x\n", (size_t)(bad - (u8 *)o->mem), *bad);
	return -EIO;
}

static int do_preserve(struct reply *r, struct object *o, char **w)
{
	int err;

	if (w[2] && (strcmp(w[2], "dirty") || !is_virtual(o)) &&
	    (strcmp(w[2], "folio") || o->kind != AT || o->n != 1))
		return -EINVAL;
	if (o->preserved)
		return -EALREADY;
	if (nr_preserved() == RECORDS_MAX)
		return -ENOSPC;
	err = preserve(o, w[2]);
	if (!err) {
		o->preserved = true;
		write_ledger();
	}
	return err;
}

static int do_unpreserve(struct reply *r, struct object *o, char **w)
{
	if (!o->preserved)
		return -EALREADY;
	unpreserve(o);
	write_ledger();
	return 0;
}

static int do_put(struct reply *r, struct object *o, char **w)
{
	if (o->preserved || o->each || o->subtrees || has_parts(o))
		return -EBUSY;
	release(o);
	forget(o);
	return 0;
}

static int do_kho_free(struct reply *r, struct object *o, char **w)
{
	if (o->kind != KHO)
		return -EINVAL;
	if (!o->preserved || o->subtrees || has_parts(o))
		return -EBUSY;
	kho_unpreserve_free(o->mem);
	forget(o);
	write_ledger();
	return 0;
}

static int do_part(struct reply *r, struct object *o, char **w)
{
	bool add = !strcmp(w[0], "part");
	unsigned long first, n;
	int i, err = 0;

	if (is_virtual(o) || kstrtoul(w[2], 0, &first) || kstrtoul(w[3], 0, &n))
		return -EINVAL;
	if (first >= pages_of(o) || n > pages_of(o) - first)
		return -ERANGE;
	for (i = 0; i < PARTS_MAX; i++)
		if (add ? !o->part[i].n : o->part[i].first == first && o->part[i].n == n)
			break;
	if (i == PARTS_MAX)
		return add ? -ENOSPC : -ENOENT;
	if (add) {
		err = kho_preserve_pages(page_of(o, first), n);
		if (!err) {
			o->part[i].first = first;
			o->part[i].n = n;
		}
	} else {
		kho_unpreserve_pages(page_of(o, first), n);
		o->part[i].n = 0;
	}
	return err;
}

/* how many pages lie together from one on, and on one node */
static unsigned long run_at(const struct object *o, unsigned long i)
{
	unsigned long n = 1;

	if (is_virtual(o))
		return 1UL << o->vm.order;
	while (i + n < pages_of(o) && page_to_nid(page_of(o, i + n)) == page_to_nid(page_of(o, i)))
		n++;
	return n;
}

static int do_where(struct reply *r, struct object *o, char **w)
{
	struct kho_vmalloc_chunk *c;
	unsigned long step;

	for (unsigned long i = 0; i < pages_of(o); i += step) {
		struct page *page = page_of(o, i);

		step = run_at(o, i);
		say(r, "0x%llx %lu %d\n", (u64)PFN_PHYS(page_to_pfn(page)), step,
		    page_to_nid(page));
	}
	if (!is_virtual(o) || !o->preserved)
		return 0;
	for (c = KHOSER_LOAD_PTR(o->vm.first); c; c = KHOSER_LOAD_PTR(c->hdr.next))
		say(r, "chunk 0x%llx\n", (u64)virt_to_phys(c));
	return 0;
}

static int do_add(struct reply *r, struct object *o, char **w)
{
	size_t size;
	int err;

	if (is_virtual(o) || kstrtoul(w[3], 0, &size) || size > bytes_of(o))
		return -EINVAL;
	/* one that is off has no tree, and does not look whether it has */
	if (IS_ENABLED(CONFIG_KEXEC_HANDOVER) && !kho_is_enabled())
		return -EOPNOTSUPP;
	err = kho_add_subtree(w[2], o->mem, size);
	o->subtrees += !err;
	return err;
}

static int do_remove(struct reply *r, struct object *o, char **w)
{
	if (!o->subtrees)
		return -EALREADY;
	kho_remove_subtree(o->mem);
	o->subtrees--;
	return 0;
}

static int do_get(struct reply *r, char **w)
{
	phys_addr_t phys;
	size_t size;
	int err = kho_retrieve_subtree(w[1], &phys, &size);

	if (!err)
		say(r, "0x%llx %zu\n", (u64)phys, size);
	return err;
}

static int do_list(struct reply *r, char **w)
{
	struct object *o;

	list_for_each_entry(o, &objects, list)
		say(r, "%s %s %lu %s\n", o->name, kinds[o->kind], o->n,
		    o->record ? "handed" : o->preserved ? "preserved" : "free");
	return 0;
}

static int do_restore(struct reply *r, char **w)
{
	struct object *o = find(w[1]);
	u64 from;
	int err;

	if (!o)
		return -ENOENT;
	if (!o->record)
		return -EALREADY;
	from = now();
	err = restore(o);
	say(r, "took %llu\n", now() - from);
	if (!o->mem)
		forget(o);
	return err;
}

static int do_restore_free(struct reply *r, char **w)
{
	struct object *o = find(w[1]);

	if (!o)
		return -ENOENT;
	if (!o->record || o->kind != KHO)
		return -EINVAL;
	kho_restore_free(phys_to_virt(o->record->phys));
	o->record->taken = 1;
	forget(o);
	return 0;
}

static int do_probe(struct reply *r, char **w)
{
	struct page *page;
	unsigned long n;
	u64 phys;

	if (kstrtou64(w[1], 0, &phys) || (w[2] && kstrtoul(w[2], 0, &n)))
		return -EINVAL;
	if (w[2])
		page = kho_restore_pages(phys, n);
	else
		page = (struct page *)kho_restore_folio(phys);
	if (!page)
		return -ENODATA;
	say(r, "0x%llx\n", (u64)PFN_PHYS(page_to_pfn(page)));
	return 0;
}

static int do_page(struct reply *r, char **w)
{
	struct page *page;
	u64 phys;

	if (kstrtou64(w[1], 0, &phys))
		return -EINVAL;
	page = pfn_to_online_page(PHYS_PFN(phys));
	if (!page)
		return -EFAULT;
	say(r, "%d %d %s %s\n", page_count(page), page_to_nid(page),
	    PageReserved(page) ? "reserved" : "-", PageCompound(page) ? "compound" : "-");
	return 0;
}

/* what needs no object: arguments at their limits */
static int do_self(struct reply *r, char **w)
{
	struct kho_vmalloc vm;
	phys_addr_t phys;

	say(r, "enabled %d\n", kho_is_enabled());
	say(r, "boot %d\n", is_kho_boot());
	say(r, "retrieve_without_phys %d\n", kho_retrieve_subtree(LEDGER_NODE, NULL, NULL));
	say(r, "retrieve_without_size %d\n", kho_retrieve_subtree(LEDGER_NODE, &phys, NULL));
	say(r, "vmalloc_of_a_page %d\n",
	    kho_preserve_vmalloc(page_address(ZERO_PAGE(0)), &vm));
	say(r, "vmalloc_of_nothing %d\n", kho_preserve_vmalloc(NULL, &vm));
	say(r, "kexec %llu\n", in ? in->kexec : 0);
	say(r, "reboot %llu\n", in ? in->reboot : 0);
	say(r, "shutdown %llu\n", in ? in->shutdown : 0);
	/* nothing to free, and no error */
	kho_unpreserve_free(NULL);
	kho_restore_free(NULL);
	return 0;
}

/* a reply has room for them, and for what is said of them */
#define LOOP_SAMPLES	1000
#define HIST_LOG2	3
#define HIST_BUCKETS	((64 - HIST_LOG2) << HIST_LOG2)

/**
 * struct hist - what calls cost
 * @calls: how many
 * @total: nanoseconds of all
 * @min: of the shortest
 * @max: of the longest
 * @bucket: how many were that long, see bucket_of()
 */
struct hist {
	u64 calls, total, min, max;
	u32 bucket[HIST_BUCKETS];
};

/* exact up to seven, then eight to each doubling */
static unsigned int bucket_of(u64 ns)
{
	unsigned int shift;

	if (ns < 1 << HIST_LOG2)
		return ns;
	shift = fls64(ns) - 1 - HIST_LOG2;
	return (shift + 1) << HIST_LOG2 | (ns >> shift & ((1 << HIST_LOG2) - 1));
}

static u64 bucket_from(unsigned int bucket)
{
	unsigned int shift = bucket >> HIST_LOG2;

	if (!shift)
		return bucket;
	return (u64)(1 << HIST_LOG2 | (bucket & ((1 << HIST_LOG2) - 1))) << (shift - 1);
}

static void hist_add(struct hist *h, u64 ns)
{
	h->min = h->calls ? min(h->min, ns) : ns;
	h->max = max(h->max, ns);
	h->calls++;
	h->total += ns;
	h->bucket[bucket_of(ns)]++;
}

static void hist_merge(struct hist *h, const struct hist *from)
{
	if (!from->calls)
		return;
	h->min = h->calls ? min(h->min, from->min) : from->min;
	h->max = max(h->max, from->max);
	h->calls += from->calls;
	h->total += from->total;
	for (int i = 0; i < HIST_BUCKETS; i++)
		h->bucket[i] += from->bucket[i];
}

static void hist_say(struct reply *r, const char *op, const struct hist *h)
{
	if (!h->calls)
		return;
	say(r, "%s %llu %llu %llu %llu\n", op, h->calls, h->total, h->min, h->max);
	for (int i = 0; i < HIST_BUCKETS; i++)
		if (h->bucket[i])
			say(r, "bucket %s %llu %u\n", op, bucket_from(i), h->bucket[i]);
}

/**
 * struct racer - one CPU's part of a run
 * @run: what it does
 * @o: with which object
 * @first: of the pages of @o, the one it begins with
 * @step: and how many it goes on by
 * @times: how often
 * @subtree: the name to add @o as, or ""
 * @gate: of all: who has not come yet
 * @err: what went wrong
 * @there: what it did cost
 * @back: and its opposite
 * @sample: each call's cost, first all of @there, or NULL
 * @done: it has ended
 * @task: its own
 */
struct racer {
	int (*run)(struct racer *r);
	struct object *o;
	unsigned long first, step, times;
	char subtree[16];
	atomic_t *gate;
	int err;
	struct hist there, back;
	u64 *sample;
	struct completion done;
	struct task_struct *task;
};

static int race(void *arg)
{
	struct racer *r = arg;

	/* all at once */
	atomic_dec(r->gate);
	while (atomic_read(r->gate) > 0)
		cpu_relax();
	r->err = r->run(r);
	kthread_complete_and_exit(&r->done, 0);
}

/* each CPU with one racer; returns the first error */
static int race_all(struct racer *r, int nr)
{
	atomic_t gate = ATOMIC_INIT(nr);
	int cpu = -1, err = 0;

	/* one: here, where faults are injected and probes count */
	if (nr == 1)
		return r->run(r);
	for (int i = 0; i < nr; i++) {
		cpu = cpumask_next(cpu, cpu_online_mask);
		r[i].gate = &gate;
		init_completion(&r[i].done);
		r[i].task = kthread_create_on_node(race, &r[i], cpu_to_node(cpu),
						   "kho_race/%d", cpu);
		if (IS_ERR(r[i].task)) {
			err = PTR_ERR(r[i].task);
			while (i--)
				kthread_stop(r[i].task);
			return err;
		}
		kthread_bind(r[i].task, cpu);
	}
	for (int i = 0; i < nr; i++)
		wake_up_process(r[i].task);
	for (int i = 0; i < nr; i++) {
		wait_for_completion(&r[i].done);
		err = err ?: r[i].err;
	}
	return err;
}

static struct racer *racers_new(const char *word, int *nr)
{
	int err = 0;

	*nr = 1;
	if (word)
		err = kstrtoint(word, 0, nr);
	if (err || *nr < 1 || *nr > num_online_cpus())
		return ERR_PTR(-EINVAL);
	return kvcalloc(*nr, sizeof(struct racer), GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static int each_preserve(struct racer *r)
{
	int err = 0;

	/* nothing else in between: the more they are in each other's way the better */
	for (unsigned long i = r->first; i < r->o->n && !err; i += r->step)
		err = kho_preserve_pages(page_of(r->o, i), 1);
	return err;
}

static int each_unpreserve(struct racer *r)
{
	for (unsigned long i = r->first; i < r->o->n; i += r->step)
		kho_unpreserve_pages(page_of(r->o, i), 1);
	return 0;
}

static int do_each(struct reply *reply, struct object *o, char **w)
{
	bool add = !strcmp(w[2], "preserve");
	struct racer *r;
	int nr, err;

	if ((o->kind != PAGES && o->kind != AT) || (!add && strcmp(w[2], "unpreserve")))
		return -EINVAL;
	if (o->each == add)
		return -EALREADY;
	r = racers_new(w[3], &nr);
	if (IS_ERR(r))
		return PTR_ERR(r);
	for (int i = 0; i < nr; i++) {
		r[i].run = add ? each_preserve : each_unpreserve;
		r[i].o = o;
		r[i].first = i;
		r[i].step = nr;
	}
	err = race_all(r, nr);
	/* what was not added is no harm to take back */
	for (unsigned long i = 0; add && err && i < o->n; i++)
		kho_unpreserve_pages(page_of(o, i), 1);
	o->each = add && !err;
	kvfree(r);
	return err;
}

static int loop(struct racer *r)
{
	for (unsigned long i = 0; i < r->times; i++) {
		struct object *o = r->o;
		u64 t0 = now(), t1, t2;
		int err = 0;

		if (*r->subtree) {
			err = kho_add_subtree(r->subtree, o->mem, 1);
		} else if (o->kind == KHO) {
			o->mem = kho_alloc_preserve(o->n);
			err = PTR_ERR_OR_ZERO(o->mem);
		} else {
			err = preserve(o, NULL);
		}
		t1 = now();
		if (err)
			return err;
		if (*r->subtree)
			kho_remove_subtree(o->mem);
		else if (o->kind == KHO)
			kho_unpreserve_free(o->mem);
		else
			unpreserve(o);
		t2 = now();
		hist_add(&r->there, t1 - t0);
		hist_add(&r->back, t2 - t1);
		if (r->sample) {
			r->sample[i] = t1 - t0;
			r->sample[r->times + i] = t2 - t1;
		}
		cond_resched();
	}
	return 0;
}

static void racers_say(struct reply *reply, struct racer *r, int nr, const char *there,
		       const char *back)
{
	for (int i = 1; i < nr; i++) {
		hist_merge(&r->there, &r[i].there);
		hist_merge(&r->back, &r[i].back);
	}
	hist_say(reply, there, &r->there);
	hist_say(reply, back, &r->back);
	for (int which = 0; which < 2; which++) {
		if (r->sample)
			say(reply, "samples %s", which ? back : there);
		for (int i = 0; i < nr && r[i].sample; i++)
			for (unsigned long j = 0; j < r[i].times; j++)
				say(reply, " %llu", r[i].sample[which * r[i].times + j]);
		if (r->sample)
			say(reply, "\n");
	}
}

static int do_loop(struct reply *reply, char **w)
{
	bool subtree = !strcmp(w[3], "subtree");
	int kind, nr, nid, err;
	struct racer *r;
	unsigned long n, times;
	struct object *o;

	kind = match_string(kinds, NR_KINDS, w[1]);
	if (kind < 0 || kind == AT || kind == VMAP || kstrtoul(w[2], 0, &n) ||
	    (!subtree && strcmp(w[3], "preserve")) || kstrtoul(w[4], 0, &times) || !times)
		return -EINVAL;
	/* a subtree has memory of its own, and an address in the kernel's direct map */
	if (subtree ? kind != FOLIO || !kho_is_enabled() :
	    kind != KHO && kind != FOLIO && (!n || n > PAGES_MAX))
		return -EINVAL;
	err = which_node(w[5] ? w[6] : NULL, &nid);
	if (err)
		return err;
	r = racers_new(w[5], &nr);
	if (IS_ERR(r))
		return PTR_ERR(r);
	o = kvcalloc(nr, sizeof(*o), GFP_KERNEL);
	if (!o)
		err = -ENOMEM;
	for (int i = 0; i < nr && !err; i++) {
		o[i].kind = kind;
		o[i].n = n;
		r[i].o = &o[i];
		r[i].run = loop;
		r[i].times = times;
		if (subtree)
			snprintf(r[i].subtree, sizeof(r[i].subtree), "loop.%d", i);
		if (kind != KHO)
			err = allocate(&o[i], nid, 0);
		if (!err && nr * times <= LOOP_SAMPLES) {
			r[i].sample = kvcalloc(2 * times, sizeof(u64), GFP_KERNEL);
			err = r[i].sample ? 0 : -ENOMEM;
		}
	}
	if (!err)
		err = race_all(r, nr);
	racers_say(reply, r, nr, subtree ? "add" : "preserve", subtree ? "remove" : "unpreserve");
	for (int i = 0; i < nr && o && kind != KHO; i++)
		if (o[i].mem)
			release(&o[i]);
	for (int i = 0; i < nr; i++)
		kvfree(r[i].sample);
	kvfree(o);
	kvfree(r);
	return err;
}

/* from 7.3 on, trees of keys are for whoever wants one; see the Makefile */
#ifdef HAVE_RADIX_KEYS
static struct kho_radix_tree radix;

struct walk {
	struct reply *reply;
	unsigned long left;
};

static int walk_key(unsigned long key, void *data)
{
	struct walk *walk = data;

	say(walk->reply, "key 0x%lx\n", key);
	return --walk->left ? 0 : 7;
}

static int walk_node(phys_addr_t phys, void *data)
{
	struct walk *walk = data;

	say(walk->reply, "node 0x%llx\n", (u64)phys);
	return 0;
}

static void radix_destroy(void)
{
	kho_radix_destroy_tree(&radix);
}

static int do_radix(struct reply *r, char **w)
{
	const struct kho_radix_walk_cb cb = { .leaf = walk_key, .node = walk_node };
	struct walk walk = { .reply = r };
	unsigned long key = 0;
	int ret;

	if (w[2] && kstrtoul(w[2], 0, &key))
		return -EINVAL;
	if (!strcmp(w[1], "init"))
		return radix.root ? -EALREADY : kho_radix_init_tree(&radix, NULL);
	if (w[2] && !strcmp(w[1], "add"))
		return kho_radix_add_key(&radix, key);
	if (w[2] && !strcmp(w[1], "del")) {
		kho_radix_del_key(&radix, key);
		return 0;
	}
	if (!strcmp(w[1], "destroy")) {
		radix_destroy();
		return 0;
	}
	if (strcmp(w[1], "walk"))
		return -EINVAL;
	walk.left = key;
	ret = kho_radix_walk_tree(&radix, &cb, &walk);
	if (ret > 0)
		say(r, "stopped %d\n", ret);
	return min(ret, 0);
}
#else
static void radix_destroy(void)
{
}

static int do_radix(struct reply *r, char **w)
{
	return -EOPNOTSUPP;
}
#endif

/* words: with the command itself */
static const struct command {
	const char *name;
	int min, max;
	int (*any)(struct reply *r, char **w);
	int (*with)(struct reply *r, struct object *o, char **w);
} commands[] = {
	{ "new", 4, 5, .any = do_new },
	{ "get", 2, 2, .any = do_get },
	{ "list", 1, 1, .any = do_list },
	{ "restore", 2, 2, .any = do_restore },
	{ "restore_free", 2, 2, .any = do_restore_free },
	{ "probe", 2, 3, .any = do_probe },
	{ "page", 2, 2, .any = do_page },
	{ "self", 1, 1, .any = do_self },
	{ "loop", 5, 7, .any = do_loop },
	{ "radix", 2, 3, .any = do_radix },
	{ "each", 3, 4, .with = do_each },
	{ "put", 2, 2, .with = do_put },
	{ "kho_free", 2, 2, .with = do_kho_free },
	{ "fill", 3, 3, .with = do_fill },
	{ "check", 3, 3, .with = do_check },
	{ "zero", 2, 2, .with = do_zero },
	{ "preserve", 2, 3, .with = do_preserve },
	{ "unpreserve", 2, 2, .with = do_unpreserve },
	{ "part", 4, 4, .with = do_part },
	{ "unpart", 4, 4, .with = do_part },
	{ "where", 2, 2, .with = do_where },
	{ "add", 4, 4, .with = do_add },
	{ "remove", 2, 2, .with = do_remove },
};

static int run(struct reply *r, char *line)
{
	char *w[WORDS_MAX + 1] = { };
	struct object *o;
	char *p;
	int n = 0;

	line = strim(line);
	while ((p = strsep(&line, " "))) {
		if (n == WORDS_MAX)
			return -EINVAL;
		w[n++] = p;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, w[0]))
			continue;
		if (n < c->min || n > c->max)
			return -EINVAL;
		if (c->any)
			return c->any(r, w);
		o = find(w[1]);
		if (!o)
			return -ENOENT;
		/* not restored yet: there is nothing to work on */
		if (!o->mem)
			return -EAGAIN;
		return c->with(r, o, w);
	}
	return -EINVAL;
}

static int producer_open(struct inode *inode, struct file *f)
{
	struct reply *r = kvmalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return -ENOMEM;
	r->len = 0;
	f->private_data = r;
	return 0;
}

static int producer_release(struct inode *inode, struct file *f)
{
	kvfree(f->private_data);
	return 0;
}

static ssize_t producer_write(struct file *f, const char __user *buf, size_t len,
			      loff_t *pos)
{
	struct reply *r = f->private_data;
	char *line;
	int err;

	if (len > 256)
		return -EINVAL;
	line = memdup_user_nul(buf, len);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&lock);
	r->len = 0;
	err = run(r, line);
	mutex_unlock(&lock);
	kfree(line);
	*pos = 0;
	return err ?: len;
}

static ssize_t producer_read(struct file *f, char __user *buf, size_t len, loff_t *pos)
{
	struct reply *r = f->private_data;

	return simple_read_from_buffer(buf, len, pos, r->text, r->len);
}

static const struct file_operations producer_fops = {
	.owner = THIS_MODULE,
	.open = producer_open,
	.release = producer_release,
	.read = producer_read,
	.write = producer_write,
	.llseek = default_llseek,
};

static void drop_all(void)
{
	struct object *o, *next;

	list_for_each_entry_safe(o, next, &objects, list)
		drop(o);
}

/* what comes from another kernel is looked at before it is believed */
static int read_ledger(void)
{
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(LEDGER_NODE, &phys, &size))
		return 0;
	if (size != LEDGER_BYTES)
		return -EPROTO;
	in = phys_to_virt(phys);
	if (in->magic != LEDGER_MAGIC || in->nr > RECORDS_MAX)
		return -EPROTO;
	for (u64 i = 0; i < in->nr; i++) {
		struct record *rec = &in->record[i];
		struct object *o;

		if (rec->taken)
			continue;
		if (rec->kind >= NR_KINDS || !memchr(rec->name, 0, NAME_MAX_LEN))
			return -EPROTO;
		o = new_object(rec->name);
		if (!o)
			return -ENOMEM;
		o->kind = rec->kind;
		o->n = rec->n;
		o->record = rec;
	}
	return 0;
}

/* what the next kernel cannot know: when this one ended */
#ifdef CONFIG_KPROBES
static int calls_kexec(struct kprobe *p, struct pt_regs *regs)
{
	if (out)
		out->kexec = get_cycles();
	return 0;
}

static struct kprobe kexec_probe = {
	.symbol_name = "kernel_kexec",
	.pre_handler = calls_kexec,
};

static bool kexec_is_probed;

static void probe_kexec(void)
{
	kexec_is_probed = !register_kprobe(&kexec_probe);
}

static void unprobe_kexec(void)
{
	if (kexec_is_probed)
		unregister_kprobe(&kexec_probe);
}
#else
static void probe_kexec(void) { }
static void unprobe_kexec(void) { }
#endif

static int reboots(struct notifier_block *nb, unsigned long action, void *data)
{
	if (out)
		out->reboot = get_cycles();
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = { .notifier_call = reboots };

static void is_shut_down(void *data)
{
	if (out)
		out->shutdown = get_cycles();
}

static const struct syscore_ops syscore_ops = { .shutdown = is_shut_down };
static struct syscore syscore = { .ops = &syscore_ops };

static int __init producer_init(void)
{
	int err;

	err = read_ledger();
	if (err)
		goto err_objects;
	if (kho_is_enabled()) {
		out = kho_alloc_preserve(LEDGER_BYTES);
		if (IS_ERR(out)) {
			err = PTR_ERR(out);
			out = NULL;
			goto err_objects;
		}
		out->magic = LEDGER_MAGIC;
		err = kho_add_subtree(LEDGER_NODE, out, LEDGER_BYTES);
		if (err)
			goto err_ledger;
	}
	err = register_reboot_notifier(&reboot_notifier);
	if (err)
		goto err_subtree;
	file = debugfs_create_file("kho_producer", 0600, NULL, NULL, &producer_fops);
	if (!IS_ERR(file)) {
		register_syscore(&syscore);
		probe_kexec();
		return 0;
	}
	err = PTR_ERR(file);
	unregister_reboot_notifier(&reboot_notifier);
err_subtree:
	if (out)
		kho_remove_subtree(out);
err_ledger:
	kho_unpreserve_free(out);
err_objects:
	drop_all();
	return err;
}

static void __exit producer_exit(void)
{
	debugfs_remove(file);
	unprobe_kexec();
	unregister_syscore(&syscore);
	unregister_reboot_notifier(&reboot_notifier);
	drop_all();
	radix_destroy();
	if (out)
		kho_remove_subtree(out);
	kho_unpreserve_free(out);
}

module_init(producer_init);
module_exit(producer_exit);
MODULE_DESCRIPTION("Producer and consumer of Kexec HandOver for tests");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
