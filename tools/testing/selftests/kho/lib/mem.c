// SPDX-License-Identifier: GPL-2.0-only
/*
 * mem.c - physical memory as the kernel tells of it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kho.h"

/* the numbers of scratch_phys or scratch_len: "0x%llx\n" each, nothing else */
static int read_numbers(const char *dir, const char *name, u64 *val, int max)
{
	struct kho_blob b;
	char path[256];
	int err, n = 0;
	char *p;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	err = kho_read_file(path, &b);
	if (err)
		return err;
	for (p = b.data; *p; n++) {
		char *end, again[32];

		if (n == max) {
			n = -E2BIG;
			break;
		}
		errno = 0;
		val[n] = strtoull(p, &end, 16);
		snprintf(again, sizeof(again), "0x%llx\n", val[n]);
		/* what does not come out as it went in is another format */
		if (errno || strncmp(p, again, strlen(again))) {
			n = -EBADMSG;
			break;
		}
		p += strlen(again);
	}
	if (n >= 0 && strlen(b.data) != b.len)
		n = -EBADMSG;
	kho_blob_free(&b);
	return n;
}

/**
 * kho_scratch_read() - the scratch regions as debugfs tells of them
 * @dir: the directory with scratch_phys and scratch_len
 * @r: the regions, in the files' order
 * @max: room in @r, at most KHO_REGIONS_MAX
 *
 * Return: their number; -EBADMSG for a file that is not one "0x%llx\n" per
 * region, -ERANGE if the files do not have as many lines each, -E2BIG for more
 * than @max, or what reading failed with
 */
int kho_scratch_read(const char *dir, struct kho_region *r, int max)
{
	static u64 phys[KHO_REGIONS_MAX], len[KHO_REGIONS_MAX];
	int n, m;

	if (max > KHO_REGIONS_MAX)
		max = KHO_REGIONS_MAX;
	n = read_numbers(dir, "scratch_phys", phys, max);
	if (n < 0)
		return n;
	m = read_numbers(dir, "scratch_len", len, max);
	if (m < 0)
		return m;
	if (n != m)
		return -ERANGE;
	for (int i = 0; i < n; i++) {
		r[i].addr = phys[i];
		r[i].size = len[i];
	}
	return n;
}

/**
 * kho_iomem_ram() - where System RAM is
 * @r: the ranges
 * @max: room in @r
 *
 * Return: their number, -EACCES if the kernel hides the addresses (not root),
 * -E2BIG, or what reading /proc/iomem failed with
 */
int kho_iomem_ram(struct kho_region *r, int max)
{
	struct kho_blob b;
	char *line, *save;
	int err, n = 0;

	err = kho_read_file("/proc/iomem", &b);
	if (err)
		return err;
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned long long start, end;
		int at = 0;

		if (*line == ' ' ||
		    sscanf(line, "%llx-%llx : %n", &start, &end, &at) != 2 ||
		    strcmp(line + at, "System RAM"))
			continue;
		if (!end) {
			n = -EACCES;
			break;
		}
		if (n == max) {
			n = -E2BIG;
			break;
		}
		r[n].addr = start;
		r[n++].size = end - start + 1;
	}
	kho_blob_free(&b);
	return n;
}

/**
 * kho_in_ram() - is a range System RAM?
 * @addr: its first byte
 * @size: bytes
 *
 * Return: true if all of it is
 */
bool kho_in_ram(u64 addr, u64 size)
{
	static struct kho_region ram[256];
	int n = kho_iomem_ram(ram, 256);

	for (int i = 0; i < n; i++)
		if (addr >= ram[i].addr && addr + size > addr &&
		    addr + size <= ram[i].addr + ram[i].size)
			return true;
	return false;
}

/**
 * kho_regions_overlap() - is some byte of a range in one of some regions?
 * @r: the regions
 * @nr: how many; less than none for none
 * @addr: first byte of the range
 * @size: its bytes
 *
 * Return: true if so
 */
bool kho_regions_overlap(const struct kho_region *r, int nr, u64 addr, u64 size)
{
	for (int i = 0; i < nr; i++)
		if (r[i].size && addr < r[i].addr + r[i].size &&
		    addr + size > r[i].addr)
			return true;
	return false;
}

/**
 * kho_node_spans() - which physical addresses the zones of a NUMA node span
 * @nid: the node
 * @r: the ranges, one for each zone that is not empty
 * @max: room in @r
 *
 * Return: their number, 0 for a node without memory, -E2BIG, or what reading
 * /proc/zoneinfo failed with
 */
int kho_node_spans(int nid, struct kho_region *r, int max)
{
	u64 page = sysconf(_SC_PAGESIZE), spanned = 0;
	struct kho_blob b;
	char *line, *save;
	int err, n = 0, node = -1;

	err = kho_read_file("/proc/zoneinfo", &b);
	if (err)
		return err;
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned long long v;

		if (sscanf(line, "Node %d, zone", &node) == 1)
			spanned = 0;
		if (sscanf(line, " spanned %llu", &v) == 1)
			spanned = v;
		if (sscanf(line, " start_pfn: %llu", &v) != 1 || node != nid ||
		    !spanned)
			continue;
		if (n == max) {
			n = -E2BIG;
			break;
		}
		r[n].addr = v * page;
		r[n++].size = spanned * page;
	}
	kho_blob_free(&b);
	return n;
}

/**
 * kho_meminfo() - a line of /proc/meminfo
 * @key: its name, without the colon
 * @kib: its value in KiB
 *
 * Return: 0, -ENOENT, or what reading failed with
 */
int kho_meminfo(const char *key, u64 *kib)
{
	size_t kl = strlen(key);
	struct kho_blob b;
	char *line, *save;
	int err;

	err = kho_read_file("/proc/meminfo", &b);
	if (err)
		return err;
	err = -ENOENT;
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, key, kl) || line[kl] != ':')
			continue;
		*kib = strtoull(line + kl + 1, NULL, 10);
		err = 0;
		break;
	}
	kho_blob_free(&b);
	return err;
}

/**
 * kho_lines_sum() - add up what lines of a text say of something
 * @text: as /proc/zoneinfo has it, a number behind a word
 * @word: what these lines begin with, behind blanks
 *
 * Return: the sum, 0 where there is no such line
 */
s64 kho_lines_sum(const char *text, const char *word)
{
	size_t len = strlen(word);
	s64 sum = 0;

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		p += strspn(p, " ");
		if (!strncmp(p, word, len))
			sum += strtoll(p + len, NULL, 10);
	}
	return sum;
}

/**
 * kho_free_pages() - how much memory nobody has
 *
 * With what the CPUs keep on lists of their own, which MemFree leaves out, and
 * with what they have not yet counted.
 *
 * Return: pages, or a negative errno
 */
long kho_free_pages(void)
{
	struct kho_blob b;
	long pages;
	int err;

	/* only kernels for several CPUs have it, and need it */
	kho_write("/proc/sys/vm/stat_refresh", "1");
	err = kho_read_file("/proc/zoneinfo", &b);
	if (err)
		return err;
	pages = kho_lines_sum(b.data, "pages free ") + kho_lines_sum(b.data, "count: ");
	kho_blob_free(&b);
	return pages;
}

static long vmstat_field(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtol(p + strlen(key), NULL, 10) : 0;
}

/**
 * kho_node_free() - how much memory of a node is free
 * @nid: the node
 * @all: pages, without those on the lists of CPUs
 * @cma: of these, those of CMA, as scratch is
 *
 * Return: 0, or what reading the node's vmstat failed with
 */
int kho_node_free(int nid, long *all, long *cma)
{
	struct kho_blob b;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", nid);
	err = kho_read_file(path, &b);
	if (err)
		return err;
	*all = vmstat_field(b.data, "nr_free_pages ");
	*cma = vmstat_field(b.data, "\nnr_free_cma ");
	kho_blob_free(&b);
	return 0;
}

static u64 page_down(u64 addr)
{
	return addr & ~((u64)sysconf(_SC_PAGESIZE) - 1);
}

/**
 * kho_phys_map() - map physical memory
 * @addr: first byte, need not be page aligned
 * @size: bytes
 * @write: also to write
 * @map: where the byte at @addr is
 *
 * Through /dev/mem: the kernel needs CONFIG_DEVMEM without STRICT_DEVMEM.
 *
 * Return: 0, or what open or mmap failed with
 */
int kho_phys_map(u64 addr, u64 size, bool write, void **map)
{
	int fd, err = 0;
	u64 base = page_down(addr);
	char *p;

	fd = open("/dev/mem", (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	p = mmap(NULL, addr - base + size, PROT_READ | (write ? PROT_WRITE : 0),
		 MAP_SHARED, fd, base);
	if (p == MAP_FAILED)
		err = -errno;
	else
		*map = p + (addr - base);
	close(fd);
	return err;
}

/**
 * kho_phys_unmap() - undo kho_phys_map()
 * @map: what it gave
 * @addr: what it was given
 * @size: what it was given
 */
void kho_phys_unmap(void *map, u64 addr, u64 size)
{
	u64 in = addr - page_down(addr);

	munmap((char *)map - in, in + size);
}

/**
 * kho_pages_marked() - pages of a range that have any of some marks
 * @addr: first byte of the range
 * @size: bytes
 * @marks: 1 << KPF_*, as /proc/kpageflags has them
 * @first: address of the first such page; may be NULL
 * @flags: all marks of that one; may be NULL
 *
 * Return: how many, or a negative errno
 */
long kho_pages_marked(u64 addr, u64 size, u64 marks, u64 *first, u64 *flags)
{
	u64 page = sysconf(_SC_PAGESIZE), got[512];
	u64 pfn = addr / page, end = (addr + size + page - 1) / page;
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	long nr = 0;

	if (fd < 0)
		return -errno;
	while (pfn < end) {
		size_t n = end - pfn < ARRAY_SIZE(got) ? end - pfn : ARRAY_SIZE(got);

		if (pread(fd, got, n * sizeof(*got), pfn * sizeof(*got)) !=
		    (ssize_t)(n * sizeof(*got))) {
			nr = -EIO;
			break;
		}
		for (size_t i = 0; i < n; i++) {
			if (!(got[i] & marks) || nr++)
				continue;
			if (first)
				*first = (pfn + i) * page;
			if (flags)
				*flags = got[i];
		}
		pfn += n;
	}
	close(fd);
	return nr;
}

/**
 * kho_pattern() - what belongs at a place of a patterned range
 * @seed: distinguishes ranges
 * @word: number of the 8-byte word within the range
 *
 * Neighbours differ in every byte, so that memory that moved, was zeroed or
 * comes from elsewhere is seen (splitmix64's finaliser).
 *
 * Return: the word
 */
u64 kho_pattern(u64 seed, u64 word)
{
	u64 z = seed * 0x9e3779b97f4a7c15ULL + word + 1;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/**
 * kho_pattern_fill() - fill a range with its pattern
 * @mem: first byte
 * @size: bytes; any number
 * @seed: distinguishes ranges
 */
void kho_pattern_fill(void *mem, u64 size, u64 seed)
{
	char *p = mem;
	u64 i, w;

	/* a size that the compiler knows is one instruction, and not a call */
	for (i = 0; i < size / sizeof(w); i++, p += sizeof(w)) {
		w = kho_pattern(seed, i);
		memcpy(p, &w, sizeof(w));
	}
	w = kho_pattern(seed, i);
	memcpy(p, &w, size % sizeof(w));
}

/**
 * kho_pattern_check() - compare a range with its pattern, every byte of it
 * @mem: first byte
 * @size: bytes
 * @seed: what it was filled with
 * @bad: offset of the first byte that is wrong
 *
 * Return: 0, or -EILSEQ
 */
int kho_pattern_check(const void *mem, u64 size, u64 seed, u64 *bad)
{
	const unsigned char *m = mem;
	u64 i, is, w;

	for (i = 0; i < size / sizeof(w); i++, m += sizeof(w)) {
		w = kho_pattern(seed, i);
		memcpy(&is, m, sizeof(is));
		if (is != w)
			goto differs;
	}
	w = kho_pattern(seed, i);
	if (!memcmp(m, &w, size % sizeof(w)))
		return 0;
differs:
	while (*m == (unsigned char)w) {
		w >>= 8;
		m++;
	}
	*bad = m - (const unsigned char *)mem;
	return -EILSEQ;
}

/**
 * kho_largest_block() - the largest block that the page allocator has
 *
 * It depends on the page size and the kernel's configuration
 * (CONFIG_ARCH_FORCE_MAX_ORDER): /proc/buddyinfo has a number for each order.
 *
 * Return: its bytes; 0 if that cannot be read
 */
u64 kho_largest_block(void)
{
	int blanks = 0, orders = 0;
	struct kho_blob b;

	if (kho_read_file("/proc/buddyinfo", &b))
		return 0;
	/* "Node 0, zone      DMA      1      2 ..." */
	for (const char *p = b.data; *p && *p != '\n'; p++)
		if (*p != ' ' && p > (char *)b.data && p[-1] == ' ')
			blanks++;
	orders = blanks - 3;
	kho_blob_free(&b);
	return orders > 0 && orders < 40 ? (u64)sysconf(_SC_PAGESIZE) << (orders - 1) : 0;
}

/**
 * kho_vmstat() - one of this kernel's counts of memory and of what it did with it
 * @name: as /proc/vmstat has it ("oom_kill"), of any line but the first
 *
 * What CPUs have not yet added up is not in it (/proc/sys/vm/stat_refresh).
 *
 * Return: the count, -ENODATA if the kernel has none of that name, or what reading
 * /proc/vmstat failed with
 */
long kho_vmstat(const char *name)
{
	struct kho_blob b;
	char key[64];
	const char *at;
	long n = kho_read_file("/proc/vmstat", &b);

	if (n)
		return n;
	snprintf(key, sizeof(key), "\n%s ", name);
	at = strstr(b.data, key);
	n = at ? strtol(at + strlen(key), NULL, 10) : -ENODATA;
	kho_blob_free(&b);
	return n;
}
