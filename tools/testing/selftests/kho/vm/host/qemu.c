// SPDX-License-Identifier: GPL-2.0-only
/*
 * qemu.c - the command that starts a machine
 *
 * All that is particular to an architecture stands in this file's table.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/asked.h"
#include "host.h"

/* what the console shows, and what keeps the machine the same from run to run */
#define CMDLINE_LOG	" loglevel=5 panic=-1 retain_initrd"
/* what it preserves is in the way of whoever looks at all that is preserved */
#define CMDLINE_QUIET	" initcall_blacklist=kho_test_init"

/* the local timer is calibrated against a tenth of a second, by waiting, at each boot */
#define CMDLINE_ONE_CPU	" nolapic_timer"

/**
 * struct arch - what a machine of an architecture is made of
 * @name: the architecture, as uname -m has it
 * @qemu: QEMU's program
 * @package: Debian's package of it
 * @machine: its -machine
 * @no_firmware: and more of it where there is no UEFI firmware
 * @cpu: its -cpu
 * @cpu_exact: the same where nothing may come from chance
 * @record: the guest's name of the channel for records
 * @record_device: that device, where it is no second serial port of the machine's own
 * @cmdline: what every kernel is told
 * @cmdline_place: what makes a kernel come up at the same place each time
 * @cmdline_one_cpu: and those that have one CPU
 * @cmdline_counter: the option that says how fast the processor's counter is, in kHz
 * @firmware: UEFI firmware, where the kernels of the suite are made for it
 * @firmware_package: Debian's package of it
 * @below: it can have memory on both sides of 4 GiB, however little that is
 * @hotplug: memory can be added to it
 */
static const struct arch {
	const char *name;
	const char *qemu;
	const char *package;
	const char *machine;
	const char *no_firmware;
	const char *cpu;
	const char *cpu_exact;
	const char *record;
	const char *record_device;
	const char *cmdline;
	const char *cmdline_place;
	const char *cmdline_one_cpu;
	const char *cmdline_counter;
	const char *firmware;
	const char *firmware_package;
	bool below;
	bool hotplug;
} archs[] = {
	{
		.name = "x86_64",
		.qemu = "qemu-system-x86_64",
		.package = "qemu-system-x86",
		.machine = "pc,usb=off,vmport=off,i8042=on",
		.no_firmware = "",
		/* pages of 1 GiB, which are reserved before there is a page allocator */
		.cpu = "qemu64,+pdpe1gb",
		.cpu_exact = "qemu64,+pdpe1gb,-rdrand,-rdseed",
		.record = "/dev/ttyS1",
		.record_device = "",
		.cmdline = "console=ttyS0 earlyprintk=serial,ttyS0,115200" CMDLINE_LOG
			   " no_timer_check",
		.cmdline_place = " nokaslr",
		.cmdline_one_cpu = CMDLINE_ONE_CPU,
		.cmdline_counter = "tsc_early_khz",
		.below = true,
		.hotplug = true,
	}, {
		.name = "aarch64",
		.qemu = "qemu-system-aarch64",
		.package = "qemu-system-arm",
		/*
		 * No seed: memory is where the loader puts it, and only addresses are
		 * random.  "nokaslr" would leave the seed of a kexec in the device tree, and
		 * kexec-tools refuses to load a kernel then.
		 */
		.machine = "virt,gic-version=3,dtb-randomness=off",
		/*
		 * Where the interrupt controller writes to memory, kernel after kernel can
		 * only know of that by UEFI (drivers/irqchip/irq-gic-v3-its.c).
		 */
		.no_firmware = ",its=off",
		/* pointers are signed by what QEMU is quick at */
		.cpu = "max,pauth-impdef=on",
		/* one that has no random numbers */
		.cpu_exact = "cortex-a72",
		.record = "/dev/ttyS0",
		.record_device = "pci-serial,chardev=record",
		.cmdline = "console=ttyAMA0 earlycon" CMDLINE_LOG,
		.cmdline_place = "",
		.cmdline_one_cpu = "",
		.cmdline_counter = "",
		.firmware = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
		.firmware_package = "qemu-efi-aarch64",
	},
};

static const struct arch *arch = archs;

/**
 * qemu_choose() - which architecture the machines are of
 * @name: as uname -m has it
 *
 * Return: false if there are no such
 */
bool qemu_choose(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		if (strcmp(archs[i].name, name))
			continue;
		arch = &archs[i];
		return true;
	}
	return false;
}

/**
 * qemu_arch() - the architecture of the machines
 *
 * Return: its name, as uname -m has it
 */
const char *qemu_arch(void)
{
	return arch->name;
}

/**
 * qemu_package() - Debian's package of the QEMU that is run
 *
 * Return: its name
 */
const char *qemu_package(void)
{
	return arch->package;
}

/**
 * qemu_binary() - the QEMU that is run
 *
 * Return: its name
 */
const char *qemu_binary(void)
{
	return arch->qemu;
}

/**
 * qemu_lacks() - what machines of this architecture do not have
 * @s: a scenario that may want it
 *
 * Return: that in words, NULL if it has all
 */
const char *qemu_lacks(const struct scenario *s)
{
	static char why[256];

	if (s->decl.low_mib && !arch->below)
		return "QEMU's machine has all of its memory above or below 4 GiB";
	if (s->decl.hot_mib && !arch->hotplug)
		return "no memory can be added to QEMU's machine";
	if (s->decl.flags & KHO_SC_UEFI && !arch->firmware)
		return "kernels of this architecture are built without UEFI";
	if (s->decl.flags & KHO_SC_UEFI && access(arch->firmware, R_OK)) {
		snprintf(why, sizeof(why), "%s is not there (Debian: apt-get install %s)",
			 arch->firmware, arch->firmware_package);
		return why;
	}
	return NULL;
}

/**
 * qemu_version() - of the QEMU that is run
 *
 * Return: as it says itself ("7.2.22"), or "unknown"
 */
const char *qemu_version(void)
{
	static char version[64];
	char line[256] = "", cmd[128];
	FILE *f;

	if (*version)
		return version;
	snprintf(version, sizeof(version), "unknown");
	snprintf(cmd, sizeof(cmd), "exec %s --version 2>/dev/null", arch->qemu);
	f = popen(cmd, "re");
	if (f) {
		if (fgets(line, sizeof(line), f))
			sscanf(line, "QEMU emulator version %63[0-9a-z.]", version);
		pclose(f);
	}
	return version;
}

/**
 * qemu_counts() - the machine that instructions are counted on
 *
 * Other versions and processors count otherwise: it is a part of what such a series
 * is called.
 *
 * Return: its name, to be freed
 */
char *qemu_counts(void)
{
	char *name;

	if (asprintf(&name, "qemu-%s/%s", qemu_version(), arch->cpu_exact) < 0)
		abort();
	return name;
}

/* how many instructions there are at a time is counted with one CPU only */
static unsigned int cpus_of(const struct kho_scenario *d)
{
	unsigned int cpus = 0;

	for (u32 i = 0; i < d->nr_nodes; i++)
		cpus += d->node[i].cpus;
	return d->flags & KHO_SC_EXACT ? 1 : d->nr_nodes ? cpus : d->cpus;
}

/*
 * The guest's counter is the host's, and its kernel would find out how fast it is by
 * waiting: for nothing, or for a wrong answer, where the host had something else to do
 * meanwhile.  To the MHz, that runs on one machine have one command line.
 */
static unsigned int counter_mhz(const struct kho_scenario *d __maybe_unused)
{
	static unsigned int mhz;
#if defined(__x86_64__)
	struct timespec from, to;
	u64 ticks;
	double ns;

	if (d->flags & KHO_SC_EXACT)
		return 1000;
	if (mhz)
		return mhz;
	clock_gettime(CLOCK_MONOTONIC_RAW, &from);
	ticks = __builtin_ia32_rdtsc();
	do {
		clock_gettime(CLOCK_MONOTONIC_RAW, &to);
		ns = (to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec;
	} while (ns < 5e6);
	mhz = (__builtin_ia32_rdtsc() - ticks) * 1e3 / ns + 0.5;
#endif
	return mhz;
}

/* scenarios call it by its first name, a kernel by its own */
static char *rename_scratch(char *line, const char *name)
{
	const char *first = kho_scratch_param("");
	size_t len = strlen(first), size;
	char *p = line, *at, *buf;
	FILE *f;

	if (!strcmp(name, first))
		return line;
	f = open_memstream(&buf, &size);
	if (!f)
		abort();
	while ((at = strstr(p, first))) {
		bool is = (at == line || at[-1] == ' ') && at[len] == '=';

		fprintf(f, "%.*s%s", (int)(at - p), p, is ? name : first);
		p = at + len;
	}
	fputs(p, f);
	if (fclose(f))
		abort();
	free(line);
	return buf;
}

/**
 * guest_cmdline() - the kernel command line of a generation
 * @s: the scenario
 * @o: what is appended to all
 * @gen: the generation
 *
 * Return: the line, to be freed
 */
char *guest_cmdline(const struct scenario *s, const struct options *o,
		    unsigned int gen)
{
	unsigned int mhz = strcmp(o->accel, "tcg") ? 0 : counter_mhz(&s->decl);
	const struct kernel *k;
	struct kho_step step;
	char *line, *end, counter[32] = "";
	int len;

	if (mhz && *arch->cmdline_counter)
		snprintf(counter, sizeof(counter), " %s=%u000", arch->cmdline_counter, mhz);
	scenario_step(s, gen, &step);
	/* up to the line that is another step */
	for (len = 0; step.cmdline[len] &&
	     (step.cmdline[len] != '\n' || step.cmdline[len + 1] == ' '); len++)
		;
	if (asprintf(&line, "%s%s%s%s%s%s%s%s%s%.*s%s%s", arch->cmdline, counter,
		     cpus_of(&s->decl) == 1 ? arch->cmdline_one_cpu : "",
		     s->decl.flags & KHO_SC_KASLR ? "" : arch->cmdline_place,
		     s->decl.flags & KHO_SC_OWN_TEST ? "" : CMDLINE_QUIET,
		     s->decl.flags & KHO_SC_EXACT ? " random.trust_cpu=off" : "",
		     *s->decl.cmdline ? " " : "", s->decl.cmdline,
		     len ? " " : "", len, step.cmdline, o->append ? " " : "",
		     o->append ? o->append : "") < 0)
		abort();
	/* lines are for whoever reads a declaration; here they are one */
	for (char *p = end = line; *p; p++) {
		if (*p == '\n')
			*p = ' ';
		if (*p != ' ' || end == line || end[-1] != ' ')
			*end++ = *p;
	}
	while (end > line && end[-1] == ' ')
		end--;
	*end = '\0';
	k = options_kernel(o, step.kernel);
	return k ? rename_scratch(line, kho_scratch_param(k->release)) : line;
}

/* one kernel hands over to another that has another ABI: a tree of another version */
static bool must_refuse(const struct scenario *s, const struct options *o, unsigned int gen)
{
	struct kho_step before, step;
	struct kernel *from, *to;

	if (!gen)
		return false;
	scenario_step(s, gen - 1, &before);
	scenario_step(s, gen, &step);
	from = options_kernel(o, before.kernel);
	to = options_kernel(o, step.kernel);
	return step.way == KHO_BY_KEXEC && from && to && from != to && *kernel_abi(from) &&
	       *kernel_abi(to) && strcmp(from->abi, to->abi);
}

static void job_step(FILE *f, const char *which, const struct scenario *s,
		     const struct options *o, unsigned int gen)
{
	char *line = guest_cmdline(s, o, gen);
	const struct kernel *k;
	struct kho_step step;

	scenario_step(s, gen, &step);
	k = options_kernel(o, step.kernel);
	step.refused |= must_refuse(s, o, gen);
	fprintf(f, "step %s %s%s%s%s%s%s%s %s\n", which, kho_way_name(step.way),
		*step.kernel ? "@" : "", step.kernel, step.refused ? "!" : "",
		step.anew ? "0" : "", step.off ? "-" : "",
		k && kernel_by_default(k) ? "+" : "", line);
	free(line);
}

/**
 * guest_job() - what init is told to do
 * @s: the scenario
 * @o: generations, what is appended to the command lines
 *
 * Return: the content of /kho/job, to be freed
 */
char *guest_job(const struct scenario *s, const struct options *o)
{
	struct kho_step step;
	unsigned int gen = 0;
	char *buf, num[16];
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	if (!f)
		abort();
	fprintf(f, "kho-job 2\nscenario %s\ngenerations %u\nflags %u\nrecord %s\n",
		s->decl.name, scenario_generations(s, o), s->decl.flags,
		arch->record);
	for (int i = 0; i < KHO_PROGRAMS_MAX; i++) {
		if (*s->decl.programs[i])
			fprintf(f, "program %s\n", s->decl.programs[i]);
		else if (!i)
			fprintf(f, "program %s\n", s->program);
	}
	/* the cold boot is never like those behind the steps, and the first of these may be
	 * the only one that another kernel hands over to
	 */
	do {
		snprintf(num, sizeof(num), "%u", gen);
		job_step(f, num, s, o, gen);
	} while (scenario_step(s, ++gen, &step) || must_refuse(s, o, gen));
	job_step(f, "*", s, o, gen);
	if (fclose(f))
		abort();
	return buf;
}

struct args {
	char **v;
	int n;
};

static void __printf(2, 3) arg(struct args *a, const char *fmt, ...)
{
	va_list ap;

	a->v = realloc(a->v, (a->n + 2) * sizeof(*a->v));
	if (!a->v)
		abort();
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n++], fmt, ap) < 0)
		abort();
	va_end(ap);
	a->v[a->n] = NULL;
}

/*
 * Scenarios have memory for scratch in blocks of 4 MiB.  Where blocks are larger, any may be
 * in use at its other end: there are three regions on the first node or, from the top down,
 * two on another, which can begin anywhere, and the top of each has what the boot allocates.
 */
static unsigned int more_memory(const struct options *o, unsigned int node)
{
	unsigned int block = kernel_block_mib(o->tested);

	return block == 4 ? 0 : (node ? 4 : 5) * block;
}

static unsigned int memory_of(const struct scenario *s, const struct options *o,
			      unsigned int node)
{
	unsigned int mib = s->decl.node[node].memory_mib;

	return mib ? mib + more_memory(o, node) : 0;
}

/**
 * qemu_argv() - the command that starts a scenario's machine
 * @s: the scenario
 * @o: kernel, accelerator
 * @dir: the scenario's directory: initramfs and console
 * @kernel: the first kernel's image
 * @cmdline: of the first kernel
 * @record_fd: descriptor that records are written to; -1 for a file in @dir,
 *	for the command that a person repeats
 *
 * Return: the arguments, to be freed one by one
 */
char **qemu_argv(const struct scenario *s, const struct options *o,
		 const char *dir, const char *kernel, const char *cmdline,
		 int record_fd)
{
	const struct kho_scenario *d = &s->decl;
	bool exact = d->flags & KHO_SC_EXACT;
	unsigned int cpus = cpus_of(d), mem = d->memory_mib;
	struct args a = { };
	char low[40] = "";

	if (d->nr_nodes) {
		mem = 0;
		for (u32 i = 0; i < d->nr_nodes; i++)
			mem += memory_of(s, o, i);
	} else {
		mem += more_memory(o, 0);
	}
	arg(&a, "%s", arch->qemu);
	arg(&a, "-nodefaults");
	arg(&a, "-no-user-config");
	arg(&a, "-no-reboot");
	arg(&a, "-display");
	arg(&a, "none");
	arg(&a, "-machine");
	/* what is not below 4 GiB is above, however little it is in all */
	if (d->low_mib)
		snprintf(low, sizeof(low), ",max-ram-below-4g=%uM", d->low_mib);
	arg(&a, "%s%s%s", arch->machine, d->flags & KHO_SC_UEFI ? "" : arch->no_firmware, low);
	if (d->flags & KHO_SC_UEFI) {
		arg(&a, "-bios");
		arg(&a, "%s", arch->firmware);
	}
	arg(&a, "-accel");
	/* a large cache keeps the translations of the kernels before, a small one not enough */
	arg(&a, "%s%s", o->accel, strcmp(o->accel, "tcg") ? "" :
	    d->flags & KHO_SC_PARALLEL ? ",tb-size=20" :
	    ",tb-size=20,thread=single");
	arg(&a, "-cpu");
	arg(&a, "%s", strcmp(o->accel, "tcg") ? "host" :
	    exact ? arch->cpu_exact : arch->cpu);
	arg(&a, "-smp");
	/* cores of one socket on two nodes are a machine that cannot be */
	arg(&a, "cpus=%u,sockets=%u,cores=1,threads=1", cpus, cpus);
	arg(&a, "-m");
	if (d->hot_mib)
		arg(&a, "%u,slots=1,maxmem=%uM", mem, mem + d->hot_mib);
	else
		arg(&a, "%u", mem);
	for (u32 i = 0, cpu = 0; i < d->nr_nodes; i++) {
		const struct kho_node *n = &d->node[i];
		char of_cpus[32] = "", of_mem[32] = "";

		if (n->memory_mib) {
			arg(&a, "-object");
			arg(&a, "memory-backend-ram,id=mem%u,size=%uM", i,
			    memory_of(s, o, i));
			snprintf(of_mem, sizeof(of_mem), ",memdev=mem%u", i);
		}
		if (n->cpus)
			snprintf(of_cpus, sizeof(of_cpus), ",cpus=%u-%u", cpu,
				 cpu + n->cpus - 1);
		cpu += n->cpus;
		arg(&a, "-numa");
		arg(&a, "node,nodeid=%u%s%s", i, of_mem, of_cpus);
	}
	if (d->hot_mib) {
		arg(&a, "-object");
		arg(&a, "memory-backend-ram,id=hot,size=%uM", d->hot_mib);
		arg(&a, "-device");
		arg(&a, "pc-dimm,id=dimm,memdev=hot,node=%u", d->nr_nodes ? d->nr_nodes - 1 : 0);
	}
	if (exact) {
		arg(&a, "-icount");
		arg(&a, "shift=0,sleep=off");
		arg(&a, "-rtc");
		arg(&a, "base=2026-01-01T00:00:00,clock=vm");
	}
	arg(&a, "-chardev");
	/* a machine that reboots starts anew, and goes on with its console */
	arg(&a, "file,id=console,path=%s/console.log,append=on", dir);
	arg(&a, "-serial");
	arg(&a, "chardev:console");
	arg(&a, "-chardev");
	if (record_fd >= 0)
		arg(&a, "file,id=record,path=/dev/fd/%d", record_fd);
	else
		arg(&a, "file,id=record,path=%s/records.log", dir);
	if (*arch->record_device) {
		arg(&a, "-device");
		arg(&a, "%s", arch->record_device);
	} else {
		arg(&a, "-serial");
		arg(&a, "chardev:record");
	}
	arg(&a, "-kernel");
	arg(&a, "%s", kernel);
	arg(&a, "-initrd");
	arg(&a, "%s/initrd.cpio", dir);
	arg(&a, "-append");
	arg(&a, "%s", cmdline);
	return a.v;
}

/**
 * shell_quote() - a command as a shell takes it
 * @argv: the arguments
 *
 * Return: one line, to be freed
 */
char *shell_quote(char *const *argv)
{
	char *buf;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	if (!f)
		abort();
	for (int i = 0; argv[i]; i++) {
		const char *p = argv[i];

		if (i)
			fputc(' ', f);
		if (*p && !p[strcspn(p, " \t\n\"'\\$`*?;&|<>(){}[]#~!")]) {
			fputs(p, f);
			continue;
		}
		fputc('\'', f);
		for (; *p; p++)
			if (*p == '\'')
				fputs("'\\''", f);
			else
				fputc(*p, f);
		fputc('\'', f);
	}
	if (fclose(f))
		abort();
	return buf;
}
