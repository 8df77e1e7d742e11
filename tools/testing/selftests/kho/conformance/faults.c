// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults.c - state of another ABI version, or damaged, and what the next kernel
 * makes of it
 *
 * What a kernel of another version would hand over is made by changing what this
 * one is about to: the tree lies in memory, is found there, and is patched in
 * place just before the kexec.
 */
#include "kho_test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <libfdt.h>

#include "fdt_check.h"

#define OUT	KHO_DEBUGFS "/out"

KHO_SCENARIO(damaged) = {
	KHO_SCENARIO_HEAD,
	.name = "conformance.faults",
	.summary = "trees of other versions, damaged trees and damaged metadata",
	.memory_mib = 512, .cpus = 1, .flags = KHO_SC_QUICK,
	.cmdline = "kho=on reserve_mem=64K:4K:kho_a",
	.programs = { "kho_boot", "kho_faults" },
	.steps =
		"boot\n"
		"kexec!\n"	/* an older version */
		"kexec!\n"	/* a newer one */
		"kexec!\n"	/* no device tree */
		"kexec!\n"	/* no memory map */
		"kexec!\n"	/* a memory map of four bytes */
		"kexec\n"
		"kexec0\n"	/* metadata of another version */
		"kexec\n"
		"kexec0\n"	/* metadata cut off */
		"kexec0\n"	/* its node broken */
		"kexec\n",	/* reservations of another version */
};

enum fault {
	NONE, OLDER, NEWER, NO_TREE, NO_MAP, SHORT_MAP, METADATA_VERSION,
	METADATA_SHORT, METADATA_BROKEN, MEMBLOCK_VERSION,
};

/* what generation i is handed */
static const enum fault faults[] = {
	NONE, OLDER, NEWER, NO_TREE, NO_MAP, SHORT_MAP, NONE, METADATA_VERSION,
	NONE, METADATA_SHORT, METADATA_BROKEN, MEMBLOCK_VERSION,
};

static enum fault fault_of(int generation)
{
	return generation < (int)ARRAY_SIZE(faults) ? faults[generation] : NONE;
}

static const char *not_here(void)
{
	return kho_boot_of(kho_generation()) ? kho_why_not() :
	       "not in a machine of khotest: this damages the kernel's state";
}

static const char *not_handed(enum fault f)
{
	return not_here() ?: fault_of(kho_generation()) == f ? NULL :
	       "the generation before did not damage that";
}

static int has(const char *text)
{
	return kho_klog_find(text, NULL, 0);
}

/* is this page the tree that is about to be handed over? */
static bool is_out(const void *page)
{
	const struct kho_boot *b = kho_boot_of(kho_generation());
	static struct kho_problems p;
	static struct kho_root root;
	u32 size = fdt_totalsize(page);

	memset(&p, 0, sizeof(p));
	if (size < sizeof(struct fdt_header) || size > page_size())
		return false;
	kho_check_root(page, size, KHO_COMPATIBLE, &root, &p);
	for (int i = 0; i < root.nr && !p.nr; i++) {
		u32 count;
		void *map;

		if (strcmp(root.sub[i].name, "kexec-metadata") ||
		    !kho_in_ram(root.sub[i].data, root.sub[i].size) ||
		    kho_phys_map(root.sub[i].data, 73, false, &map))
			continue;
		memcpy(&count, (char *)map + 69, sizeof(count));
		kho_phys_unmap(map, root.sub[i].data, 73);
		return count == b->count + 1;
	}
	return false;
}

static bool rename_string(char *fdt, const char *from, const char *to)
{
	char *p = fdt + fdt_off_dt_strings(fdt);
	char *end = p + fdt_size_dt_strings(fdt);

	for (; p < end; p += strlen(p) + 1)
		if (!strcmp(p, from)) {
			memcpy(p, to, strlen(from));
			return true;
		}
	return false;
}

/* the blob of a subnode, mapped */
static u64 blob_of(const void *fdt, const char *name, void **map)
{
	int node = fdt_subnode_offset(fdt, 0, name), len;
	const void *prop;
	u64 at;

	if (node < 0)
		return 0;
	prop = fdt_getprop(fdt, node, "preserved-data", &len);
	if (!prop || len != sizeof(at))
		return 0;
	memcpy(&at, prop, sizeof(at));
	return kho_phys_map(at, page_size(), true, map) ? 0 : at;
}

static bool damage_blob(const void *fdt, enum fault f)
{
	u32 version = 2;
	char *map, *p;
	u64 at;

	at = blob_of(fdt, f == MEMBLOCK_VERSION ? "memblock" : "kexec-metadata",
		     (void **)&map);
	if (!at)
		return false;
	if (f == METADATA_VERSION) {
		memcpy(map, &version, sizeof(version));
	} else {
		p = memmem(map, page_size(), "memblock-v1", 12);
		if (!p)
			return false;
		memcpy(p, "memblock-v9", 12);
	}
	kho_phys_unmap(map, at, page_size());
	return true;
}

static bool damage(char *fdt, enum fault f)
{
	int node = fdt_subnode_offset(fdt, 0, "kexec-metadata"), len;
	u64 small = 40;
	u32 cut = 0;
	char *p;

	switch (f) {
	case OLDER:
	case NEWER:
		p = (char *)fdt_getprop(fdt, 0, "compatible", &len);
		if (!p || len != sizeof(KHO_COMPATIBLE))
			return false;
		memcpy(p, f == OLDER ? "kho-v3" : "kho-v9", len);
		return true;
	case NO_TREE:
		memset(fdt, 0, 4);
		return true;
	case NO_MAP:
		return rename_string(fdt, "preserved-memory-map",
				     "preserved-nothing-at");
	case SHORT_MAP:
		/* no longer: it stays within its place */
		return !fdt_setprop(fdt, 0, "preserved-memory-map", &cut, sizeof(cut));
	case METADATA_SHORT:
		return node >= 0 && !fdt_setprop_inplace(fdt, node, "blob-size", &small,
							 sizeof(small));
	case METADATA_BROKEN:
		/* and one that comes before all that are in order */
		return node >= 0 && fdt_totalsize(fdt) <= page_size() - 128 &&
		       !fdt_setprop(fdt, node, "preserved-data", &cut, sizeof(cut)) &&
		       !fdt_open_into(fdt, fdt, fdt_totalsize(fdt) + 128) &&
		       (node = fdt_add_subnode(fdt, 0, "broken")) >= 0 &&
		       !fdt_setprop(fdt, node, "preserved-data", &cut, sizeof(cut));
	case METADATA_VERSION:
	case MEMBLOCK_VERSION:
		return damage_blob(fdt, f);
	default:
		return false;
	}
}

/* each page of memory that begins with a tree; how many were damaged */
static int damage_memory(enum fault f)
{
	static struct kho_region ram[256];
	int n = kho_iomem_ram(ram, 256), done = 0;
	const u64 page = page_size(), step = 16 << 20;

	for (int i = 0; i < n; i++) {
		/* the first megabyte holds no kernel's pages */
		u64 addr = ram[i].addr < 1 << 20 ? 1 << 20 : ram[i].addr;
		u64 end = ram[i].addr + ram[i].size;

		for (addr = (addr + page - 1) / page * page; addr < end; addr += step) {
			u64 len = end - addr < step ? (end - addr) / page * page : step;
			char *map;

			if (!len || kho_phys_map(addr, len, true, (void **)&map))
				continue;
			for (u64 off = 0; off < len; off += page)
				if (*(u32 *)(map + off) == cpu_to_fdt32(FDT_MAGIC) &&
				    is_out(map + off))
					done += damage(map + off, f);
			kho_phys_unmap(map, addr, len);
		}
	}
	return done;
}

KHO_TEST_WHERE(kx9, another_version_is_refused, not_here())
{
	enum fault f = fault_of(kho_generation());

	if (f != OLDER && f != NEWER)
		SKIP(return, "the generation before did not damage that");
	EXPECT_EQ(1, has("is incompatible with '" KHO_COMPATIBLE "'"));
	EXPECT_EQ(1, has("KHO: disabling KHO revival"));
}

KHO_TEST_WHERE(f12, damaged_tree_is_refused, not_handed(NO_TREE))
{
	EXPECT_EQ(1, has("KHO: setup: handover FDT (0x"));
	EXPECT_EQ(1, has(") is invalid: "));
}

KHO_TEST_WHERE(f12, tree_without_map_is_refused, not_here())
{
	enum fault f = fault_of(kho_generation());

	if (f != NO_MAP && f != SHORT_MAP)
		SKIP(return, "the generation before did not damage that");
	EXPECT_EQ(1, has("KHO: failed to get preserved memory map"));
}

/* it boots as after a cold boot: KHO is on, scratch is there, the count is 1 */
KHO_TEST_WHERE(k4, count_starts_anew, not_here() ?: kho_no_debugfs())
{
	const struct kho_boot *b = kho_boot_of(kho_generation());
	static struct kho_problems p;
	struct kho_metadata m;
	struct kho_blob blob;

	memset(&p, 0, sizeof(p));
	ASSERT_EQ(0, kho_read_file(OUT "/sub_fdts/kexec-metadata", &blob));
	kho_check_metadata(blob.data, blob.len, &m, &p);
	kho_blob_free(&blob);
	EXPECT_EQ(0, p.nr);
	EXPECT_EQ(b->count + 1, m.count);
}

KHO_TEST_WHERE(k4, metadata_of_another_version, not_handed(METADATA_VERSION))
{
	EXPECT_EQ(1, has("KHO: kexec-metadata version 2 not supported"));
}

KHO_TEST_WHERE(k4, metadata_too_short, not_handed(METADATA_SHORT))
{
	EXPECT_EQ(1, has("KHO: kexec-metadata blob too small"));
}

KHO_TEST_WHERE(d12, broken_node_is_passed_over,
	       not_handed(METADATA_BROKEN) ?: kho_no_debugfs())
{
	EXPECT_LE(1, has("KHO: node kexec-metadata prop preserved-data has invalid length"));
	EXPECT_EQ(1, has("KHO: node broken prop preserved-data has invalid length"));
	EXPECT_NE(0, access(KHO_DEBUGFS "/in/sub_fdts/kexec-metadata", F_OK));
	EXPECT_EQ(0, access(KHO_DEBUGFS "/in/sub_fdts/memblock", F_OK));
}

KHO_TEST_WHERE(m5, reservations_of_another_version, not_handed(MEMBLOCK_VERSION))
{
	EXPECT_LE(1, has("FDT 'memblock' is incompatible with 'memblock-v1'"));
	EXPECT_EQ(0, has("Revived memory reservation"));
}

/* a check of ours, not of the kernel's: the last one, it leaves the damage */
KHO_TEST_WHERE(f10, state_is_read_when_it_is_handed_over, not_here())
{
	enum fault f = fault_of(kho_generation() + 1);

	if (f == NONE)
		SKIP(return, "the next generation gets what it should");
	/* stale copies of the tree are damaged with it, and no harm done */
	EXPECT_LT(0, damage_memory(f)) {
		TH_LOG("the tree was not found in memory");
	}
}

TEST_HARNESS_MAIN
