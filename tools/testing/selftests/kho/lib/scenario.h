/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scenario.h - what a scenario declares about the machine it wants
 *
 * A scenario is a test that crosses a kexec.  Its program declares, as data in
 * an ELF section of its own, the machine to run on; khotest reads the
 * declaration from the program file itself, so nothing is said twice and a
 * program for another architecture can be read without running it.
 *
 * The layout is that of the target; all targets are 64-bit little endian.
 */
#ifndef KHO_SCENARIO_H
#define KHO_SCENARIO_H

#include "types.h"

#define KHO_SCENARIO_SECTION	"kho_scenario"
#define KHO_SCENARIO_MAGIC	0x334e43534f484bULL	/* "KHOSCN3" */

#define KHO_NODES_MAX		8
#define KHO_STEPS_LEN		4096
#define KHO_FILES_MAX		4
#define KHO_PROGRAMS_MAX	6

/* struct kho_scenario.flags */
enum {
	/* the program itself loads the next kernel; init only jumps */
	KHO_SC_PROGRAM_LOADS	= 1 << 0,
	/* instruction counting: guest time is the count of instructions */
	KHO_SC_EXACT		= 1 << 1,
	/* not part of a plain "khotest run"; must be named */
	KHO_SC_ON_DEMAND	= 1 << 2,
	/* the kernel may be without KHO, and the scenario says what then */
	KHO_SC_ANY_KERNEL	= 1 << 3,
	/* CPUs run truly side by side, which costs more than it gives elsewhere */
	KHO_SC_PARALLEL		= 1 << 4,
	/* part of the quick profile: what a developer runs before each commit */
	KHO_SC_QUICK		= 1 << 5,
	/* the next kernel is loaded before the programs run: what they change
	 * comes after, and nothing of what they save is carried on
	 */
	KHO_SC_LOAD_FIRST	= 1 << 6,
	/* the test producer's module is carried along; skipped where there is none */
	KHO_SC_MODULE		= 1 << 7,
	/* the kernel's own test of KHO (lib/test_kho.c) runs where it is built in */
	KHO_SC_OWN_TEST		= 1 << 8,
	/* each kernel chooses by chance where it is: no nokaslr */
	KHO_SC_KASLR		= 1 << 9,
	/* before a reboot the kernel panics; the crash image that a program loaded
	 * and damaged must not come up, and khotest resets the machine when no
	 * record came for as long as a step may take
	 */
	KHO_SC_DAMAGED		= 1 << 10,
	/* a chain: goes on for as many generations as one asks for */
	KHO_SC_CHAIN		= 1 << 11,
	/* asks nothing of the machine, its command line and its other kernels: runs on
	 * any that has KHO on, khotest's own one too
	 */
	KHO_SC_HERE		= 1 << 12,
	/* the machine has UEFI firmware, and tells of itself by ACPI */
	KHO_SC_UEFI		= 1 << 13,
	/* the jump is that of "kexec -e" */
	KHO_SC_KEXEC_E		= 1 << 14,
};

/**
 * struct kho_node - one NUMA node of the machine
 * @memory_mib: its memory in MiB; 0 for a memoryless node
 * @cpus: how many CPUs it has; 0 for a node without
 */
struct kho_node {
	u32 memory_mib;
	u32 cpus;
};

/**
 * struct kho_scenario - the machine a scenario wants
 * @magic: KHO_SCENARIO_MAGIC
 * @size: sizeof(struct kho_scenario), so that another layout is noticed
 * @flags: KHO_SC_*
 * @name: stable name, [a-z0-9_.]; the first part is the suite: conformance,
 *	stress or perf
 * @summary: one line for "khotest list"
 * @cpus: number of CPUs; with nodes the sum of their CPUs, 0 means just that
 * @memory_mib: memory in MiB; with nodes the sum of theirs, 0 means just that
 * @nr_nodes: number of @node in use; 0: a machine without NUMA information
 * @node: the NUMA nodes
 * @low_mib: how much of the memory is below 4 GiB; 0: as much as the machine
 *	can put there
 * @hot_mib: memory beyond all this, on the last node, which the kernel adds when it
 *	finds the device (CONFIG_ACPI_HOTPLUG_MEMORY)
 * @generations: how many kernels run one after the other: 1 is a cold boot
 *	alone, 3 a cold boot and two handovers; 0: as many as @steps has
 * @step_seconds: deadline of a step (no record for that long is a hang) on a
 *	machine of ordinary speed; 0: the runner's default
 * @cmdline: kernel command line of every generation, behind the runner's own; a
 *	newline is a blank
 * @steps: how each generation is entered and what its command line has in
 *	addition, a line each, see struct kho_step; a line that begins with a
 *	blank continues the one before; generations beyond them are KHO kexecs
 *	with nothing in addition
 * @programs: what init runs in every generation, one after the other, by name;
 *	none: the program that holds this declaration
 * @files: programs that are carried along with the libraries they need, by name:
 *	of the suite ("khotest") or of the host ("stress-ng"); where one is missing
 *	the scenario is skipped
 */
struct kho_scenario {
	u64 magic;
	u32 size;
	u32 flags;
	char name[64];
	char summary[128];
	u32 cpus;
	u32 memory_mib;
	u32 nr_nodes;
	struct kho_node node[KHO_NODES_MAX];
	u32 low_mib;
	u32 hot_mib;
	u32 generations;
	u32 step_seconds;
	char cmdline[512];
	char steps[KHO_STEPS_LEN];
	char programs[KHO_PROGRAMS_MAX][32];
	char files[KHO_FILES_MAX][32];
};

/**
 * KHO_SCENARIO() - declare a scenario
 * @ident: C identifier of the declaration
 *
 * Followed by "= { KHO_SCENARIO_HEAD, ... };", with what the scenario wants as
 * designated initialisers.
 */
#define KHO_SCENARIO(ident)						\
	static const struct kho_scenario ident				\
	__used __aligned(8) __section(KHO_SCENARIO_SECTION)

#define KHO_SCENARIO_HEAD						\
	.magic = KHO_SCENARIO_MAGIC, .size = sizeof(struct kho_scenario)

#endif /* KHO_SCENARIO_H */
