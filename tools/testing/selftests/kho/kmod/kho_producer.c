// SPDX-License-Identifier: GPL-2.0-only
/*
 * kho_producer.c - a producer and consumer of KHO under the tests' control
 *
 * Its interface is one file of debugfs, kho_producer: where KHO is tested there
 * is debugfs, a person can use it from a shell, and no structures are shared with
 * programs.  A write is one command, and fails with the errno of what the
 * command did; a read of the same open file gives the command's reply.
 *
 *	new NAME KIND N [NODE]	allocate an object; KIND is one of
 *				    folio    one folio of order N
 *				    pages    N contiguous pages
 *				    kho      N bytes of kho_alloc_preserve()
 *				    vmalloc  N pages of vmalloc()
 *				    huge     N pages of vmalloc_huge()
 *				    vmap     N pages, mapped by vmap()
 *	put NAME		free it; EBUSY while it is preserved
 *	fill NAME SEED		write a pattern that depends on place and seed
 *	check NAME SEED		EIO if that is not what is there; reply: where
 *	zero NAME		EIO if it is not all zeroes; reply: where
 *	preserve NAME		hand it to KHO
 *	unpreserve NAME		take it back
 *	part NAME FIRST N	kho_preserve_pages() of some pages of an object
 *	unpart NAME FIRST N	the opposite
 *	where NAME		reply: "PHYS PAGES NODE", a line for each piece, and
 *				"chunk PHYS" for each page that describes vmalloc memory
 *	add NAME NODE SIZE	kho_add_subtree() of the object as NODE
 *	remove NAME		kho_remove_subtree() of it
 *	get NODE		kho_retrieve_subtree(); reply: "PHYS SIZE"
 *	list			reply: "NAME KIND N STATE", a line for each object
 *	restore NAME		restore what the kernel before preserved; it is then
 *				an object as any other.  EALREADY for a second time,
 *				ENODATA if KHO gave nothing, EILSEQ if order or
 *				references are not what they were
 *	probe PHYS		kho_restore_folio() of a place that was never preserved:
 *				ENODATA if KHO gave nothing, as it should
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
#include <linux/kho/abi/kexec_handover.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#define LEDGER_NODE	"kho_producer"
#define LEDGER_MAGIC	0x324745444c4f484bULL
#define LEDGER_BYTES	16384
#define NAME_MAX_LEN	32
#define PARTS_MAX	8
#define WORDS_MAX	5
#define REPLY_MAX	65536
#define PAGES_MAX	(SZ_1G >> PAGE_SHIFT)

enum kind { FOLIO, PAGES, KHO, VMALLOC, HUGE, VMAP, NR_KINDS };

static const char * const kinds[NR_KINDS] = {
	"folio", "pages", "kho", "vmalloc", "huge", "vmap",
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

struct ledger {
	u64 magic;
	u64 nr;
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
 * @subtree: it is in the root tree
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
	bool subtree;
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
static int allocate(struct object *o, int nid)
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

	switch (o->kind) {
	case FOLIO:
	case KHO:
		folio_put(virt_to_folio(o->mem));
		break;
	case PAGES:
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

static int preserve(struct object *o)
{
	switch (o->kind) {
	case FOLIO:
	case KHO:
		return kho_preserve_folio(virt_to_folio(o->mem));
	case PAGES:
		return kho_preserve_pages(virt_to_page(o->mem), o->n);
	default:
		return kho_preserve_vmalloc(o->mem, &o->vm);
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
		kho_unpreserve_pages(virt_to_page(o->mem), o->n);
		break;
	default:
		kho_unpreserve_vmalloc(&o->vm);
		memset(&o->vm, 0, sizeof(o->vm));
	}
	o->preserved = false;
}

/* one reference each, and none of them a part of something */
static bool are_single(const struct object *o)
{
	for (unsigned long i = 0; i < o->n; i++)
		if (page_count(page_of(o, i)) != 1 || PageCompound(page_of(o, i)))
			return false;
	return true;
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
		good = folio && folio_ref_count(folio) == 1 &&
		       folio_nr_pages(folio) == pages_of(o);
		break;
	case PAGES:
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
		if (o->subtree)
			kho_remove_subtree(o->mem);
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

static int do_new(struct reply *r, char **w)
{
	int nid = NUMA_NO_NODE, err;
	struct object *o;
	unsigned long n;
	int kind;

	kind = match_string(kinds, NR_KINDS, w[2]);
	if (kind < 0 || strlen(w[1]) >= NAME_MAX_LEN)
		return -EINVAL;
	if (kstrtoul(w[3], 0, &n) || (w[4] && kstrtoint(w[4], 0, &nid)))
		return -EINVAL;
	/* what kho_alloc_preserve() takes is for it to say */
	if (kind != KHO && kind != FOLIO && (!n || n > PAGES_MAX))
		return -EINVAL;
	if (w[4] && (nid < 0 || nid >= MAX_NUMNODES || !node_state(nid, N_MEMORY)))
		return -ENODEV;
	if (find(w[1]))
		return -EEXIST;
	if (kind == KHO && nr_preserved() == RECORDS_MAX)
		return -ENOSPC;
	o = new_object(w[1]);
	if (!o)
		return -ENOMEM;
	o->kind = kind;
	o->n = n;
	err = allocate(o, nid);
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

	if (o->preserved)
		return -EALREADY;
	if (nr_preserved() == RECORDS_MAX)
		return -ENOSPC;
	err = preserve(o);
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
	if (o->preserved || o->subtree || has_parts(o))
		return -EBUSY;
	release(o);
	forget(o);
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

static int do_where(struct reply *r, struct object *o, char **w)
{
	unsigned long step = is_virtual(o) ? 1UL << o->vm.order : pages_of(o);
	struct kho_vmalloc_chunk *c;

	for (unsigned long i = 0; i < pages_of(o); i += step) {
		struct page *page = page_of(o, i);

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
	if (o->subtree)
		return -EALREADY;
	err = kho_add_subtree(w[2], o->mem, size);
	o->subtree = !err;
	return err;
}

static int do_remove(struct reply *r, struct object *o, char **w)
{
	if (!o->subtree)
		return -EALREADY;
	kho_remove_subtree(o->mem);
	o->subtree = false;
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
	int err;

	if (!o)
		return -ENOENT;
	if (!o->record)
		return -EALREADY;
	err = restore(o);
	if (!o->mem)
		forget(o);
	return err;
}

static int do_probe(struct reply *r, char **w)
{
	struct folio *folio;
	u64 phys;

	if (kstrtou64(w[1], 0, &phys))
		return -EINVAL;
	folio = kho_restore_folio(phys);
	if (!folio)
		return -ENODATA;
	say(r, "0x%llx\n", (u64)PFN_PHYS(folio_pfn(folio)));
	return 0;
}

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
	{ "probe", 2, 2, .any = do_probe },
	{ "put", 2, 2, .with = do_put },
	{ "fill", 3, 3, .with = do_fill },
	{ "check", 3, 3, .with = do_check },
	{ "zero", 2, 2, .with = do_zero },
	{ "preserve", 2, 2, .with = do_preserve },
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

static int __init producer_init(void)
{
	int err;

	if (!kho_is_enabled())
		return -EOPNOTSUPP;
	err = read_ledger();
	if (err)
		goto err_objects;
	out = kho_alloc_preserve(LEDGER_BYTES);
	if (IS_ERR(out)) {
		err = PTR_ERR(out);
		goto err_objects;
	}
	out->magic = LEDGER_MAGIC;
	err = kho_add_subtree(LEDGER_NODE, out, LEDGER_BYTES);
	if (err)
		goto err_ledger;
	file = debugfs_create_file("kho_producer", 0600, NULL, NULL, &producer_fops);
	if (!IS_ERR(file))
		return 0;
	err = PTR_ERR(file);
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
	drop_all();
	kho_remove_subtree(out);
	kho_unpreserve_free(out);
}

module_init(producer_init);
module_exit(producer_exit);
MODULE_DESCRIPTION("Producer and consumer of Kexec HandOver for tests");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
