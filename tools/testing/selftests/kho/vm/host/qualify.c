// SPDX-License-Identifier: GPL-2.0-only
/*
 * qualify.c - can a distribution ship this kernel with KHO?
 *
 * Whether it can be judged at all is a question of its configuration, which takes no
 * machine to answer.  Then the profile runs, and what came of it is a verdict with its
 * reasons, on one page.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define ARGS_MAX	64
#define DEBS_MAX	8
#define PRODUCER	"kho_producer.ko"
/* checks that are named on the page; the rest is in the results */
#define NAMED_MAX	20

enum need { NEEDED, RECOMMENDED, HARMFUL };

/* what a kernel must, should and should not have, and why */
static const struct {
	const char *option;
	enum need need;
	const char *why;
} options[] = {
	{ "CONFIG_KEXEC_HANDOVER", NEEDED, "what is to be judged" },
	{ "CONFIG_KEXEC_FILE", NEEDED, "KHO comes with kexec_file_load() only" },
	{ "CONFIG_BLK_DEV_INITRD", NEEDED, "machines boot from an initramfs" },
	{ "CONFIG_BINFMT_ELF", NEEDED, "its programs" },
	{ "CONFIG_PROC_FS", NEEDED, "memory and command line are read there" },
	{ "CONFIG_SYSFS", NEEDED, "so are KHO's own files" },
	{ "CONFIG_PRINTK", NEEDED, "a kernel log that says nothing proves nothing" },
	{ "CONFIG_SERIAL_8250_CONSOLE", NEEDED, "machines tell what they see there" },
	{ "CONFIG_KEXEC_HANDOVER_DEBUGFS", RECOMMENDED, "the debugfs interface" },
	{ "CONFIG_DEBUG_FS", RECOMMENDED, "the debugfs interface" },
	{ "CONFIG_LIVEUPDATE", RECOMMENDED, "sessions of live update" },
	{ "CONFIG_LIVEUPDATE_MEMFD", RECOMMENDED, "memfds that outlive a kexec" },
	{ "CONFIG_NUMA", RECOMMENDED, "scratch on each node" },
	{ "CONFIG_MODULES", RECOMMENDED, "the test producer: the in-kernel interface" },
	{ "CONFIG_PROC_KCORE", RECOMMENDED, "the preserved-memory map of the live kernel" },
	{ "CONFIG_PROC_PAGE_MONITOR", RECOMMENDED, "whose pages scratch holds" },
	{ "CONFIG_KPROBE_EVENTS", RECOMMENDED, "what KHO's functions cost" },
	{ "CONFIG_KEXEC_SIG_FORCE", HARMFUL, "only signed kernels can be loaded" },
	{ "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY", HARMFUL,
	  "loading and looking are forbidden from boot on" },
	{ "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY", HARMFUL,
	  "loading and looking are forbidden from boot on" },
	{ "CONFIG_STRICT_DEVMEM", HARMFUL, "reserved memory cannot be read" },
};

static const char * const need_names[] = { "needed", "recommended", "harmful" };

enum verdict { QUALIFIED, KNOWN_ISSUES, NOT_QUALIFIED, CANNOT_BE_JUDGED };

static const char * const verdict_names[] = {
	"qualified", "qualified with known issues", "not qualified", "cannot be judged",
};

/**
 * struct candidate - a kernel that is to be qualified
 * @image: its file
 * @config: its configuration's
 * @results: where it is written to
 * @unpacked: what a package was unpacked to, "" if there is none
 * @page: the page
 */
struct candidate {
	char image[PATH_MAX], config[PATH_MAX], results[PATH_MAX], unpacked[PATH_MAX];
	FILE *page;
};

/**
 * run_and_wait() - run a program to its end
 * @argv: its arguments, its file the first of them
 * @out: where its output goes to
 *
 * Return: its exit status; -1 if it had none
 */
int run_and_wait(char *const *argv, const char *out)
{
	int fd, status;
	pid_t pid = fork();

	if (!pid) {
		fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0)
			_exit(127);
		dup2(fd, STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool one_file(const char *dir, const char *pattern, char *path)
{
	char all[PATH_MAX + 32];
	glob_t g;
	bool is;

	snprintf(all, sizeof(all), "%s/%s", dir, pattern);
	is = !glob(all, 0, NULL, &g) && g.gl_pathc == 1;
	if (is)
		snprintf(path, PATH_MAX, "%s", g.gl_pathv[0]);
	globfree(&g);
	return is;
}

/* a distribution's packages: image and configuration are where it has them */
static bool open_packages(struct candidate *c, const char *const *deb, int nr)
{
	snprintf(c->unpacked, sizeof(c->unpacked), "%.4000s/package", c->results);
	for (int i = 0; i < nr; i++) {
		char *const argv[] = { "dpkg-deb", "-x", (char *)deb[i], c->unpacked, NULL };

		if (access(deb[i], R_OK)) {
			complain("%s: %s", deb[i], strerror(errno));
			return false;
		}
		if (run_and_wait(argv, "/dev/null")) {
			complain("%s: dpkg-deb cannot unpack it", deb[i]);
			return false;
		}
	}
	if (!one_file(c->unpacked, "boot/vmlinuz-*", c->image) &&
	    !one_file(c->unpacked, "usr/lib/modules/*/vmlinuz", c->image)) {
		complain("%s: neither boot/vmlinuz-* nor usr/lib/modules/*/vmlinuz is in it",
			 deb[nr - 1]);
		return false;
	}
	if (!*c->config && !one_file(c->unpacked, "boot/config-*", c->config))
		one_file(c->unpacked, "usr/lib/modules/*/config", c->config);
	return true;
}

static bool is_built_in_or_module(const struct kernel *k, const char *option)
{
	char line[128];

	snprintf(line, sizeof(line), "\n%s=m", option);
	return kernel_has(k, option) || strstr(k->config, line);
}

/* the table; returns what is needed and is not there, NULL if all is */
static const char *show_options(struct candidate *c, const struct kernel *k)
{
	const char *missing = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		bool has = kernel_has(k, options[i].option);
		bool good = options[i].need != HARMFUL;
		const char *is = has ? "set" : is_built_in_or_module(k, options[i].option) ?
				 "module" : "not set";

		if (has == good)
			continue;
		fprintf(c->page, "%-12s %-46s %-8s %s\n", need_names[options[i].need],
			options[i].option, is, options[i].why);
		if (options[i].need == NEEDED && !missing)
			missing = options[i].option;
	}
	return missing;
}

static int conclude(struct candidate *c, enum verdict v, const char *why)
{
	static const int status[] = { EX_PASS, EX_PASS, EX_FAIL, EX_SKIP };

	fprintf(c->page, "\nverdict: %s%s%s\n", verdict_names[v], *why ? ": " : "", why);
	return status[v];
}

/* what a run says of the kernel */
static int judge(struct candidate *c, json_t *root)
{
	json_t *r, *issues = json_object();
	unsigned int failed = 0, passed = 0;
	const char *id, *status;
	char why[256];
	json_t *n;
	size_t i;

	json_array_foreach(json_object_get(root, "results"), i, r) {
		status = json_string_value(json_object_get(r, "status"));
		passed += !strcmp(status, "PASS");
		if (!strcmp(status, "XFAIL")) {
			id = json_string_value(json_object_get(r, "known_issue"));
			n = json_object_get(issues, id);
			json_object_set_new(issues, id, json_integer(json_integer_value(n) + 1));
		}
		if (strcmp(status, "FAIL") && strcmp(status, "MISS"))
			continue;
		if (failed++ < NAMED_MAX)
			fprintf(c->page, "%s: %s generation %lld: %s\n", status,
				json_string_value(json_object_get(r, "scenario")),
				(long long)json_integer_value(json_object_get(r, "generation")),
				json_string_value(json_object_get(r, "test")));
	}
	if (failed > NAMED_MAX)
		fprintf(c->page, "and %u more\n", failed - NAMED_MAX);
	json_object_foreach(issues, id, n)
		fprintf(c->page, "known issue: %s (%lld checks)\n", id,
			(long long)json_integer_value(n));
	status = json_string_value(json_object_get(root, "status"));
	if (failed && !strcmp(status, "complete")) {
		snprintf(why, sizeof(why), "%u checks failed or are missing", failed);
		return conclude(c, NOT_QUALIFIED, why);
	}
	if (strcmp(status, "complete")) {
		snprintf(why, sizeof(why), "the run is not complete but %s", status);
		return conclude(c, CANNOT_BE_JUDGED, why);
	}
	if (!passed)
		return conclude(c, CANNOT_BE_JUDGED, "nothing could be tested");
	snprintf(why, sizeof(why), "%u checks passed", passed);
	return conclude(c, json_object_size(issues) ? KNOWN_ISSUES : QUALIFIED, why);
}

/* where the test producer is among a kernel's modules, "" if it is not */
static char producer[PATH_MAX];

static int look_for_producer(const char *path, const struct stat *st __maybe_unused, int type,
			     struct FTW *ftw)
{
	if (type != FTW_F || strcmp(path + ftw->base, PRODUCER))
		return 0;
	snprintf(producer, sizeof(producer), "%s", path);
	return 1;
}

/* a kernel's own modules: all that the suite needs of them is the test producer */
static bool take_modules(const char *dir)
{
	struct stat st;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode)) {
		complain("--modules %s: %s", dir, strerror(errno ?: ENOTDIR));
		return false;
	}
	if (nftw(dir, look_for_producer, 16, FTW_PHYS) < 0) {
		complain("--modules %s: %s", dir, strerror(errno));
		return false;
	}
	if (!*producer)
		complain("--modules %s: no %s there: what needs it is skipped", dir, PRODUCER);
	return true;
}

static int run_profile(struct candidate *c, char **more, int nr)
{
	char *argv[ARGS_MAX + 18] = { "/proc/self/exe", "run", "--kernel", c->image };
	char results[PATH_MAX + 16], ktap[PATH_MAX + 16], *path;
	json_t *root;
	int n = 4, status;

	if (*c->config) {
		argv[n++] = "--kconfig";
		argv[n++] = c->config;
	}
	snprintf(results, sizeof(results), "%s/run", c->results);
	snprintf(ktap, sizeof(ktap), "%s/ktap.log", c->results);
	argv[n++] = "--results";
	argv[n++] = results;
	if (*producer) {
		argv[n++] = "--module";
		argv[n++] = producer;
	}
	for (int i = 0; i < nr; i++)
		argv[n++] = more[i];
	status = run_and_wait(argv, ktap);
	if (status != EX_PASS && status != EX_FAIL && status != EX_SKIP)
		return conclude(c, CANNOT_BE_JUDGED, "the machines did not run");
	root = results_load(results, &path);
	if (!root)
		return conclude(c, CANNOT_BE_JUDGED, "the run left no results");
	status = judge(c, root);
	json_decref(root);
	free(path);
	return status;
}

/* what is ours of the arguments; the rest is for the run; false: complained about */
static bool take(struct candidate *c, int argc, char **argv, const char **deb, int *nr_deb,
		 char **more, int *nr)
{
	char *results = NULL;
	time_t t = time(NULL);

	for (int i = 0; i < argc; i++) {
		bool has = i + 1 < argc;

		if (!strcmp(argv[i], "--kernel") && has) {
			snprintf(c->image, sizeof(c->image), "%s", argv[++i]);
		} else if ((!strcmp(argv[i], "--config") || !strcmp(argv[i], "--kconfig")) && has) {
			snprintf(c->config, sizeof(c->config), "%s", argv[++i]);
		} else if (!strcmp(argv[i], "--deb") && has) {
			i++;
			if (*nr_deb < DEBS_MAX)
				deb[*nr_deb] = argv[i];
			++*nr_deb;
		} else if (!strcmp(argv[i], "--results") && has) {
			results = argv[++i];
		} else if (!strcmp(argv[i], "--modules") && has) {
			errno = 0;
			if (!take_modules(argv[++i]))
				return false;
		} else {
			if (*nr < ARGS_MAX)
				more[*nr] = argv[i];
			++*nr;
		}
	}
	if (*nr > ARGS_MAX || *nr_deb > DEBS_MAX) {
		complain("too many arguments");
		return false;
	}
	if (!*c->image == !*nr_deb) {
		help_usage("qualify", stderr);
		return false;
	}
	if (results)
		snprintf(c->results, sizeof(c->results), "%s", results);
	else
		strftime(c->results, sizeof(c->results), "qualification-%Y%m%d-%H%M%S",
			 localtime(&t));
	if (mkdir(c->results, 0755)) {
		complain("%s: %s", c->results, strerror(errno));
		return false;
	}
	return true;
}

/**
 * qualify() - the command "khotest qualify"
 * @argc: arguments behind it
 * @argv: the arguments
 *
 * Return: exit status
 */
int qualify(int argc, char **argv)
{
	char *more[ARGS_MAX], why[512], path[PATH_MAX + 32], *page;
	const char *deb[DEBS_MAX], *missing;
	struct candidate c = { };
	struct kernel k = { };
	int nr = 0, nr_deb = 0, status;
	size_t len;
	FILE *f;

	if (!take(&c, argc, argv, deb, &nr_deb, more, &nr) ||
	    (nr_deb && !open_packages(&c, deb, nr_deb)))
		return EX_CANNOT;
	if (kernel_open(c.image, *c.config ? c.config : NULL, &k, why, sizeof(why))) {
		complain("%s", why);
		return EX_CANNOT;
	}
	c.page = open_memstream(&page, &len);
	if (!c.page)
		abort();
	fprintf(c.page, "kernel:  %s\nimage:   %s\nsha256:  %s\nconfig:  %s\n\n", k.release,
		c.image, *k.sha256 ? k.sha256 : "unknown", k.config ? k.config_from : "unknown");
	if (!k.config) {
		status = conclude(&c, CANNOT_BE_JUDGED,
				  "its configuration is not known: name it with --config");
	} else {
		missing = show_options(&c, &k);
		if (missing) {
			snprintf(why, sizeof(why), "%s is not set", missing);
			status = conclude(&c, CANNOT_BE_JUDGED, why);
		} else {
			status = run_profile(&c, more, nr);
		}
	}
	if (fclose(c.page))
		abort();
	fputs(page, stdout);
	snprintf(path, sizeof(path), "%s/qualification.txt", c.results);
	f = fopen(path, "we");
	if (!f || fputs(page, f) == EOF || fclose(f)) {
		complain("%s: %s", path, strerror(errno));
		status = EX_CANNOT;
	}
	free(page);
	return status;
}
