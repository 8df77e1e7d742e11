// SPDX-License-Identifier: GPL-2.0-only
/*
 * fdt_check.c - are KHO's blobs what the ABI headers say?
 *
 * The rules are those of include/linux/kho/abi/ in the kernel's source:
 * kexec_handover.h, memblock.h, kexec_metadata.h and luo.h.  Numbers in
 * properties are in the CPU's byte order, unlike in any other device tree.
 */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <libfdt.h>

#include "fdt_check.h"

/* long enough for any valid name, short enough for a line */
#define SHOWN_MAX	64

static void __printf(2, 3) wrong(struct kho_problems *p, const char *fmt, ...)
{
	va_list ap;

	if (p->nr < KHO_PROBLEMS_MAX) {
		va_start(ap, fmt);
		vsnprintf(p->text[p->nr], sizeof(p->text[0]), fmt, ap);
		va_end(ap);
	}
	p->nr++;
}

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
		wrong(p, "%zu bytes are no device tree: shorter than its header", len);
		return false;
	}
	if (fdt_magic(blob) != FDT_MAGIC) {
		wrong(p, "no device tree: magic number 0x%08x", fdt_magic(blob));
		return false;
	}
	if (fdt_totalsize(blob) != len)
		wrong(p, "cut off or padded: %zu bytes of a tree of %u", len,
		      fdt_totalsize(blob));
	err = fdt_check_full(blob, len);
	if (err) {
		wrong(p, "not a valid device tree: %s", fdt_strerror(err));
		return false;
	}
	if (fdt_off_mem_rsvmap(blob) % 8 || fdt_off_dt_struct(blob) % 4)
		wrong(p, "blocks are not aligned: reservations at %u, structure at %u",
		      fdt_off_mem_rsvmap(blob), fdt_off_dt_struct(blob));
	if (!ends(blob))
		wrong(p, "no end where the structure's %u bytes end",
		      fdt_size_dt_struct(blob));
	if (fdt_version(blob) != 17)
		wrong(p, "version %u, not 17", fdt_version(blob));
	if (fdt_num_mem_rsv(blob))
		wrong(p, "%d memory reservations, not 0", fdt_num_mem_rsv(blob));
	return true;
}

/* "compatible" of a node: exactly one string */
static void check_compatible(const void *fdt, int node, const char *path,
			     const char *want, struct kho_problems *p)
{
	char buf[SHOWN_MAX];
	const char *val;
	int len;

	val = fdt_getprop(fdt, node, "compatible", &len);
	if (!val)
		wrong(p, "%s: no compatible", path);
	else if (len < 1 || val[len - 1] || strlen(val) + 1 != (size_t)len)
		wrong(p, "%s: compatible is not one string: %d bytes", path, len);
	else if (strcmp(val, want))
		wrong(p, "%s: compatible is %s, not %s", path, shown(val, buf), want);
}

/* a property of eight bytes; 0 where it is wrong */
static u64 get64(const void *fdt, int node, const char *path, const char *prop,
		 struct kho_problems *p)
{
	const void *val;
	int len;

	val = fdt_getprop(fdt, node, prop, &len);
	if (!val) {
		wrong(p, "%s: no %s", path, prop);
		return 0;
	}
	if (len != sizeof(u64)) {
		wrong(p, "%s: %s has %d bytes, not 8", path, prop, len);
		return 0;
	}
	return native64(val);
}

/* properties: each known one at most once, no other */
static void only(const void *fdt, int node, const char *path,
		 const char *const *known, int nr, struct kho_problems *p)
{
	unsigned int seen = 0;
	char buf[SHOWN_MAX];
	int prop;

	fdt_for_each_property_offset(prop, fdt, node) {
		const char *name = NULL;
		int i;

		if (!fdt_getprop_by_offset(fdt, prop, &name, NULL) || !name) {
			wrong(p, "%s: a property cannot be read", path);
			continue;
		}
		for (i = 0; i < nr && strcmp(known[i], name); i++)
			;
		if (i == nr)
			wrong(p, "%s: unknown property %s", path, shown(name, buf));
		else if (seen & 1u << i)
			wrong(p, "%s: property %s twice", path, name);
		else
			seen |= 1u << i;
	}
}

/* the name of a child, copied and told in a path; NULL if it is not to be used */
static const char *child_name(const void *fdt, int node, char *copy, char *path,
			      struct kho_problems *p)
{
	char buf[SHOWN_MAX];
	const char *name;
	int len, sub;

	name = fdt_get_name(fdt, node, &len);
	if (!name) {
		wrong(p, "a node's name cannot be read: %s", fdt_strerror(len));
		return NULL;
	}
	snprintf(path, SHOWN_MAX + 2, "/%s", shown(name, buf));
	if (!len)
		wrong(p, "a subnode without a name");
	if (len >= KHO_NAME_MAX) {
		wrong(p, "%s: name of %d bytes", path, len);
		return NULL;
	}
	for (int i = 0; i < len; i++) {
		if (name[i] > ' ' && name[i] <= '~' && name[i] != '/')
			continue;
		wrong(p, "%s: name has a byte 0x%02x", path, (unsigned char)name[i]);
		break;
	}
	memcpy(copy, name, len + 1);
	fdt_for_each_subnode(sub, fdt, node) {
		wrong(p, "%s: has a subnode", path);
		break;
	}
	return copy;
}

/**
 * kho_check_root() - check and decode the root tree
 * @blob: out/fdt or in/fdt; not trusted
 * @len: bytes
 * @compatible_with: the version's string
 * @root: what it says, as far as it is in order
 * @p: what is wrong is added to this
 */
void kho_check_root(const void *blob, size_t len, const char *compatible_with,
		    struct kho_root *root, struct kho_problems *p)
{
	static const char * const root_props[] = {
		"compatible", "preserved-memory-map",
	};
	static const char * const sub_props[] = { "preserved-data", "blob-size" };
	u64 page = sysconf(_SC_PAGESIZE);
	char path[SHOWN_MAX + 2];
	int node, name_len;
	const char *name;

	memset(root, 0, sizeof(*root));
	if (!whole(blob, len, p))
		return;
	if (len > page)
		wrong(p, "%zu bytes do not fit in one page", len);
	name = fdt_get_name(blob, 0, &name_len);
	if (!name || name_len)
		wrong(p, "/: the root has a name");
	check_compatible(blob, 0, "/", compatible_with, p);
	only(blob, 0, "/", root_props, ARRAY_SIZE(root_props), p);
	root->map = get64(blob, 0, "/", "preserved-memory-map", p);
	if (!root->map || root->map % page)
		wrong(p, "/: preserved-memory-map 0x%llx is not the address of a page",
		      root->map);
	fdt_for_each_subnode(node, blob, 0) {
		struct kho_subnode *s = &root->sub[root->nr];

		if (root->nr == KHO_SUBNODES_MAX) {
			wrong(p, "more than %d subnodes", KHO_SUBNODES_MAX);
			return;
		}
		if (!child_name(blob, node, s->name, path, p))
			continue;
		for (int i = 0; i < root->nr; i++)
			if (!strcmp(root->sub[i].name, s->name))
				wrong(p, "%s: twice", path);
		only(blob, node, path, sub_props, ARRAY_SIZE(sub_props), p);
		s->data = get64(blob, node, path, "preserved-data", p);
		s->size = get64(blob, node, path, "blob-size", p);
		if (!s->data)
			wrong(p, "%s: preserved-data is 0", path);
		if (!s->size)
			wrong(p, "%s: blob-size is 0", path);
		root->nr++;
	}
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
	static const char * const root_props[] = { "compatible" };
	static const char * const props[] = { "compatible", "start", "size" };
	char path[SHOWN_MAX + 2];
	int node;

	memset(r, 0, sizeof(*r));
	if (!whole(blob, len, p))
		return;
	check_compatible(blob, 0, "/", "memblock-v1", p);
	only(blob, 0, "/", root_props, ARRAY_SIZE(root_props), p);
	fdt_for_each_subnode(node, blob, 0) {
		struct kho_region *range = &r->range[r->nr];

		if (r->nr == KHO_RESERVATIONS_MAX) {
			wrong(p, "more than %d reservations", KHO_RESERVATIONS_MAX);
			return;
		}
		if (!child_name(blob, node, r->name[r->nr], path, p))
			continue;
		for (int i = 0; i < r->nr; i++)
			if (!strcmp(r->name[i], r->name[r->nr]))
				wrong(p, "%s: twice", path);
		check_compatible(blob, node, path, "reserve-mem-v1", p);
		only(blob, node, path, props, ARRAY_SIZE(props), p);
		range->addr = get64(blob, node, path, "start", p);
		range->size = get64(blob, node, path, "size", p);
		if (!range->addr || !range->size ||
		    range->addr + range->size < range->addr)
			wrong(p, "%s: no range: start 0x%llx, size 0x%llx", path,
			      range->addr, range->size);
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
		wrong(p, "%zu bytes, not %d", len, SIZE);
		return;
	}
	memcpy(&m->version, b + VERSION, sizeof(m->version));
	memcpy(&m->count, b + COUNT, sizeof(m->count));
	memcpy(m->release, b + RELEASE, RELEASE_LEN);
	if (m->version != 1)
		wrong(p, "version %u, not 1", m->version);
	if (!memchr(b + RELEASE, '\0', RELEASE_LEN))
		wrong(p, "previous_release is not ended");
	if (!*m->release)
		wrong(p, "previous_release is empty");
	for (const char *c = m->release; *c; c++) {
		if (*c > ' ' && *c <= '~')
			continue;
		wrong(p, "previous_release has a byte 0x%02x", (unsigned char)*c);
		break;
	}
	if (!m->count)
		wrong(p, "kexec_count is 0");
}

/**
 * kho_check_luo() - check the live update orchestrator's blob
 * @blob: sub_fdts/LUO; not trusted
 * @len: bytes
 * @p: what is wrong is added to this
 */
void kho_check_luo(const void *blob, size_t len, struct kho_problems *p)
{
	const char *b = blob;
	char buf[SHOWN_MAX];
	char name[9] = "";

	if (len != 32) {
		wrong(p, "%zu bytes, not 32", len);
		return;
	}
	memcpy(name, b, 8);
	if (strncmp(name, "luo-v", 5) || strspn(name + 5, "0123456789") < 1 ||
	    name[5 + strspn(name + 5, "0123456789")])
		wrong(p, "compatible is %s, not luo-v<number>", shown(name, buf));
	if (!native64(b + 8))
		wrong(p, "liveupdate_num is 0");
	if (native64(b + 16) % sysconf(_SC_PAGESIZE) ||
	    native64(b + 24) % sysconf(_SC_PAGESIZE))
		wrong(p, "sessions_pa 0x%llx or flbs_pa 0x%llx is not the address of a page",
		      native64(b + 16), native64(b + 24));
}
