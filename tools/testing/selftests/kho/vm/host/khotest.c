// SPDX-License-Identifier: GPL-2.0-only
/*
 * khotest.c - the one program that a person calls
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/live.h"
#include "host.h"

/**
 * complain() - tell a person what is wrong
 * @fmt: what, without newline
 */
void complain(const char *fmt, ...)
{
	va_list ap;

	fputs("khotest: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/**
 * own_dir() - where khotest is
 *
 * Return: its directory, which is that of the suite's programs, too
 */
const char *own_dir(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return ".";
	path[n] = '\0';
	return dirname(path);
}

static int make_dirs(char *path)
{
	for (char *p = path + 1; ; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*p = c;
		if (!c)
			return 0;
	}
}

static bool positive(const char *s, unsigned int *val)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || end == s || *s == '-' || !v || v > 1000000)
		return false;
	*val = v;
	return true;
}

/* what a profile runs, of the scenarios with that flag, and how long chains are */
static const struct profile {
	const char *name;
	u32 only;
	unsigned int chain;
} profiles[] = {
	{ "quick", KHO_SC_QUICK, 0 },
	{ "full", 0, 100 },
	{ "soak", KHO_SC_CHAIN, 1000 },
	{ }
};

/* a number and a unit, in seconds */
static bool duration(const char *s, unsigned int *seconds)
{
	static const char units[] = "smh";
	static const unsigned int factor[] = { 1, 60, 3600 };
	const char *unit = *s ? strchr(units, s[strlen(s) - 1]) : NULL;
	char num[16];

	if (!unit || strlen(s) > sizeof(num) - 1)
		return false;
	snprintf(num, sizeof(num), "%.*s", (int)strlen(s) - 1, s);
	if (!positive(num, seconds))
		return false;
	*seconds *= factor[unit - units];
	return true;
}

/* the scenarios that are meant, in the order of their names */
static int choose(struct scenario *all, int nr, char **names, int nr_names,
		  u32 only, struct scenario **chosen)
{
	int n = 0;

	for (int j = 0; j < nr_names; j++) {
		bool found = false;

		for (int i = 0; i < nr; i++)
			found |= scenario_matches(&all[i], names[j]);
		if (found)
			continue;
		complain("no scenario is called %s; there are:", names[j]);
		for (int i = 0; i < nr; i++)
			fprintf(stderr, "  %s\n", all[i].decl.name);
		return -ENOENT;
	}
	for (int i = 0; i < nr; i++) {
		bool want = !nr_names && !(all[i].decl.flags & KHO_SC_ON_DEMAND) &&
			    (!only || all[i].decl.flags & only);

		for (int j = 0; j < nr_names; j++)
			want |= scenario_matches(&all[i], names[j]) &&
				(!(all[i].decl.flags & KHO_SC_ON_DEMAND) ||
				 !strcmp(all[i].decl.name, names[j]));
		if (want)
			chosen[n++] = &all[i];
	}
	return n;
}

/* what a machine may run that is as it is */
static int choose_here(struct scenario *all, int nr, char **names, int nr_names,
		       struct scenario **chosen)
{
	int n = 0;

	for (int j = 0; j < nr_names; j++) {
		bool found = false, here = false;

		for (int i = 0; i < nr; i++) {
			found |= scenario_matches(&all[i], names[j]);
			here |= scenario_matches(&all[i], names[j]) &&
				all[i].decl.flags & KHO_SC_HERE;
		}
		if (here)
			continue;
		complain(found ? "%s wants a machine of its own; with --here there are:" :
			 "no scenario is called %s; with --here there are:", names[j]);
		for (int i = 0; i < nr; i++)
			if (all[i].decl.flags & KHO_SC_HERE)
				fprintf(stderr, "  %s\n", all[i].decl.name);
		return -ENOENT;
	}
	for (int i = 0; i < nr; i++) {
		bool want = !nr_names;

		for (int j = 0; j < nr_names; j++)
			want |= scenario_matches(&all[i], names[j]);
		if (want && all[i].decl.flags & KHO_SC_HERE)
			chosen[n++] = &all[i];
	}
	return n;
}

/* the kernel that runs, as a distribution installs it */
static void installed(struct options *o)
{
	static char kernel[256], initrd[256];
	struct utsname u;

	uname(&u);
	snprintf(kernel, sizeof(kernel), "/boot/vmlinuz-%s", u.release);
	snprintf(initrd, sizeof(initrd), "/boot/initrd.img-%s", u.release);
	/* whoever names a kernel names what it is started with */
	if (!o->kernel && !o->initrd && !access(initrd, R_OK))
		o->initrd = initrd;
	if (!o->kernel)
		o->kernel = kernel;
}

/* NAME=IMAGE; the image is looked at before anything runs */
static bool name_kernel(struct options *o, const char *arg)
{
	const char *path = strchr(arg, '=');
	struct kernel *k;
	char why[1024];

	if (!path || path == arg) {
		complain("--also %s: NAME=IMAGE", arg);
		return false;
	}
	if (o->nr_also == ALSO_MAX) {
		complain("--also %s: more than %d kernels", arg, ALSO_MAX);
		return false;
	}
	k = malloc(sizeof(*k));
	if (!k || kernel_open(path + 1, NULL, k, why, sizeof(why))) {
		complain("--also %s: %s", arg, k ? why : strerror(ENOMEM));
		free(k);
		return false;
	}
	k->path = realpath(path + 1, NULL);
	o->also[o->nr_also].kernel = k;
	o->also[o->nr_also++].name = strndup(arg, path - arg);
	return true;
}

/* FILE, or NAME=FILE for a kernel that has a name */
static bool name_module(struct options *o, const char *arg)
{
	const char *path = strchr(arg, '='), *slash = strchr(arg, '/');
	const char *name = "";

	/* a file's name may have one, too */
	if (path && (!slash || path < slash)) {
		name = strndup(arg, path - arg);
		path++;
	} else {
		path = arg;
	}
	if (access(path, R_OK)) {
		complain("--module %s: %s", arg, strerror(errno));
		return false;
	}
	if (o->nr_module == ARRAY_SIZE(o->module)) {
		complain("--module %s: more than %zu modules", arg, ARRAY_SIZE(o->module));
		return false;
	}
	o->module[o->nr_module].name = name;
	o->module[o->nr_module++].path = realpath(path, NULL);
	return true;
}

static int run_scenarios(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "kconfig", required_argument, NULL, 'c' },
		{ "also", required_argument, NULL, 'A' },
		{ "module", required_argument, NULL, 'M' },
		{ "profile", required_argument, NULL, 'P' },
		{ "results", required_argument, NULL, 'r' },
		{ "generations", required_argument, NULL, 'g' },
		{ "for", required_argument, NULL, 'f' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "append", required_argument, NULL, 'a' },
		{ "accel", required_argument, NULL, 'x' },
		{ "known-issues", required_argument, NULL, 'i' },
		{ "programs", required_argument, NULL, 'p' },
		{ "sysroot", required_argument, NULL, 'S' },
		/* for the suite's own tests: another /init */
		{ "init", required_argument, NULL, 'I' },
		{ "here", no_argument, NULL, 'H' },
		{ "kexec-this-machine", no_argument, NULL, 'K' },
		{ "initrd", required_argument, NULL, 'N' },
		/* for systemd, in the next kernel */
		{ "continue", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct options o = { .accel = "tcg", .slow = 1 };
	char known[PATH_MAX + 32], before[PATH_MAX + 32], dir[PATH_MAX];
	char why[1024], qemu[PATH_MAX];
	char kernel[PATH_MAX], kconfig[PATH_MAX], programs[PATH_MAX], results[PATH_MAX];
	char initrd[PATH_MAX], sysroot[PATH_MAX];
	struct scenario *all, **chosen;
	const char *slow = getenv("KSFT_MACHINE_SLOW");
	const struct profile *p;
	u32 only = 0;
	unsigned int v;
	struct kernel k;
	struct utsname u;
	int c, nr, n;

	o.jobs = sysconf(_SC_NPROCESSORS_ONLN);
	o.own = own_dir();
	o.programs = o.own;
	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (c) {
		case 'k':
			o.kernel = optarg;
			break;
		case 'c':
			o.kconfig = optarg;
			break;
		case 'A':
			if (!name_kernel(&o, optarg))
				return EX_CANNOT;
			break;
		case 'M':
			if (!name_module(&o, optarg))
				return EX_CANNOT;
			break;
		case 'P':
			for (p = profiles; p->name && strcmp(optarg, p->name); p++)
				;
			if (!p->name) {
				complain("%s is no profile: quick, full or soak", optarg);
				return EX_CANNOT;
			}
			only = p->only;
			o.chain = p->chain;
			break;
		case 'f':
			if (!duration(optarg, &o.seconds)) {
				complain("--for %s: so many seconds, minutes, hours: 90s, 30m, 8h",
					 optarg);
				return EX_CANNOT;
			}
			break;
		case 'r':
			o.results = optarg;
			break;
		case 'a':
			o.append = optarg;
			break;
		case 'x':
			o.accel = optarg;
			break;
		case 'i':
			o.known_issues = optarg;
			break;
		case 'p':
			o.programs = optarg;
			break;
		case 'S':
			o.sysroot = optarg;
			if (access(o.sysroot, X_OK)) {
				complain("--sysroot %s: %s", optarg, strerror(errno));
				return EX_CANNOT;
			}
			break;
		case 'I':
			o.init = optarg;
			break;
		case 'H':
			o.here = true;
			break;
		case 'K':
			o.kexec_here = true;
			break;
		case 'N':
			o.initrd = optarg;
			break;
		case 'C':
			o.go_on = true;
			break;
		case 'g':
		case 'j':
			if (!positive(optarg, &v)) {
				complain("%s is not a positive number", optarg);
				return EX_CANNOT;
			}
			if (c == 'g')
				o.generations = v;
			else
				o.jobs = v;
			break;
		case 'h':
			help_usage("run", stdout);
			return EX_PASS;
		default:
			fputs("khotest run --help tells which options there are\n", stderr);
			return EX_CANNOT;
		}
	}
	if (slow && !strcmp(slow, "yes"))
		o.slow = 4;
	if (o.here)
		installed(&o);
	if (!o.here && (o.kexec_here || o.initrd || o.go_on)) {
		complain("%s is for --here: nothing else kexecs this machine",
			 o.kexec_here ? "--kexec-this-machine" : "--initrd");
		return EX_CANNOT;
	}
	if (!o.kernel) {
		complain("which kernel? --kernel IMAGE");
		return EX_CANNOT;
	}
	if (o.here && !o.kexec_here && access(o.kernel, R_OK)) {
		/* to look at a kernel its image is not needed */
		memset(&k, 0, sizeof(k));
		o.kernel = "unknown";
		uname(&u);
		snprintf(k.release, sizeof(k.release), "%s", u.release);
	} else if (kernel_open(o.kernel, o.kconfig, &k, why, sizeof(why))) {
		complain("%s%s", why, o.here ? ": which kernel runs here? --kernel IMAGE" : "");
		return EX_CANNOT;
	}
	o.tested = &k;
	if (k.arch)
		qemu_choose(k.arch);
	for (int i = 0; i < o.nr_also; i++) {
		if (!strcmp(o.also[i].kernel->arch, k.arch ?: ""))
			continue;
		complain("--also %s=%s: a kernel for %s, the one under test is for %s",
			 o.also[i].name, o.also[i].kernel->path, o.also[i].kernel->arch, k.arch);
		return EX_CANNOT;
	}
	/* what is written down must hold from any directory */
	if (realpath(o.kernel, kernel))
		o.kernel = kernel;
	k.path = o.kernel;
	if (o.kconfig && realpath(o.kconfig, kconfig))
		o.kconfig = kconfig;
	if (realpath(o.programs, programs))
		o.programs = programs;
	if (o.sysroot && realpath(o.sysroot, sysroot))
		o.sysroot = sysroot;
	if (o.initrd && (access(o.initrd, R_OK) || !realpath(o.initrd, initrd))) {
		complain("--initrd %s: %s", o.initrd, strerror(errno));
		return EX_CANNOT;
	}
	if (o.initrd)
		o.initrd = initrd;
	if (!o.here && !find_program(NULL, qemu_binary(), qemu, sizeof(qemu))) {
		complain("%s is not installed (Debian: apt-get install %s)", qemu_binary(),
			 qemu_package());
		return EX_CANNOT;
	}
	nr = scenarios_read(o.programs, &all);
	if (nr < 0)
		return EX_CANNOT;
	if (!nr) {
		complain("%s: no program here declares a scenario", o.programs);
		return EX_CANNOT;
	}
	chosen = calloc(nr, sizeof(*chosen));
	n = o.here ? choose_here(all, nr, argv + optind, argc - optind, chosen) :
	    choose(all, nr, argv + optind, argc - optind, only, chosen);
	if (n < 0)
		return EX_CANNOT;
	if (!n) {
		complain("nothing to run");
		return EX_SKIP;
	}
	for (int i = 0; i < n && o.seconds; i++) {
		if (chosen[i]->decl.flags & KHO_SC_CHAIN)
			continue;
		complain("--for is for chains, and %s is none: name some of those that are",
			 chosen[i]->decl.name);
		return EX_CANNOT;
	}
	if (!o.known_issues) {
		snprintf(known, sizeof(known), "%s/known-issues.json", o.programs);
		o.known_issues = known;
	}
	if (o.results) {
		snprintf(dir, sizeof(dir), "%s", o.results);
	} else {
		time_t t = time(NULL);

		strftime(dir, sizeof(dir), "results/%Y%m%d-%H%M%S", localtime(&t));
	}
	c = make_dirs(dir);
	if (c || !realpath(dir, results)) {
		complain("%s: %s", dir, strerror(c ? -c : errno));
		return EX_CANNOT;
	}
	o.results = results;
	snprintf(before, sizeof(before), "%s/results.json", results);
	if (!o.go_on && !access(before, F_OK)) {
		complain("%s is there already: name another --results directory", before);
		return EX_CANNOT;
	}
	/* a pipe that nobody reads any more is an error to be seen, not a death */
	signal(SIGPIPE, SIG_IGN);
	if (o.here)
		return here_run(chosen, n, &o, &k);
	if (results_open(&o, &k, n))
		return EX_CANNOT;
	return machines_run(chosen, n, &o, &k);
}

/* what of the suite runs in a machine: whose results depend on just that */
static void list_programs(const struct scenario *s)
{
	printf("%s", s->decl.name);
	if (!*s->decl.programs[0])
		printf(" %s", s->program);
	for (int i = 0; i < KHO_PROGRAMS_MAX && *s->decl.programs[i]; i++)
		printf(" %s", s->decl.programs[i]);
	putchar('\n');
}

static int list(bool programs)
{
	struct scenario *all;
	int nr = scenarios_read(own_dir(), &all);

	if (nr < 0)
		return EX_CANNOT;
	for (int i = 0; i < nr && programs; i++)
		list_programs(&all[i]);
	if (programs)
		return EX_PASS;
	for (int i = 0; i < nr; i++)
		printf("%-36s %s%s\n", all[i].decl.name, all[i].decl.summary,
		       all[i].decl.flags & KHO_SC_ON_DEMAND ?
		       " (only when named)" : "");
	return EX_PASS;
}

#ifdef HAVE_LIBFDT
static int tell_problems(const char *of, const struct kho_problems *p)
{
	fflush(stdout);
	for (unsigned int i = 0; i < p->nr && i < KHO_PROBLEMS_MAX; i++)
		complain("%s: %s", of, p->text[i]);
	if (p->nr > KHO_PROBLEMS_MAX)
		complain("%s: and %u more", of, p->nr - KHO_PROBLEMS_MAX);
	return p->nr ? EX_FAIL : EX_PASS;
}

/* the preserved-memory map of the kernel that runs here, and whose memory it is */
static int print_map(void)
{
	struct kho_problems p = { };
	struct kho_map map = { };
	struct kho_root root;
	struct kho_live l;
	const char *what;
	int err;

	err = kho_live_open(&l, &what);
	if (err) {
		complain("decode --map: %s: %s", what, strerror(-err));
		return EX_CANNOT;
	}
	err = kho_live_root(&l, &root, NULL, &p);
	if (err) {
		complain("decode --map: %s", err == -ENODATA ? "KHO is off" : strerror(-err));
		return EX_CANNOT;
	}
	kho_live_map(&l, &root, &map, &p);
	kho_map_print(&map, stdout);
	for (int i = 0; i < root.nr; i++)
		printf("subtree %s: 0x%llx, %llu bytes\n", root.sub[i].name,
		       root.sub[i].data, root.sub[i].size);
	kho_map_free(&map);
	kho_kcore_close(&l.kcore);
	return tell_problems("map", &p);
}

static int print_blobs(char **files)
{
	int status = EX_PASS;

	if (!strcmp(*files, "--map"))
		return print_map();
	for (; *files; files++) {
		static struct kho_problems p;
		struct kho_blob b;
		int err = kho_read_file(*files, &b);

		if (err) {
			complain("%s: %s", *files, strerror(-err));
			status = EX_CANNOT;
			continue;
		}
		memset(&p, 0, sizeof(p));
		printf("%s: ", *files);
		kho_blob_print(b.data, b.len, stdout, &p);
		if (tell_problems(*files, &p) && status == EX_PASS)
			status = EX_FAIL;
		kho_blob_free(&b);
	}
	return status;
}
#else
static int print_blobs(char **files __maybe_unused)
{
	complain("decode: built without libfdt (Debian: libfdt-dev)");
	return EX_CANNOT;
}
#endif

/* the word that stands before them is an argument to getopt */
int run_command(int argc, char **argv)
{
	return run_scenarios(argc + 1, argv - 1);
}

int list_command(int argc, char **argv)
{
	if (!argc)
		return list(false);
	if (argc == 1 && !strcmp(argv[0], "--programs"))
		return list(true);
	if (argc == 1 && !strcmp(argv[0], "--coverage"))
		return coverage_show(own_dir());
	help_usage("list", stderr);
	return EX_CANNOT;
}

int report_command(int argc, char **argv)
{
	const char *html = NULL, *base = NULL;
	json_t *root;
	char *path;

	while (argc > 2 && (!strcmp(argv[0], "--html") || !strcmp(argv[0], "--base"))) {
		*(strcmp(argv[0], "--html") ? &base : &html) = argv[1];
		argc -= 2;
		argv += 2;
	}
	if (argc != 1 || *argv[0] == '-' || (base && !html)) {
		help_usage("report", stderr);
		return EX_CANNOT;
	}
	root = results_load(argv[0], &path);
	if (!root)
		return EX_CANNOT;
	results_show(root);
	if (html && report_html(root, path, base, html))
		return EX_CANNOT;
	return results_exit(root);
}

int decode_command(int argc, char **argv)
{
	if (argc)
		return print_blobs(argv);
	help_usage("decode", stderr);
	return EX_CANNOT;
}

int main(int argc, char **argv)
{
	return command_run(argc, argv);
}
