// SPDX-License-Identifier: GPL-2.0-only
/*
 * fdt_check.c - are KHO's blobs what the ABI headers say?
 *
 * The rules are those of include/linux/kho/abi/ in the kernel's source:
 * kexec_handover.h, memblock.h, kexec_metadata.h and luo.h.  Numbers in
 * properties are in the CPU's byte order, unlike in any other device tree.
 */
#include <string.h>
#include <unistd.h>
#include <libfdt.h>

#include "fdt_check.h"

/* long enough for any valid name, short enough for a line */
#define SHOWN_MAX	64

/* a name as it can be printed */
static const char *shown(const char *name, char *buf)
{
	int n = 0;

	for (; *name && n < SHOWN_MAX - 8; name++) {
		unsigned char c = *name;

		if (c > ' ' && c <= '~' && c != '\\')
			buf[n++] = c;
		else
			n += snprintf(buf + n, 5, "\\x%02x", c);
	}
	snprintf(buf + n, 4, "%s", *name ? "..." : "");
	return buf;
}

static u64 native64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* libfdt is content with a structure that ends before its length says */
static bool ends(const void *fdt)
{
	u32 at = fdt_off_dt_struct(fdt), size = fdt_size_dt_struct(fdt);
	fdt32_t tag;

	if (size < sizeof(tag) || size % sizeof(tag))
		return false;
	/* that it is within the blob is what fdt_check_full() has seen */
	memcpy(&tag, (const char *)fdt + at + size - sizeof(tag), sizeof(tag));
	return fdt32_to_cpu(tag) == FDT_END;
}

/* what libfdt can know: header, structure, strings, and the file's length */
static bool whole(const void *blob, size_t len, struct kho_problems *p)
{
	int err;

	if (len < sizeof(struct fdt_header)) {
		kho_wrong(p, "%zu bytes are no device tree: shorter than its header", len);
		return false;
	}
	if (fdt_magic(blob) != FDT_MAGIC) {
		kho_wrong(p, "no device tree: magic number 0x%08x", fdt_magic(blob));
		return false;
	}
	if (fdt_totalsize(blob) != len)
		kho_wrong(p, "cut off or padded: %zu bytes of a tree of %u", len,
			  fdt_totalsize(blob));
	err = fdt_check_full(blob, len);
	if (err) {
		kho_wrong(p, "not a valid device tree: %s", fdt_strerror(err));
		return false;
	}
	if (fdt_off_mem_rsvmap(blob) % 8 || fdt_off_dt_struct(blob) % 4)
		kho_wrong(p, "blocks are not aligned: reservations at %u, structure at %u",
			  fdt_off_mem_rsvmap(blob), fdt_off_dt_struct(blob));
	if (!ends(blob))
		kho_wrong(p, "no end where the structure's %u bytes end",
			  fdt_size_dt_struct(blob));
	if (fdt_version(blob) != 17)
		kho_wrong(p, "version %u, not 17", fdt_version(blob));
	if (fdt_num_mem_rsv(blob))
		kho_wrong(p, "%d memory reservations, not 0", fdt_num_mem_rsv(blob));
	return true;
}

/*
 * The layouts, each described once.  Kernels of older versions are no more to be
 * had from Debian; what they hand over is as their own documents said:
 * Documentation/core-api/kho/bindings/ (kho-v1), abi/kexec_handover.h (from
 * kho-v2 on), abi/luo.h, lib/test_kho.c.
 */

enum prop_type {
	STRING,		/* exactly one string, the one that is given */
	U32,
	U64,
	NONZERO,	/* u64 that is not 0 */
	PAGE,		/* u64, address of a page */
	VMALLOC,	/* struct kho_vmalloc */
};

static const size_t prop_len[] = {
	[U32] = 4, [U64] = 8, [NONZERO] = 8, [PAGE] = 8, [VMALLOC] = 16,
};

#define PROPS_MAX	4

/**
 * struct node_rule - what a node must look like
 * @name: its name; NULL for any
 * @child: the rule for its subnodes; with a name there is exactly one of each
 *	rule in this list, which ends with an empty one
 * @prop: its properties, all of them required, and no other allowed
 */
struct node_rule {
	const char *name;
	const struct node_rule *child;
	struct {
		const char *name;
		enum prop_type type;
		const char *value;
	} prop[PROPS_MAX];
};

#define SUBNODE_OF_V1	{ "fdt", PAGE, NULL }
#define PRESERVED_DATA	{ "preserved-data", NONZERO, NULL }
#define BLOB_SIZE	{ "blob-size", NONZERO, NULL }
#define MEMORY_MAP	{ "preserved-memory-map", PAGE, NULL }
#define COMPATIBLE(v)	{ "compatible", STRING, v }

static const struct node_rule subnode_v1[] = { { .prop = { SUBNODE_OF_V1 } } };
static const struct node_rule subnode_v2[] = { { .prop = { PRESERVED_DATA } } };
static const struct node_rule subnode_v3[] = {
	{ .prop = { PRESERVED_DATA, BLOB_SIZE } }
};

static const struct node_rule reservation[] = {
	{ .prop = { COMPATIBLE("reserve-mem-v1"), { "start", NONZERO, NULL },
		    { "size", NONZERO, NULL } } },
};

static const struct node_rule test_data[] = {
	{ .name = "data", .prop = { { "nr_folios", U32, NULL },
				    { "folios_info", VMALLOC, NULL },
				    { "csum", U32, NULL } } },
	{ }
};

static const struct node_rule luo_v1[] = {
	{ .name = "luo-session",
	  .prop = { COMPATIBLE("luo-session-v1"), { "luo-session-header", PAGE, NULL } } },
	{ .name = "luo-flb",
	  .prop = { COMPATIBLE("luo-flb-v1"), { "luo-flb-header", PAGE, NULL } } },
	{ }
};

/**
 * struct schema - a kind of tree
 * @compatible: by which it is known
 * @what: for a person
 * @one_page: it must fit in a page
 * @root: its root
 */
static const struct schema {
	const char *compatible;
	const char *what;
	bool one_page;
	struct node_rule root;
} schemas[] = {
	{ "kho-v1", "root tree", true,
	  { .child = subnode_v1, .prop = { COMPATIBLE("kho-v1"), MEMORY_MAP } } },
	{ "kho-v2", "root tree", true,
	  { .child = subnode_v2, .prop = { COMPATIBLE("kho-v2"), MEMORY_MAP } } },
	{ "kho-v3", "root tree", true,
	  { .child = subnode_v3, .prop = { COMPATIBLE("kho-v3"), MEMORY_MAP } } },
	{ "kho-v4", "root tree", true,
	  { .child = subnode_v3, .prop = { COMPATIBLE("kho-v4"), MEMORY_MAP } } },
	{ "memblock-v1", "reservations", false,
	  { .child = reservation, .prop = { COMPATIBLE("memblock-v1") } } },
	{ "kho-test-v1", "the kernel's own test", false,
	  { .child = test_data, .prop = { COMPATIBLE("kho-test-v1"),
					  { "magic", U32, NULL } } } },
	{ "luo-v1", "live update", true,
	  { .child = luo_v1, .prop = { COMPATIBLE("luo-v1"),
				       { "liveupdate-number", NONZERO, NULL } } } },
	{ "luo-v2", "live update", true,
	  { .prop = { COMPATIBLE("luo-v2"), { "luo-abi-header", NONZERO, NULL } } } },
};

/* the path of a node, or of its child, as it can be printed */
#define PATH_MAX_SHOWN	(2 * SHOWN_MAX)

static void check_string(const char *val, int len, const char *path, const char *prop,
			 const char *want, struct kho_problems *p)
{
	char buf[SHOWN_MAX];

	if (len < 1 || val[len - 1] || strlen(val) + 1 != (size_t)len)
		kho_wrong(p, "%s: %s is not one string: %d bytes", path, prop, len);
	else if (strcmp(val, want))
		kho_wrong(p, "%s: %s is %s, not %s", path, prop, shown(val, buf), want);
}

static void check_props(const void *fdt, int node, const char *path,
			const struct node_rule *rule, struct kho_problems *p)
{
	unsigned int seen = 0;
	char buf[SHOWN_MAX];
	int prop, len;

	fdt_for_each_property_offset(prop, fdt, node) {
		const char *name = NULL;
		const void *val = fdt_getprop_by_offset(fdt, prop, &name, &len);
		int i = 0;
		u64 v;

		if (!val || !name) {
			kho_wrong(p, "%s: a property cannot be read", path);
			continue;
		}
		while (i < PROPS_MAX && rule->prop[i].name &&
		       strcmp(rule->prop[i].name, name))
			i++;
		if (i == PROPS_MAX || !rule->prop[i].name) {
			kho_wrong(p, "%s: unknown property %s", path, shown(name, buf));
			continue;
		}
		if (seen & 1u << i) {
			kho_wrong(p, "%s: property %s twice", path, name);
			continue;
		}
		seen |= 1u << i;
		if (rule->prop[i].type == STRING) {
			check_string(val, len, path, name, rule->prop[i].value, p);
			continue;
		}
		if ((size_t)len != prop_len[rule->prop[i].type]) {
			kho_wrong(p, "%s: %s has %d bytes, not %zu", path, name, len,
				  prop_len[rule->prop[i].type]);
			continue;
		}
		if (len != sizeof(v))
			continue;
		v = native64(val);
		if (rule->prop[i].type == NONZERO && !v)
			kho_wrong(p, "%s: %s is 0", path, name);
		if (rule->prop[i].type == PAGE && (!v || v % sysconf(_SC_PAGESIZE)))
			kho_wrong(p, "%s: %s 0x%llx is not the address of a page", path,
				  name, v);
	}
	for (int i = 0; i < PROPS_MAX && rule->prop[i].name; i++)
		if (!(seen & 1u << i))
			kho_wrong(p, "%s: no %s", path, rule->prop[i].name);
}

static void check_name(const char *name, int len, const char *path,
		       struct kho_problems *p)
{
	if (!len)
		kho_wrong(p, "a subnode without a name");
	if (len >= KHO_NAME_MAX)
		kho_wrong(p, "%s: name of %d bytes", path, len);
	for (int i = 0; i < len; i++) {
		if (name[i] > ' ' && name[i] <= '~' && name[i] != '/')
			continue;
		kho_wrong(p, "%s: name has a byte 0x%02x", path, (unsigned char)name[i]);
		break;
	}
}

static const struct node_rule *child_rule(const struct node_rule *rule, const char *name)
{
	const struct node_rule *c = rule->child;

	if (!c || !c->name)
		return c;
	while (c->name && strcmp(c->name, name))
		c++;
	return c->name ? c : NULL;
}

static void check_node(const void *fdt, int node, const char *path,
		       const struct node_rule *rule, struct kho_problems *p)
{
	char sub_path[PATH_MAX_SHOWN], buf[SHOWN_MAX];
	const struct node_rule *c;
	int sub, other, len, nr = 0;

	check_props(fdt, node, path, rule, p);
	fdt_for_each_subnode(sub, fdt, node) {
		const char *name = fdt_get_name(fdt, sub, &len), *again;

		if (!name) {
			kho_wrong(p, "%s: a node's name cannot be read: %s", path,
				  fdt_strerror(len));
			continue;
		}
		/* each is compared with all before it: a hostile tree has no end */
		if (++nr > KHO_SUBNODES_MAX) {
			kho_wrong(p, "%s: more than %d subnodes", path, KHO_SUBNODES_MAX);
			break;
		}
		snprintf(sub_path, sizeof(sub_path), "%s%s%s",
			 strcmp(path, "/") ? path : "", "/", shown(name, buf));
		check_name(name, len, sub_path, p);
		fdt_for_each_subnode(other, fdt, node) {
			if (other >= sub)
				break;
			again = fdt_get_name(fdt, other, NULL);
			if (again && !strcmp(again, name))
				kho_wrong(p, "%s: twice", sub_path);
		}
		c = child_rule(rule, name);
		if (!rule->child)
			kho_wrong(p, "%s: has a subnode", path);
		else if (!c)
			kho_wrong(p, "%s: unknown node", sub_path);
		else
			check_node(fdt, sub, sub_path, c, p);
	}
	for (c = rule->child; c && c->name; c++)
		if (fdt_subnode_offset(fdt, node, c->name) < 0)
			kho_wrong(p, "%s: no node %s", path, c->name);
}

/* the schema of a compatible string; NULL if none has it */
static const struct schema *schema_of(const char *compatible)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		if (!strcmp(schemas[i].compatible, compatible))
			return &schemas[i];
	return NULL;
}

/* header, structure and rules of a tree; false: it cannot be decoded */
static bool check_tree(const void *blob, size_t len, const struct schema *schema,
		       struct kho_problems *p)
{
	const char *name;
	int name_len;

	if (!whole(blob, len, p))
		return false;
	if (schema->one_page && len > (size_t)sysconf(_SC_PAGESIZE))
		kho_wrong(p, "%zu bytes do not fit in one page", len);
	name = fdt_get_name(blob, 0, &name_len);
	if (!name || name_len)
		kho_wrong(p, "/: the root has a name");
	check_node(blob, 0, "/", &schema->root, p);
	return true;
}

/* a value that was found in order; 0 for one that was not */
static u64 get64(const void *fdt, int node, const char *prop)
{
	int len;
	const void *val = fdt_getprop(fdt, node, prop, &len);

	return val && len == sizeof(u64) ? native64(val) : 0;
}

/* false: it is too long to be kept, which is told already */
static bool keep_name(const void *fdt, int node, char *copy)
{
	int len;
	const char *name = fdt_get_name(fdt, node, &len);

	if (!name || len >= KHO_NAME_MAX)
		return false;
	memcpy(copy, name, len + 1);
	return true;
}

/**
 * kho_check_root() - check and decode the root tree
 * @blob: out/fdt or in/fdt; not trusted
 * @len: bytes
 * @compatible: the version that it must be of, kho-v1 to kho-v4
 * @root: what it says, as far as it is in order
 * @p: what is wrong is added to this
 */
void kho_check_root(const void *blob, size_t len, const char *compatible,
		    struct kho_root *root, struct kho_problems *p)
{
	const struct schema *schema = schema_of(compatible);
	int node;

	memset(root, 0, sizeof(*root));
	if (!schema) {
		kho_wrong(p, "%.32s is no version that is known", compatible);
		return;
	}
	if (!check_tree(blob, len, schema, p))
		return;
	root->map = get64(blob, 0, "preserved-memory-map");
	fdt_for_each_subnode(node, blob, 0) {
		struct kho_subnode *s = &root->sub[root->nr];

		if (root->nr == KHO_SUBNODES_MAX) {
			kho_wrong(p, "more than %d subnodes", KHO_SUBNODES_MAX);
			return;
		}
		if (!keep_name(blob, node, s->name))
			continue;
		/* kho-v1 had another name for it, and no size */
		s->data = get64(blob, node, schema->root.child == subnode_v1 ? "fdt" :
				"preserved-data");
		s->size = get64(blob, node, "blob-size");
		root->nr++;
	}
}

/**
 * kho_check_tree() - check a tree of a kind
 * @blob: the tree; not trusted
 * @len: bytes
 * @compatible: by which the kind is known
 * @p: what is wrong is added to this
 */
void kho_check_tree(const void *blob, size_t len, const char *compatible,
		    struct kho_problems *p)
{
	const struct schema *schema = schema_of(compatible);

	if (schema)
		check_tree(blob, len, schema, p);
	else
		kho_wrong(p, "%.32s is no kind of tree that is known", compatible);
}

/**
 * kho_check_memblock() - check and decode the memblock tree
 * @blob: sub_fdts/memblock; not trusted
 * @len: bytes
 * @r: the reservations, as far as they are in order
 * @p: what is wrong is added to this
 */
void kho_check_memblock(const void *blob, size_t len,
			struct kho_reservations *r, struct kho_problems *p)
{
	char buf[SHOWN_MAX];
	int node;

	memset(r, 0, sizeof(*r));
	if (!check_tree(blob, len, schema_of("memblock-v1"), p))
		return;
	fdt_for_each_subnode(node, blob, 0) {
		struct kho_region *range = &r->range[r->nr];

		if (r->nr == KHO_RESERVATIONS_MAX) {
			kho_wrong(p, "more than %d reservations", KHO_RESERVATIONS_MAX);
			return;
		}
		if (!keep_name(blob, node, r->name[r->nr]))
			continue;
		range->addr = get64(blob, node, "start");
		range->size = get64(blob, node, "size");
		if (range->addr + range->size < range->addr)
			kho_wrong(p, "/%s: no range: start 0x%llx, size 0x%llx",
				  shown(r->name[r->nr], buf), range->addr, range->size);
		r->nr++;
	}
}

/**
 * kho_check_metadata() - check and decode kexec-metadata
 * @blob: sub_fdts/kexec-metadata; not trusted
 * @len: bytes
 * @m: what it says
 * @p: what is wrong is added to this
 */
void kho_check_metadata(const void *blob, size_t len, struct kho_metadata *m,
			struct kho_problems *p)
{
	/* packed: nothing between the 65 bytes and the count */
	enum { VERSION = 0, RELEASE = 4, RELEASE_LEN = 65, COUNT = 69, SIZE = 73 };
	const char *b = blob;

	memset(m, 0, sizeof(*m));
	if (len != SIZE) {
		kho_wrong(p, "%zu bytes, not %d", len, SIZE);
		return;
	}
	memcpy(&m->version, b + VERSION, sizeof(m->version));
	memcpy(&m->count, b + COUNT, sizeof(m->count));
	memcpy(m->release, b + RELEASE, RELEASE_LEN);
	if (m->version != 1)
		kho_wrong(p, "version %u, not 1", m->version);
	if (!memchr(b + RELEASE, '\0', RELEASE_LEN))
		kho_wrong(p, "previous_release is not ended");
	if (!*m->release)
		kho_wrong(p, "previous_release is empty");
	for (const char *c = m->release; *c; c++) {
		if (*c > ' ' && *c <= '~')
			continue;
		kho_wrong(p, "previous_release has a byte 0x%02x", (unsigned char)*c);
		break;
	}
	if (!m->count)
		kho_wrong(p, "kexec_count is 0");
}

/* the versions of live update's state that are this structure */
static const char * const luo_versions[] = { "luo-v3", "luo-v4", KHO_LUO_COMPATIBLE };

/**
 * kho_check_luo() - check the live update orchestrator's blob
 * @blob: sub_fdts/LUO; not trusted
 * @len: bytes
 * @compatible: the version that it must be of; NULL for any
 * @p: what is wrong is added to this
 */
void kho_check_luo(const void *blob, size_t len, const char *compatible,
		   struct kho_problems *p)
{
	const char *b = blob;
	char buf[SHOWN_MAX];
	bool known = false;
	char name[9] = "";

	if (len != 32) {
		kho_wrong(p, "%zu bytes, not 32", len);
		return;
	}
	memcpy(name, b, 8);
	for (size_t i = 0; i < ARRAY_SIZE(luo_versions); i++)
		known |= !strcmp(luo_versions[i], name) &&
			 (!compatible || !strcmp(name, compatible));
	if (!known)
		kho_wrong(p, "compatible is %s, not %s", shown(name, buf),
			  compatible ? compatible : "luo-v3, luo-v4 or luo-v5");
	if (!native64(b + 8))
		kho_wrong(p, "liveupdate_num is 0");
	if (native64(b + 16) % sysconf(_SC_PAGESIZE) ||
	    native64(b + 24) % sysconf(_SC_PAGESIZE))
		kho_wrong(p, "sessions_pa 0x%llx or flbs_pa 0x%llx is not the address of a page",
			  native64(b + 16), native64(b + 24));
}

/* values of a tree, a line each */
static void print_node(const void *fdt, int node, int depth, FILE *out)
{
	char buf[SHOWN_MAX];
	int prop, sub, len;

	fdt_for_each_property_offset(prop, fdt, node) {
		const char *name = "?";
		const unsigned char *val = fdt_getprop_by_offset(fdt, prop, &name, &len);
		u32 v32;

		fprintf(out, "%*s%s", 4 * depth, "", val ? shown(name, buf) : "?");
		if (val && len == 8) {
			fprintf(out, " = 0x%llx (%llu)", native64(val), native64(val));
		} else if (val && len > 1 && !val[len - 1] &&
			   strlen((const char *)val) + 1 == (size_t)len) {
			fprintf(out, " = \"%s\"", shown((const char *)val, buf));
		} else if (val && len == 4) {
			memcpy(&v32, val, sizeof(v32));
			fprintf(out, " = 0x%x (%u)", v32, v32);
		} else if (val) {
			fputs(" =", out);
			for (int i = 0; i < len && i < 32; i++)
				fprintf(out, " %02x", val[i]);
			if (len > 32)
				fprintf(out, " ... (%d bytes)", len);
		}
		fputc('\n', out);
	}
	fdt_for_each_subnode(sub, fdt, node) {
		const char *name = fdt_get_name(fdt, sub, NULL);

		fprintf(out, "%*s%s {\n", 4 * depth, "", name ? shown(name, buf) : "?");
		/* no kind of tree is deeper, and a hostile one is cut */
		if (depth < 4)
			print_node(fdt, sub, depth + 1, out);
		fprintf(out, "%*s}\n", 4 * depth, "");
	}
}

static void print_tree(const void *blob, size_t len, FILE *out, struct kho_problems *p)
{
	const char *val = NULL;
	const struct schema *s;
	char buf[SHOWN_MAX];
	int n = 0;

	if (!whole(blob, len, p))
		return;
	val = fdt_getprop(blob, 0, "compatible", &n);
	if (!val || n < 1 || val[n - 1]) {
		kho_wrong(p, "/: no compatible by which the tree could be known");
		fprintf(out, "a device tree of %zu bytes\n", len);
	} else {
		s = schema_of(val);
		fprintf(out, "%s: %s, %zu bytes\n", shown(val, buf),
			s ? s->what : "a device tree", len);
		if (s)
			check_tree(blob, len, s, p);
		else
			kho_wrong(p, "%s: no kind of tree that is known", buf);
	}
	print_node(blob, 0, 1, out);
}

/**
 * kho_blob_print() - print a blob for a person, whichever it is
 * @blob: a file of debugfs, or a copy of one; not trusted
 * @len: bytes
 * @out: where to; all that is printed is printable
 * @p: what is wrong is added to this
 */
void kho_blob_print(const void *blob, size_t len, FILE *out, struct kho_problems *p)
{
	const char *b = blob;
	struct kho_metadata m;
	char buf[SHOWN_MAX];
	u32 version = 0;

	if (len >= sizeof(struct fdt_header) && fdt_magic(blob) == FDT_MAGIC) {
		print_tree(blob, len, out, p);
		return;
	}
	if (len >= sizeof(version))
		memcpy(&version, blob, sizeof(version));
	if (len >= 8 && !memcmp(blob, "luo-v", 5)) {
		fprintf(out, "live update, %zu bytes\n", len);
		kho_check_luo(blob, len, NULL, p);
		if (len < 32)
			return;
		fprintf(out, "    liveupdate_num = %llu\n", native64(b + 8));
		fprintf(out, "    sessions_pa = 0x%llx\n", native64(b + 16));
		fprintf(out, "    flbs_pa = 0x%llx\n", native64(b + 24));
		return;
	}
	/* metadata has no name: its length and small version must do */
	if (len == 73 || (len >= 8 && len < 256 && version && version < 256)) {
		fprintf(out, "kexec-metadata, %zu bytes\n", len);
		kho_check_metadata(blob, len, &m, p);
		fprintf(out, "    version = %u\n", version);
		if (len != 73)
			return;
		fprintf(out, "    previous_release = \"%s\"\n", shown(m.release, buf));
		fprintf(out, "    kexec_count = %u\n", m.count);
		return;
	}
	kho_wrong(p, "no device tree, no kexec-metadata and no live update state: %zu bytes",
		  len);
}
