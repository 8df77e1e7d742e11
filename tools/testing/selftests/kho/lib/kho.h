/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kho.h - libkho: what the tests share when they look at a running kernel
 *
 * Everything here reads; nothing prints and nothing ends the test.  Functions
 * return 0 (or a count) or a negative errno unless they say otherwise.  What
 * comes from the kernel is bounded and checked: a test that is lied to must
 * fail, not crash.
 */
#ifndef KHO_H
#define KHO_H

#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <sys/types.h>

#include "steps.h"
#include "types.h"

#define KHO_DEBUGFS	"/sys/kernel/debug/kho"
/* where machines of the suite have the test producer, for a dot and a kernel's name */
#define KHO_MODULE	"/kho/kho_producer%s%s.ko"

/* more regions than any machine of today has; what is more is an error */
#define KHO_REGIONS_MAX	1026
/* a blob longer than this is refused: the largest known one is one page */
#define KHO_BLOB_MAX	(16u << 20)

/**
 * struct kho_region - a range of physical addresses
 * @addr: first byte
 * @size: bytes
 */
struct kho_region {
	u64 addr;
	u64 size;
};

/**
 * struct kho_blob - a file's content
 * @data: malloc()ed, one NUL byte behind the content
 * @len: bytes, without that NUL
 */
struct kho_blob {
	void *data;
	size_t len;
};

/* kho.c: files, command line, what kind of boot this is */
int kho_read_file(const char *path, struct kho_blob *blob);
int kho_stay(int (*hold)(void *arg), void *arg, pid_t *pid);
int kho_read_file_at(int dirfd, const char *name, size_t chunk,
		     struct kho_blob *blob);
int kho_write(const char *path, const char *text);
void kho_blob_free(struct kho_blob *blob);
int kho_cmdline_get(const char *cmdline, const char *key, unsigned int nth,
		    char *val, size_t size);
u64 kho_memparse(const char *s, char **end);
const char *kho_dir(void);
bool kho_own_machine(void);
int kho_generation(void);
const char *kho_scenario_name(void);
int kho_cmdline_bool(const char *cmdline, const char *key);
int kho_cmdline_enabled(const char *cmdline);
const char *kho_unknown(void);
const char *kho_why_not(void);
const char *kho_no_debugfs(void);
bool kho_own_test(void);
int kho_config(const char *option);
int kho_state_save(const char *name, const void *data, size_t len);
int kho_state_load(const char *name, unsigned int generation,
		   struct kho_blob *blob);
int kho_state_get(const char *name, unsigned int generation, void *data, size_t size);

/*
 * Marks that only pages have which the page allocator gave out or keeps.  A page
 * of reserved memory that was lost can hold the old bytes for long; what the
 * kernel takes it for tells before it is too late.
 */
#define KHO_PAGES_ALLOCATED						\
	(1ULL << KPF_BUDDY | 1ULL << KPF_LRU | 1ULL << KPF_SLAB |	\
	 1ULL << KPF_MMAP | 1ULL << KPF_ANON | 1ULL << KPF_SWAPCACHE |	\
	 1ULL << KPF_COMPOUND_HEAD | 1ULL << KPF_COMPOUND_TAIL |	\
	 1ULL << KPF_HUGE | 1ULL << KPF_THP | 1ULL << KPF_PGTABLE)

/* mem.c: physical memory as the kernel tells of it */
int kho_scratch_read(const char *dir, struct kho_region *r, int max);
int kho_iomem_ram(struct kho_region *r, int max);
bool kho_in_ram(u64 addr, u64 size);
bool kho_regions_overlap(const struct kho_region *r, int nr, u64 addr, u64 size);
int kho_node_spans(int nid, struct kho_region *r, int max);
int kho_meminfo(const char *key, u64 *kib);
s64 kho_lines_sum(const char *text, const char *word);
long kho_free_pages(void);
u64 kho_largest_block(void);
long kho_vmstat(const char *name);
int kho_node_free(int nid, long *all, long *cma);
int kho_phys_map(u64 addr, u64 size, bool write, void **map);
void kho_phys_unmap(void *map, u64 addr, u64 size);
long kho_pages_marked(u64 addr, u64 size, u64 marks, u64 *first, u64 *flags);
u64 kho_pattern(u64 seed, u64 word);
void kho_pattern_fill(void *mem, u64 size, u64 seed);
int kho_pattern_check(const void *mem, u64 size, u64 seed, u64 *bad);

/**
 * struct kho_klog_ear - who listens to a kernel log line by line
 * @asked: begin of the name of a function that is asked to warn; "" if none is
 * @unsure: lines were lost, and who is asked is not known
 */
struct kho_klog_ear {
	char asked[64];
	bool unsure;
};

/* klog.c: the kernel log */
bool kho_klog_bad(struct kho_klog_ear *ear, const char *line);
bool kho_klog_warns(const char *line, const char *function);
int kho_klog_ask(const char *function);
int kho_klog_open(bool from_start);
int kho_klog_next(int fd, char *line, size_t size);
int kho_klog_hear(struct kho_klog_ear *ear, int fd, char *line, size_t size, bool *bad);
int kho_klog_find(const char *text, char *line, size_t size);

/* kexec.c: into the next kernel */
int kho_kexec_load(const char *kernel, int initrd_fd, const char *cmdline);
int kho_kexec_unload(void);
int kho_load_next(const char *kernel, int initrd);
s64 kho_image_size(const char *kernel);
s64 kho_came_with(const char *file);
int kho_kexec_loaded(void);
int kho_kexec_tool(const char *const *argv);
int kho_kexec_load_crash(const char *kernel, int initrd_fd, const char *cmdline);
int kho_next_initrd(void);

#endif /* KHO_H */
