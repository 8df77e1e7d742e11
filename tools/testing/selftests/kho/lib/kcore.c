// SPDX-License-Identifier: GPL-2.0-only
/*
 * kcore.c - the running kernel's own memory
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kcore.h"

static int read_all(int fd, void *buf, size_t size, u64 at)
{
	ssize_t n = pread(fd, buf, size, at);

	return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

/**
 * kho_kcore_open() - open the running kernel's memory
 * @k: the memory
 *
 * Needs CONFIG_PROC_KCORE, CAP_SYS_RAWIO, and a kernel that is not locked down.
 *
 * Return: 0; -ENOENT or -EPERM where nobody may look; -EBADMSG if it is no core
 * file, -E2BIG if it has too many ranges; or what reading failed with
 */
int kho_kcore_open(struct kho_kcore *k)
{
	struct elf64_hdr e;
	int err;

	k->nr = 0;
	k->fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (k->fd < 0)
		return -errno;
	err = read_all(k->fd, &e, sizeof(e), 0);
	if (!err && (memcmp(e.e_ident, ELFMAG, SELFMAG) || e.e_type != ET_CORE ||
		     e.e_phentsize != sizeof(struct elf64_phdr)))
		err = -EBADMSG;
	for (int i = 0; i < e.e_phnum && !err; i++) {
		struct elf64_phdr p;

		err = read_all(k->fd, &p, sizeof(p), e.e_phoff + i * sizeof(p));
		if (err || p.p_type != PT_LOAD)
			continue;
		if (k->nr == KHO_KCORE_RANGES) {
			err = -E2BIG;
			break;
		}
		k->range[k->nr].virt = p.p_vaddr;
		k->range[k->nr].phys = p.p_paddr;
		k->range[k->nr].offset = p.p_offset;
		k->range[k->nr++].size = p.p_filesz;
	}
	if (err)
		kho_kcore_close(k);
	return err;
}

/**
 * kho_kcore_close() - undo kho_kcore_open()
 * @k: the memory
 */
void kho_kcore_close(struct kho_kcore *k)
{
	close(k->fd);
	k->fd = -1;
	k->nr = 0;
}

static int find(const struct kho_kcore *k, bool phys, u64 addr, size_t size)
{
	for (int i = 0; i < k->nr; i++) {
		u64 base = phys ? k->range[i].phys : k->range[i].virt;

		if (phys && base == ~0ULL)
			continue;
		if (addr >= base && addr - base < k->range[i].size &&
		    size <= k->range[i].size - (addr - base))
			return i;
	}
	return -1;
}

/**
 * kho_kcore_virt() - read memory by the kernel's address of it
 * @k: the memory
 * @addr: virtual address
 * @buf: where to
 * @size: bytes
 *
 * Return: 0; -EFAULT if no one range has it all; or what reading failed with
 */
int kho_kcore_virt(const struct kho_kcore *k, u64 addr, void *buf, size_t size)
{
	int i = find(k, false, addr, size);

	return i < 0 ? -EFAULT :
		read_all(k->fd, buf, size, k->range[i].offset + addr - k->range[i].virt);
}

/**
 * kho_kcore_phys() - read memory by its physical address
 * @k: the memory
 * @addr: physical address
 * @buf: where to
 * @size: bytes
 *
 * Return: 0; -EFAULT if no one range has it all; or what reading failed with
 */
int kho_kcore_phys(const struct kho_kcore *k, u64 addr, void *buf, size_t size)
{
	int i = find(k, true, addr, size);

	return i < 0 ? -EFAULT :
		read_all(k->fd, buf, size, k->range[i].offset + addr - k->range[i].phys);
}

/**
 * kho_kcore_to_phys() - where something is
 * @k: the memory
 * @virt: the kernel's address of it
 *
 * Return: its physical address, or all ones if it has none
 */
u64 kho_kcore_to_phys(const struct kho_kcore *k, u64 virt)
{
	int i = find(k, false, virt, 1);

	return i < 0 || k->range[i].phys == ~0ULL ? ~0ULL :
		virt - k->range[i].virt + k->range[i].phys;
}

/**
 * kho_symbol() - the address of one of the kernel's own symbols
 * @name: its name
 * @addr: its virtual address
 *
 * Data is among them with CONFIG_KALLSYMS_ALL only.
 *
 * Return: 0; -ENOENT if there is none; -EPERM if addresses are hidden; or what
 * opening /proc/kallsyms failed with
 */
int kho_symbol(const char *name, u64 *addr)
{
	char line[512], got[256];
	unsigned long long at;
	int err = -ENOENT;
	FILE *f;

	f = fopen("/proc/kallsyms", "re");
	if (!f)
		return -errno;
	while (err == -ENOENT && fgets(line, sizeof(line), f)) {
		/* a symbol of a module has its name behind it */
		if (strchr(line, '[') ||
		    sscanf(line, "%llx %*c %255s", &at, got) != 2 || strcmp(got, name))
			continue;
		*addr = at;
		err = at ? 0 : -EPERM;
	}
	fclose(f);
	return err;
}
