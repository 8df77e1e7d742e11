/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * host.h - what the parts of khotest share
 */
#ifndef KHO_HOST_H
#define KHO_HOST_H

#include <jansson.h>
#include <sys/types.h>

#include "../../lib/record.h"
#include "../../lib/scenario.h"
#include "../../lib/steps.h"
#include "../../lib/types.h"

/* exit status of khotest, as kselftest has it where it has one */
enum {
	EX_PASS = 0,
	EX_FAIL = 1,
	EX_CANNOT = 2,
	EX_SKIP = 4,
};

/* as many as a run can have */
#define GENERATIONS_MAX	1000000

/* kernels beside the one under test that can be named */
#define ALSO_MAX	8

/**
 * struct scenario - a declaration and the program that holds it
 * @decl: as declared, checked
 * @program: base name of the program
 */
struct scenario {
	struct kho_scenario decl;
	char program[256];
};

/**
 * struct options - what "khotest run" was told
 * @kernel: image under test
 * @tested: what is known of it
 * @also: more kernels, that scenarios ask for by name
 * @nr_also: how many
 * @module: kho_producer.ko built for a kernel; by its name, "" for @kernel
 * @nr_module: how many
 * @kconfig: its configuration file, NULL to look for it
 * @results: directory for all that comes out
 * @programs: directory of the suite's programs
 * @sysroot: programs and libraries for machines whose programs do not run on the host;
 *	NULL for the host's own
 * @own: directory of khotest itself
 * @known_issues: file of known issues
 * @append: more for every command line
 * @accel: QEMU's accelerator
 * @init: /init of the guest; the first program but in the suite's own tests
 * @jobs: machines side by side
 * @generations: instead of what a scenario declares, 0 for that
 * @chain: the same for chains alone, as the profile has it
 * @seconds: chains go on for so long, 0 for as many generations as they have
 * @slow: factor for deadlines (KSFT_MACHINE_SLOW)
 * @here: not in machines of QEMU, but on the one that khotest runs on
 * @kexec_here: which may be kexeced
 * @go_on: it was: systemd started this khotest
 * @initrd: for the kernel that is kexeced to here, NULL for none
 */
struct options {
	const char *kernel;
	struct kernel *tested;
	struct {
		const char *name;
		struct kernel *kernel;
	} also[ALSO_MAX];
	int nr_also;
	struct {
		const char *name;
		const char *path;
	} module[ALSO_MAX + 1];
	int nr_module;
	const char *kconfig;
	const char *results;
	const char *programs;
	const char *sysroot;
	const char *own;
	const char *known_issues;
	const char *append;
	const char *accel;
	const char *init;
	int jobs;
	unsigned int generations;
	unsigned int chain;
	unsigned int seconds;
	unsigned int slow;
	bool here;
	bool kexec_here;
	bool go_on;
	const char *initrd;
};

/**
 * struct kernel - what is known of a kernel image
 * @path: its file
 * @arch: what it runs on, as uname -m has it
 * @release: as its header says
 * @sha256: of the image, "" if nobody could say
 * @size: bytes
 * @config: its configuration, NULL if it could not be found
 * @config_from: where that was found
 * @abi: for kernel_abi()
 * @abi_looked: it was called
 */
struct kernel {
	const char *path;
	const char *arch;
	char release[128];
	char sha256[65];
	u64 size;
	char *config;
	char config_from[4096];
	char abi[32];
	bool abi_looked;
};

enum status { ST_PASS, ST_FAIL, ST_SKIP, ST_XFAIL, ST_MISS, ST_COUNT };

/* ktap.c */
enum ktap_kind { KTAP_OTHER, KTAP_PLAN, KTAP_OK, KTAP_NOT_OK, KTAP_DIAG };

/**
 * struct ktap_line - one line of KTAP
 * @kind: what it is
 * @number: test number, or the plan's count
 * @skip: the test was skipped
 * @name: the test's name
 * @reason: of a skip; or the diagnostic's text
 */
struct ktap_line {
	enum ktap_kind kind;
	unsigned int number;
	bool skip;
	char name[128];
	char reason[KHO_RECORD_MAX];
};

void ktap_parse(const char *line, struct ktap_line *k);
bool ktap_noise(const char *diag);
int ktap_value(const char *diag, json_t **value);
int ktap_more(const char *diag, char *name, size_t name_size, json_t **list);
int ktap_memory(const char *diag, json_t **range);
const char *ktap_environment(const char *diag, char *key, size_t key_size);
void ktap_name(const char *name, char *req, size_t req_size, char *test,
	       size_t test_size);

struct kho_blob;

/* scenarios.c */
int elf_section(const void *elf, size_t len, const char *name, const void **at,
		size_t *size, const char **why);
int programs_each(const char *dir, int (*fn)(const char *name, const struct kho_blob *b,
					     const char **why, void *arg), void *arg);
int scenarios_read(const char *dir, struct scenario **list);
int scenario_parse(const void *elf, size_t len, struct scenario **list, int *nr,
		   const char **why);
unsigned int scenario_generations(const struct scenario *s,
				  const struct options *o);
const char *scenario_step(const struct scenario *s, unsigned int gen,
			  struct kho_step *step);
bool scenario_uses(const struct scenario *s, enum kho_way way);
bool scenario_kernel(const struct scenario *s, int n, char *name, size_t size);
struct kernel *options_kernel(const struct options *o, const char *name);
const char *options_module(const struct options *o, const char *name);
bool scenario_matches(const struct scenario *s, const char *pattern);

/* shrink.c */
int shrink(int argc, char **argv);

/* compare.c */
int compare(int argc, char **argv);
json_t *compare_rows(const char *base, const char *new);

/* khotest.c: commands */
const char *own_dir(void);
int run_command(int argc, char **argv);
int list_command(int argc, char **argv);
int report_command(int argc, char **argv);
int decode_command(int argc, char **argv);

/* help.c */
int command_run(int argc, char **argv);
int help(int argc, char **argv);
void help_usage(const char *name, FILE *f);

/* qualify.c */
int qualify(int argc, char **argv);
int run_and_wait(char *const *argv, const char *out);

/* matrix.c */
int matrix_run(int argc, char **argv);

/* export.c */
int export_kcidb(int argc, char **argv);
int export_junit(int argc, char **argv);

/* coverage.c */
int coverage_show(const char *dir);

/* kernel.c */
int kernel_open(const char *path, const char *kconfig, struct kernel *k,
		char *why, size_t size);
bool kernel_has(const struct kernel *k, const char *option);
bool kernel_lacks(const struct kernel *k, const char *option);
bool kernel_by_default(const struct kernel *k);
unsigned int kernel_block_mib(const struct kernel *k);
const char *kernel_abi(struct kernel *k);

/* initramfs.c */
int initramfs_write(const char *path, const struct scenario *s,
		    const struct options *o, const char *job,
		    unsigned int gen, char *why, size_t size);
bool find_program(const char *root, const char *name, char *path, size_t size);

/* qemu.c */
char *guest_cmdline(const struct scenario *s, const struct options *o,
		    unsigned int gen);
char *guest_job(const struct scenario *s, const struct options *o);
char **qemu_argv(const struct scenario *s, const struct options *o,
		 const char *dir, const char *kernel, const char *cmdline,
		 int record_fd);
bool qemu_choose(const char *arch);
const char *qemu_binary(void);
const char *qemu_arch(void);
const char *qemu_package(void);
const char *qemu_lacks(const struct scenario *s);
const char *qemu_version(void);
char *qemu_counts(void);
char *shell_quote(char *const *argv);

/* machine.c */
int machines_run(struct scenario **s, int nr, const struct options *o,
		 const struct kernel *k);

/* here.c */
int here_run(struct scenario **s, int nr, const struct options *o, const struct kernel *k);

/* results.c */
int results_open(const struct options *o, const struct kernel *k, int scenarios);
json_t *results_scenario(const struct scenario *s, const struct options *o);
enum status results_check(json_t *scn, unsigned int generation, const char *release,
			  const char *requirement, const char *test,
			  enum status status, double seconds, const char *reason,
			  json_t *evidence);
void results_repeat(json_t *scn, const struct scenario *s, const struct options *o,
		    unsigned int generations);
void results_value(json_t *scn, unsigned int generation, const char *release,
		   const char *test, json_t *value);
bool results_more(json_t *scn, const char *name, json_t *samples);
json_t *results_named(const char *name);
bool results_failed(json_t *scn);
void results_expect(json_t *scn, unsigned int generation, const char *reason);
void results_forget(void);
int results_suspend(void);
int results_resume(const struct options *o);
int results_write(bool force);
int results_close(const char *status);
bool results_broken(void);
json_t *results_load(const char *of, char **path);
void results_show(json_t *root);
int results_exit(json_t *root);

/* report.c; parts of the page */
extern const char report_css[], report_js[];
void report_put(FILE *f, const char *s);
int report_html(json_t *root, const char *of, const char *base, const char *path);

/* schema.c; the schema's file, as it was when this was built */
extern const char results_schema[], results_schema_end[];
bool schema_refuses(json_t *doc, char *why, size_t size);
json_t *text(const char *s);
double now(void);

/* khotest.c */
void __printf(1, 2) complain(const char *fmt, ...);

#endif /* KHO_HOST_H */
