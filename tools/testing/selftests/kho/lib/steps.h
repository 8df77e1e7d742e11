/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * steps.h - how a scenario gets from kernel to kernel, and what follows from it
 */
#ifndef KHO_STEPS_H
#define KHO_STEPS_H

#include "types.h"

/* the one of the kernels beside that under test which is built without KHO */
#define KHO_KERNEL_NOKHO	"nokho"

/**
 * enum kho_way - how a generation is entered
 * @KHO_BY_BOOT: "boot": the cold boot, which the first generation is
 * @KHO_BY_KEXEC: "kexec": kexec_file_load(), as the document tells to
 * @KHO_BY_KEXEC_LOAD: "kexec_load": the other system call, by kexec-tools
 * @KHO_BY_REBOOT: "reboot": the machine is reset; nothing of memory survives
 * @KHO_BY_CRASH: "crash": the kernel panics, and the crash kernel is entered
 */
enum kho_way {
	KHO_BY_BOOT,
	KHO_BY_KEXEC,
	KHO_BY_KEXEC_LOAD,
	KHO_BY_REBOOT,
	KHO_BY_CRASH,
	KHO_WAYS,
};

/**
 * struct kho_step - one line of a scenario's steps, or of a guest's job
 * @way: how the generation is entered
 * @kernel: name of its kernel; empty for the kernel under test
 * @refused: it must refuse what is handed over to it, if anything is
 * @anew: what is handed over to it is taken, but the count starts anew
 * @off: KHO is off in it whatever the command line says
 * @by_default: its kernel has KHO on where the command line says nothing, which
 *	khotest adds, who knows the kernels
 * @cmdline: its command line, within the line that was parsed
 *
 * The line is "<way>[@<kernel>][!][0][-][+] [<command line>]", with "!" for
 * @refused, "0" for @anew, "-" for @off and "+" for @by_default.
 */
struct kho_step {
	enum kho_way way;
	char kernel[16];
	bool refused;
	bool anew;
	bool off;
	bool by_default;
	const char *cmdline;
};

/**
 * struct kho_boot - what must be true of a generation
 * @step: how it was entered, and its command line
 * @on: KHO is on
 * @handed_over: the kernel before handed over to it, and it accepted
 * @count: KHO kexecs since the last boot without a handover
 * @first: the generation of that boot
 */
struct kho_boot {
	struct kho_step step;
	bool on;
	bool handed_over;
	unsigned int count;
	unsigned int first;
};

const char *kho_way_name(enum kho_way way);
int kho_step_parse(const char *line, struct kho_step *step, const char **why);
const struct kho_boot *kho_boot_of(int generation);
int kho_handed_over(void);
int kho_job_step(unsigned int generation, char *line, size_t size);

#endif /* KHO_STEPS_H */
