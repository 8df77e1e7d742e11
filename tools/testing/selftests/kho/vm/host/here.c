// SPDX-License-Identifier: GPL-2.0-only
/*
 * here.c - scenarios on the machine itself
 *
 * What needs no kexec runs at once.  What does runs as a unit of systemd that is there
 * from the first kernel to the last one: it runs the programs of a generation, notes
 * what comes next, loads the next kernel and has systemd go there in order; in that
 * kernel systemd starts it again.
 *
 * Before the machine is left the results say that it did not come back.  Only whoever
 * comes back takes that out of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/tell.h"
#include "machine.h"

#define UNIT		"kho-suite.service"
#define UNIT_FILE	"/etc/systemd/system/" UNIT
#define UNIT_WANTED	"/etc/systemd/system/multi-user.target.wants/" UNIT
/* what a kernel is told by whoever jumped to it, and no other */
#define CAME_BY		"khotest"
/* a machine that goes down in order stops all that it runs; seconds */
#define DOWN_SECONDS	600
/* what the firmware's kernel says of itself may be so many lines */
#define KNOWN_MAX	1000

/**
 * struct state - what must be known after a jump, on disk
 * @scenario: which of the run's, by its place
 * @generation: that comes next
 * @boot: the boot that was left, "" if none was
 * @fresh: the machine was made to start anew
 */
struct state {
	unsigned int scenario;
	unsigned int generation;
	char boot[64];
	bool fresh;
};

static struct machine m;
static struct kho_teller teller = { .klog = -1 };
static u32 seq;
/* what is wrong with this machine in each boot, KHO or not */
static char *known[KNOWN_MAX];
static int nr_known;

static void record(enum kho_record_kind kind, const char *payload, size_t len)
{
	char line[KHO_RECORD_MAX + 1];
	size_t n = kho_record_format(line, sizeof(line), seq++, m.generation + m.leaving,
				     kind, payload, len);

	machine_record(&m, line, n);
}

static char *in_results(const struct options *o, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/here/%s", o->results, name) < 0)
		abort();
	return path;
}

/* the whole of it or nothing, and on disk */
static int write_whole(const char *path, const char *data)
{
	char *tmp;
	int fd, err = 0;

	if (asprintf(&tmp, "%s.new", path) < 0)
		abort();
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, data, strlen(data)) != (ssize_t)strlen(data) || fsync(fd))
		err = errno ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	if (!err && rename(tmp, path))
		err = -errno;
	free(tmp);
	return err;
}

static int write_state(const struct options *o, const struct state *s)
{
	char *path = in_results(o, "next"), *said;
	int err;

	if (asprintf(&said, "scenario %u generation %u fresh %d boot %s\n", s->scenario,
		     s->generation, s->fresh, *s->boot ? s->boot : "-") < 0)
		abort();
	err = write_whole(path, said);
	free(said);
	free(path);
	return err;
}

static bool read_state(const struct options *o, struct state *s)
{
	char *path = in_results(o, "next");
	struct kho_blob b;
	int fresh, err = kho_read_file(path, &b);
	bool whole = !err && sscanf(b.data, "scenario %u generation %u fresh %d boot %63s",
				    &s->scenario, &s->generation, &fresh, s->boot) == 4;

	if (err)
		complain("%s: %s", path, strerror(-err));
	else if (!whole)
		complain("%s: not the state of a run", path);
	s->fresh = whole && fresh;
	if (!err)
		kho_blob_free(&b);
	free(path);
	return whole;
}

static void this_boot(char *id, size_t size)
{
	struct kho_blob b;

	snprintf(id, size, "?");
	if (kho_read_file("/proc/sys/kernel/random/boot_id", &b))
		return;
	snprintf(id, size, "%s", strtok(b.data, "\n") ?: "?");
	kho_blob_free(&b);
}

static bool came_by_kexec(void)
{
	char val[16];

	return !kho_cmdline_get(NULL, CAME_BY, 0, val, sizeof(val)) && !strcmp(val, "kexec");
}

/* the command line of the kernels to come: that of the one which runs, and the sign */
static char *next_cmdline(const struct options *o)
{
	struct kho_blob b;
	char *line;
	bool again = came_by_kexec();

	if (kho_read_file("/proc/cmdline", &b))
		abort();
	strtok(b.data, "\n");
	if (asprintf(&line, "%s%s%s%s", (char *)b.data, again ? "" : " " CAME_BY "=kexec",
		     again || !o->append ? "" : " ", again || !o->append ? "" : o->append) < 0)
		abort();
	kho_blob_free(&b);
	return line;
}

/* what a program finds beside it, as in a machine of khotest's own */
static int write_job(const struct options *o, const struct scenario *s)
{
	char *path = in_results(o, "job"), *cmdline, *job;
	const char *plus = kernel_by_default(o->tested) ? "+" : "";
	struct kho_blob b = { };
	size_t len;
	FILE *f = open_memstream(&job, &len);
	int err;

	if (!f)
		abort();
	cmdline = next_cmdline(o);
	kho_read_file("/proc/cmdline", &b);
	fprintf(f, "kho-job 2\nscenario %s\ngenerations %u\nflags %u\n", s->decl.name,
		scenario_generations(s, o), s->decl.flags);
	fprintf(f, "step 0 boot%s %s\nstep * kexec%s %s\n", plus,
		b.data ? strtok(b.data, "\n") : "", plus, cmdline);
	if (fclose(f))
		abort();
	err = write_whole(path, job);
	kho_blob_free(&b);
	free(cmdline);
	free(job);
	free(path);
	return err;
}

static int make_dir(const struct options *o)
{
	const char *const link[][2] = { { "bin", o->programs }, { "kernel", o->kernel } };
	const char *const dir[] = { "", "state" };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dir) && !err; i++) {
		char *path = in_results(o, dir[i]);

		err = mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
		free(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(link) && !err; i++) {
		char *path = in_results(o, link[i][0]);

		err = symlink(link[i][1], path) && errno != EEXIST ? -errno : 0;
		free(path);
	}
	if (!err && o->tested->config) {
		char *path = in_results(o, "config");

		err = write_whole(path, o->tested->config);
		free(path);
	}
	return err;
}

/* a line without what is another one in each boot */
static char *plain_line(const char *line)
{
	char *copy = strdup(line), *to = copy;
	const char *p = line;

	if (!copy)
		abort();
	while (*p) {
		size_t n = strspn(p, "0123456789abcdefx"), digits = strcspn(p, "0123456789");

		if (n && digits < n) {
			*to++ = '#';
			p += n;
		} else if (n) {
			memcpy(to, p, n);
			to += n;
			p += n;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
	return copy;
}

static bool is_known(const char *line)
{
	char *plain = plain_line(line);
	bool is = false;

	for (int i = 0; i < nr_known && !is; i++)
		is = !strcmp(known[i], plain);
	free(plain);
	return is;
}

/* what the machine complains of without KHO having a part in it, from its log */
static void learn_known(const struct options *o)
{
	char *path = in_results(o, "known"), line[2048];
	struct kho_klog_ear ear = { };
	int fd = kho_klog_open(true);
	FILE *f = fopen(path, "we");
	bool bad;

	while (f && fd >= 0 && kho_klog_hear(&ear, fd, line, sizeof(line), &bad) > 0) {
		if (bad) {
			char *plain = plain_line(line);

			fprintf(f, "%s\n", plain);
			free(plain);
		}
	}
	if (f)
		fclose(f);
	if (fd >= 0)
		close(fd);
	free(path);
}

static void read_known(const struct options *o)
{
	char *path = in_results(o, "known"), *line, *save = NULL;
	struct kho_blob b;

	nr_known = 0;
	/* what it says is kept: lines are in it */
	if (!kho_read_file(path, &b))
		for (line = strtok_r(b.data, "\n", &save); line && nr_known < KNOWN_MAX;
		     line = strtok_r(NULL, "\n", &save))
			known[nr_known++] = line;
	free(path);
}

/* this kernel's log, for whoever looks into a failure: of the last two, and the first */
static void keep_log(void)
{
	char path[1024], line[2048];
	int fd = kho_klog_open(true), n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/dmesg.%u", m.dir, m.generation);
	f = fopen(path, "we");
	while (f && fd >= 0 && (n = kho_klog_next(fd, line, sizeof(line))) != 0) {
		if (n < 0 && n != -EPIPE)
			break;
		if (n > 0)
			fprintf(f, "%s\n", line);
	}
	if (f)
		fclose(f);
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof(path), "%s/dmesg.%u", m.dir, m.generation - 2);
	if (m.generation > 2 && !m.failing)
		unlink(path);
}

static void become(const char *name, int out, bool alone)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	char path[4096], num[16];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGCHLD, &sa, NULL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	/* by itself it is a program that looks at a kernel, and knows nothing of it */
	if (!alone) {
		snprintf(path, sizeof(path), "%s/here", m.o->results);
		setenv("KHO_DIR", path, 1);
		snprintf(path, sizeof(path), "%s/here/state", m.o->results);
		setenv("KHO_STATE", path, 1);
		setenv("KHO_SCENARIO", m.s->decl.name, 1);
		snprintf(num, sizeof(num), "%u", m.generation);
		setenv("KHO_GENERATION", num, 1);
		snprintf(num, sizeof(num), "%u", scenario_generations(m.s, m.o));
		setenv("KHO_GENERATIONS", num, 1);
	}
	snprintf(path, sizeof(path), "%s/%s", m.o->programs, name);
	execl(path, path, NULL);
	printf("# %s: %s\n", path, strerror(errno));
	fflush(stdout);
	_exit(127);
}

static void run_program(const char *name, bool alone)
{
	int fds[2];
	pid_t pid;

	record(KHO_REC_BEGIN, name, strlen(name));
	if (pipe2(fds, O_CLOEXEC)) {
		machine_because(&m, "pipe: %s", strerror(errno));
		return;
	}
	fflush(NULL);
	pid = fork();
	if (!pid)
		become(name, fds[1], alone);
	close(fds[1]);
	if (pid < 0)
		machine_because(&m, "fork: %s", strerror(errno));
	else
		kho_tell_program(&teller, fds[0], pid);
	close(fds[0]);
}

static void run_programs(bool alone)
{
	const struct kho_scenario *d = &m.s->decl;

	teller.record = record;
	teller.known = is_known;
	/* a machine that is up has a past that is not the suite's */
	teller.klog = kho_klog_open(m.generation + m.leaving > 0);
	seq = 0;
	kho_tell_boot(&teller);
	kho_tell_klog(&teller);
	if (!*d->programs[0])
		run_program(m.s->program, alone);
	for (int i = 0; i < KHO_PROGRAMS_MAX && *d->programs[i]; i++)
		run_program(d->programs[i], alone);
	if (teller.klog >= 0)
		close(teller.klog);
	teller.klog = -1;
	keep_log();
}

/* its status, -1 if it did not end by itself */
static int systemd(const char *how, const char *what, const char *unit)
{
	const char *const argv[] = { "systemctl", "--no-ask-password", how, what, unit, NULL };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* what it says is for whoever watches, and none of the results */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "systemctl: %s\n", strerror(errno));
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * The machine goes down, and with it whoever called this.  Comes back only if it does
 * not, with the reason.
 */
static const char *go_down(const char *how)
{
	struct timespec t = { .tv_sec = DOWN_SECONDS };
	static char why[128];
	sigset_t term;
	int status;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	status = systemd("--no-block", how, NULL);
	if (status) {
		snprintf(why, sizeof(why), "systemctl %s: status %d", how, status);
		return why;
	}
	if (sigtimedwait(&term, NULL, &t) == SIGTERM)
		exit(EX_PASS);
	snprintf(why, sizeof(why), "the machine did not go down in %d s", DOWN_SECONDS);
	return why;
}

/* results and state that hold if nobody comes back */
static const char *leave(const struct options *o, struct state *s, const char *how,
			 json_t *scn)
{
	char missing[128];
	const char *why;
	int fd, err;

	snprintf(missing, sizeof(missing),
		 "the machine did not come back from the %s into generation %u", how,
		 s->generation);
	results_expect(scn, s->generation, missing);
	this_boot(s->boot, sizeof(s->boot));
	err = write_state(o, s) ?: results_suspend();
	fd = open(o->results, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err && (fd < 0 || syncfs(fd)))
		err = -errno;
	if (fd >= 0)
		close(fd);
	why = err ? strerror(-err) : go_down(how);
	results_forget();
	return why;
}

static int load(void)
{
	char *line = next_cmdline(m.o);
	int fd = -1, err;

	if (m.o->initrd) {
		fd = open(m.o->initrd, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			err = -errno;
			machine_because(&m, "%s: %s", m.o->initrd, strerror(-err));
			free(line);
			return err;
		}
	}
	err = kho_kexec_load(m.o->kernel, fd, line);
	if (err)
		machine_because(&m, "kexec_file_load: %s: %s", m.o->kernel, strerror(-err));
	if (fd >= 0)
		close(fd);
	free(line);
	return err;
}

static void skip(const char *why)
{
	json_object_set_new(m.scn, "status", json_string("skipped"));
	machine_check(&m, "", "machine", ST_SKIP, why, NULL);
}

static void begin(const struct scenario *s, const struct options *o, json_t *scn)
{
	struct utsname u;

	memset(&m, 0, sizeof(m));
	uname(&u);
	snprintf(m.release, sizeof(m.release), "%s", u.release);
	m.s = s;
	m.o = o;
	m.scn = scn;
	if (machine_begin(&m))
		json_object_set_new(scn, "status", json_string("running"));
}

static void end(const char *how)
{
	machine_over(&m, how);
	free(m.dir);
}

/* this kernel came by the jump that led to it, and no other way; NULL if so */
static const char *other_way(const struct state *s)
{
	static char why[256];
	char id[64];

	this_boot(id, sizeof(id));
	if (!strcmp(id, s->boot)) {
		snprintf(why, sizeof(why), "the machine is still in generation %u: it did not jump",
			 s->generation - 1);
		return why;
	}
	if (came_by_kexec())
		return NULL;
	snprintf(why, sizeof(why),
		 "the machine came up another way than by the kexec into generation %u",
		 s->generation);
	return why;
}

static bool handed_over(void)
{
	return !access(KHO_DEBUGFS "/in/fdt", F_OK);
}

/* a generation; comes back when the scenario is over */
static void scenario(struct scenario **list, const struct options *o, struct state *s)
{
	json_t *scn = results_named(list[s->scenario]->decl.name);
	unsigned int gens = scenario_generations(list[s->scenario], o);
	const char *why = NULL;
	struct kho_blob b;

	begin(list[s->scenario], o, scn);
	if (s->generation) {
		m.booted = true;
		m.leaving = true;
		m.generation = s->generation - 1;
		m.failing = results_failed(scn);
		why = other_way(s);
		/* where it is now is for whoever looks for the reason */
		if (why)
			keep_log();
	} else if (handed_over() && s->fresh) {
		why = "the machine was started anew, and still says that it was handed over to";
	} else if (handed_over()) {
		s->fresh = true;
		why = leave(o, s, "reboot", scn);
	} else {
		int err = write_job(o, m.s);

		if (err)
			machine_because(&m, "%s/here: %s", o->results, strerror(-err));
		if (!kho_read_file("/proc/cmdline", &b)) {
			json_object_set_new(scn, "cmdline", text(strtok(b.data, "\n") ?: ""));
			kho_blob_free(&b);
		}
		json_object_set_new(scn, "boots", json_integer(1));
		learn_known(o);
	}
	read_known(o);
	if (why || *m.why) {
		end(why);
		return;
	}
	run_programs(false);
	if (*m.why) {
		end(NULL);
		return;
	}
	if (m.generation + 1 >= gens) {
		record(KHO_REC_DONE, "", 0);
		end(NULL);
		return;
	}
	if (load()) {
		end(NULL);
		return;
	}
	record(KHO_REC_KEXEC, "", 0);
	s->generation = m.generation + 1;
	end(leave(o, s, "kexec", scn));
}

/* started by systemd, in each kernel */
static int go_on(struct scenario **list, int nr, const struct options *o)
{
	struct state s;
	int status;

	if (!read_state(o, &s) || s.scenario >= (unsigned int)nr || results_resume(o))
		return EX_CANNOT;
	kho_tell_begin();
	machines.total = nr;
	machines.ended = s.scenario;
	machines.start = now();
	while (s.scenario < (unsigned int)nr && !results_broken()) {
		scenario(list, o, &s);
		memset(&s.boot, 0, sizeof(s.boot));
		s.scenario++;
		s.generation = 0;
		s.fresh = false;
	}
	status = results_close(results_broken() ? "aborted" : "complete");
	unlink(UNIT_WANTED);
	unlink(UNIT_FILE);
	systemd("--no-block", "daemon-reload", NULL);
	return status;
}

/* text of a unit, in which a percent sign has a meaning */
static void put_text(FILE *f, const char *text, const char *special)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			fputc('\\', f);
		else if (*text == '%')
			fputc('%', f);
		fputc(*text, f);
	}
}

/* a word of ExecStart=, in which a dollar sign has one, too */
static void put_word(FILE *f, const char *word, const char *more)
{
	fputs(" \"", f);
	put_text(f, word, "\"\\$");
	put_text(f, more, "\"\\$");
	fputc('"', f);
}

static int write_unit(const struct options *o, struct scenario **s, int nr)
{
	const char *const option[][2] = {
		{ "--results", o->results }, { "--kernel", o->kernel },
		{ "--initrd", o->initrd }, { "--kconfig", o->kconfig },
		{ "--programs", o->programs }, { "--known-issues", o->known_issues },
		{ "--append", o->append },
	};
	char *unit, num[16];
	size_t len;
	FILE *f = open_memstream(&unit, &len);
	int err;

	if (!f)
		abort();
	fprintf(f, "# made by khotest run --here, which removes it when it is done\n"
		"[Unit]\nDescription=Tests of Kexec HandOver, from kernel to kernel\n"
		"After=multi-user.target\n\n"
		"[Service]\nType=exec\nExecStart=");
	put_word(f, o->own, "/khotest");
	fprintf(f, " run --here --kexec-this-machine --continue");
	for (size_t i = 0; i < ARRAY_SIZE(option); i++) {
		if (!option[i][1])
			continue;
		put_word(f, option[i][0], "");
		put_word(f, option[i][1], "");
	}
	if (o->generations ?: o->chain) {
		snprintf(num, sizeof(num), "=%u", o->generations ?: o->chain);
		put_word(f, "--generations", num);
	}
	for (int i = 0; i < nr; i++)
		put_word(f, s[i]->decl.name, "");
	fputs("\nStandardOutput=append:", f);
	put_text(f, o->results, "");
	fputs("/ktap.log\nStandardError=append:", f);
	put_text(f, o->results, "");
	/* what a program left to hold something stays until systemd ends all */
	fputs("/progress.log\nKillMode=process\n\n[Install]\nWantedBy=multi-user.target\n", f);
	if (fclose(f))
		abort();
	err = write_whole(UNIT_FILE, unit);
	free(unit);
	return err;
}

/* what keeps a machine from being kexeced in order; NULL if nothing does */
static const char *cannot_kexec(void)
{
	char path[4096];
	struct kho_blob b;
	bool off = false;

	if (geteuid())
		return "not root";
	if (access("/run/systemd/system", F_OK))
		return "systemd does not run here: nobody would go on after a kexec";
	if (!find_program(NULL, "kexec", path, sizeof(path)))
		return "kexec is not installed, by which systemd jumps (Debian: kexec-tools)";
	if (!access(UNIT_FILE, F_OK))
		return UNIT_FILE " is there: another run goes on, or was left: systemctl stop "
		       UNIT "; rm " UNIT_FILE " " UNIT_WANTED;
	if (!kho_read_file("/proc/sys/kernel/kexec_load_disabled", &b)) {
		off = atoi(b.data) != 0;
		kho_blob_free(&b);
	}
	return off ? "kernel.kexec_load_disabled=1: no kernel is loaded until the next boot" :
	       NULL;
}

static int skip_all(struct scenario **s, int nr, const struct options *o, const char *why)
{
	for (int i = 0; i < nr; i++) {
		begin(s[i], o, results_named(s[i]->decl.name));
		skip(why);
		end(NULL);
	}
	return results_close("complete");
}

/* until it ended, or this machine did */
static void wait_for_unit(void)
{
	FILE *f = popen("systemctl show --property=MainPID --value " UNIT, "re");
	int pid = 0, fd = -1;

	if (f && fscanf(f, "%d", &pid) == 1 && pid > 0)
		fd = syscall(SYS_pidfd_open, pid, 0);
	if (f)
		pclose(f);
	if (fd < 0)
		return;
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
	close(fd);
}

static int start_unit(struct scenario **s, int nr, const struct options *o)
{
	struct state first = { };
	int err = make_dir(o) ?: write_state(o, &first) ?: results_suspend() ?:
		  write_unit(o, s, nr);
	json_t *root;
	char *path;

	if (!err && symlink(UNIT_FILE, UNIT_WANTED))
		err = -errno;
	if (err) {
		complain("%s/here, or %s: %s", o->results, UNIT_FILE, strerror(-err));
		unlink(UNIT_FILE);
		return EX_CANNOT;
	}
	fprintf(stderr, "This machine will be kexeced.  %s goes on after each jump;\n"
		"what it finds is in %s, whatever becomes of this terminal.\n", UNIT, o->results);
	if (systemd("--quiet", "daemon-reload", NULL) || systemd("--quiet", "start", UNIT))
		complain("systemctl start " UNIT " failed");
	else
		wait_for_unit();
	root = results_load(o->results, &path);
	if (!root)
		return EX_CANNOT;
	return results_exit(root);
}

/**
 * here_run() - run scenarios on the machine itself
 * @s: the scenarios
 * @nr: how many
 * @o: the options; without @o->kexec_here nothing is loaded, and nobody jumps
 * @k: the kernel that runs
 *
 * Return: exit status of the run
 */
int here_run(struct scenario **s, int nr, const struct options *o, const struct kernel *k)
{
	const char *why;

	if (o->go_on)
		return go_on(s, nr, o);
	why = o->kexec_here ? cannot_kexec() : NULL;
	if (why) {
		complain("--kexec-this-machine: %s", why);
		return EX_CANNOT;
	}
	if (results_open(o, k, nr))
		return EX_CANNOT;
	machines.total = nr;
	machines.start = now();
	machines.tty = isatty(STDERR_FILENO);
	for (int i = 0; i < nr; i++)
		results_scenario(s[i], o);
	why = kho_why_not();
	if (why)
		return skip_all(s, nr, o, why);
	if (o->kexec_here)
		return start_unit(s, nr, o);
	kho_tell_begin();
	for (int i = 0; i < nr; i++) {
		begin(s[i], o, results_named(s[i]->decl.name));
		json_object_set_new(m.scn, "generations_planned", json_integer(1));
		if (m.s->decl.flags & KHO_SC_CHAIN) {
			skip("this kexecs the machine: --kexec-this-machine");
		} else {
			run_programs(true);
			record(KHO_REC_DONE, "", 0);
		}
		end(NULL);
	}
	return results_close("complete");
}
