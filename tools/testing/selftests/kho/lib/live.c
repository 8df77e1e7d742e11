// SPDX-License-Identifier: GPL-2.0-only
/*
 * live.c - what the running kernel is going to hand over
 */
#include <errno.h>
#include <unistd.h>

#include "live.h"

/**
 * kho_live_open() - find KHO in the running kernel's memory
 * @l: the memory
 * @what: set to what could not be had, on failure
 *
 * Return: 0; -ENOENT or -EPERM where nobody may look, or there is no KHO; or what
 * reading failed with
 */
int kho_live_open(struct kho_live *l, const char **what)
{
	int err;

	*what = "/proc/kcore (CONFIG_PROC_KCORE)";
	err = kho_kcore_open(&l->kcore);
	if (err)
		return err;
	*what = "kho_out in /proc/kallsyms (CONFIG_KALLSYMS_ALL)";
	err = kho_symbol("kho_out", &l->out);
	if (err)
		kho_kcore_close(&l->kcore);
	return err;
}

/**
 * kho_live_root() - the root tree, where the kernel edits it
 * @l: from kho_live_open()
 * @root: what it holds
 * @at: its physical address; may be NULL
 * @p: what is wrong with it is added to this
 *
 * Return: 0; -ENODATA if KHO is off; or what reading failed with
 */
int kho_live_root(const struct kho_live *l, struct kho_root *root, u64 *at,
		  struct kho_problems *p)
{
	u64 size = sysconf(_SC_PAGESIZE), fdt = 0;
	unsigned char page[KHO_MAP_PAGE_MAX];
	u32 len;
	int err;

	/* its first member is the tree's address */
	err = kho_kcore_virt(&l->kcore, l->out, &fdt, sizeof(fdt));
	if (err)
		return err;
	if (!fdt)
		return -ENODATA;
	err = kho_kcore_virt(&l->kcore, fdt, page, size);
	if (err)
		return err;
	if (at)
		*at = kho_kcore_to_phys(&l->kcore, fdt);
	/* a device tree begins with its magic number and length, big endian */
	len = (u32)page[4] << 24 | page[5] << 16 | page[6] << 8 | page[7];
	kho_check_root(page, len < size ? len : size, KHO_COMPATIBLE, root, p);
	return 0;
}

static int read_page(void *ctx, u64 addr, void *page)
{
	return kho_kcore_phys(ctx, addr, page, sysconf(_SC_PAGESIZE));
}

/**
 * kho_live_map() - the preserved-memory map, where the kernel builds it
 * @l: from kho_live_open()
 * @root: from kho_live_root()
 * @map: the map; to be freed even after an error
 * @p: what is wrong with it is added to this
 *
 * Return: see kho_map_read()
 */
int kho_live_map(struct kho_live *l, const struct kho_root *root, struct kho_map *map,
		 struct kho_problems *p)
{
	return kho_map_read(map, __builtin_ctzl(sysconf(_SC_PAGESIZE)), root->map, read_page,
			    &l->kcore, p);
}
