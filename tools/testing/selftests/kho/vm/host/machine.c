// SPDX-License-Identifier: GPL-2.0-only
/*
 * machine.c - run machines side by side and hear what they say
 *
 * One loop waits for whatever comes first: a record, the end of a QEMU, a
 * deadline, a signal to us.  However a machine ends, what it was expected to
 * say and did not is in the results as MISS or FAIL, with the console's tail.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/kho.h"
#include "host.h"

/* without acceleration, on a busy machine of ordinary speed; in seconds */
#define STEP_SECONDS	60
#define EVIDENCE_MAX	200
#define TAIL_LINES	30
/* a guest that floods its console ends here; a generation of a chain says less than that */
#define CONSOLE_MAX	(64 << 20)
#define CONSOLE_CHAIN	(16 << 10)
/* facts about a machine */
#define ENVIRONMENT_MAX	100
/* what a guest may say while nobody listens, without being held up */
#define RECORDS_AHEAD	(1024 << 10)

/**
 * struct machine - a scenario that runs
 * @s: the scenario
 * @o: how it is run
 * @scn: its entry in the results
 * @dir: its directory
 * @pid: QEMU, 0 before it started and after it ended
 * @pidfd: readable when QEMU ended
 * @rec: where records come from, -1 after its end
 * @log: records as they came
 * @buf: the record that is not whole yet
 * @len: its bytes
 * @console: the console's file
 * @con_line: the console line that is not whole yet
 * @con_len: its bytes
 * @con_after: lines to keep behind a report
 * @ear: what warnings the guest asked for
 * @started: when
 * @deadline: when it counts as hung
 * @heard: when the last result line came
 * @boots: how often the machine was started
 * @generation: that runs
 * @seq: of the record that must come next
 * @booted: a kernel told of itself
 * @leaving: it told of its kexec
 * @crashing: it panicked, as the scenario wants it
 * @done: all generations are finished
 * @enough: the time is over that it was to run
 * @failing: a check failed, or is missing
 * @program: that runs, "" between programs
 * @release: of the kernel that runs
 * @planned: tests that @program announced
 * @seen: results that @program gave
 * @failed: of these, how many failed
 * @skip: why @program skips as a whole
 * @evidence: what @program said since its last result
 * @klog: bad kernel log lines of this generation, told by init
 * @con_bad: the same, seen on the console
 * @why: why it failed; the first reason stays
 */
struct machine {
	const struct scenario *s;
	const struct options *o;
	json_t *scn;
	char *dir;
	pid_t pid;
	int pidfd;
	int rec;
	FILE *log;
	char buf[KHO_RECORD_MAX + 2];
	size_t len;
	int console;
	char con_line[1024];
	size_t con_len;
	int con_after;
	struct kho_klog_ear ear;
	double started;
	double deadline;
	double heard;
	unsigned int boots;
	unsigned int generation;
	u32 seq;
	bool booted;
	bool leaving;
	bool crashing;
	bool done;
	bool enough;
	bool failing;
	char program[128];
	char release[128];
	unsigned int planned;
	unsigned int seen;
	unsigned int failed;
	char skip[512];
	json_t *evidence;
	json_t *klog;
	json_t *con_bad;
	char why[1024];
};

static struct {
	int total;
	int ended;
	unsigned int checks;
	double start;
	bool tty;
	double said;
} progress;

static void say(const struct machine *m, const char *what)
{
	double t = now();

	/* a line per event on a log, one line that moves on a terminal */
	if (progress.tty && t - progress.said < 0.1 && strncmp(what, "ended", 5))
		return;
	progress.said = t;
	fprintf(stderr, "%s[%6.1fs] %d of %d machines, %u checks: %s: %s%s",
		progress.tty ? "\r\033[K" : "", t - progress.start,
		progress.ended, progress.total, progress.checks,
		m->s->decl.name, what, progress.tty ? "" : "\n");
}

static void __printf(2, 3) because(struct machine *m, const char *fmt, ...)
{
	va_list ap;

	if (*m->why)
		return;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
}

static void check(struct machine *m, const char *req, const char *test,
		  enum status st, const char *reason, json_t *evidence)
{
	double t = now();

	progress.checks++;
	st = results_check(m->scn, m->generation, m->release, req, test, st,
			   t - m->heard, reason, evidence);
	m->heard = t;
	/* to see it again a chain need not be longer */
	if (m->s->decl.flags & KHO_SC_CHAIN && !m->failing &&
	    (st == ST_FAIL || st == ST_MISS)) {
		m->failing = true;
		results_repeat(m->scn, m->s, m->o, m->generation + 1);
	}
}

static void keep(json_t *list, const char *line)
{
	if (json_array_size(list) < EVIDENCE_MAX)
		json_array_append_new(list, text(line));
}

static void con_take(struct machine *m)
{
	struct kho_step next;

	m->con_line[m->con_len] = '\0';
	m->con_len = 0;
	/* the panic that leads into the crash kernel is init's own */
	scenario_step(m->s, m->generation + 1, &next);
	if (m->booted && (next.way == KHO_BY_CRASH || m->s->decl.flags & KHO_SC_DAMAGED) &&
	    strstr(m->con_line, "Attempted to kill init! exitcode=0x00000100"))
		m->crashing = true;
	if (m->crashing)
		return;
	if (kho_klog_bad(&m->ear, m->con_line))
		m->con_after = 12;
	if (!m->con_after)
		return;
	m->con_after--;
	keep(m->con_bad, m->con_line);
}

static void console_read(struct machine *m)
{
	char buf[4096];
	ssize_t n;

	while (m->console >= 0 && (n = read(m->console, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\r')
				continue;
			if (buf[i] == '\n' ||
			    m->con_len == sizeof(m->con_line) - 1)
				con_take(m);
			if (buf[i] != '\n')
				m->con_line[m->con_len++] = buf[i];
		}
	}
}

/* the last lines of a file, as evidence */
static void keep_tail(json_t *list, const char *dir, const char *name)
{
	char path[1024], buf[8192];
	char *line, *save;
	int fd, skip = 0;
	off_t size;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size = lseek(fd, 0, SEEK_END);
	n = pread(fd, buf, sizeof(buf) - 1,
		  size > (off_t)sizeof(buf) - 1 ? size - (sizeof(buf) - 1) : 0);
	close(fd);
	if (n <= 0)
		return;
	buf[n] = '\0';
	for (ssize_t i = 0; i < n; i++) {
		if (!buf[i])
			buf[i] = '?';
		skip += buf[i] == '\n';
	}
	skip -= TAIL_LINES;
	snprintf(path, sizeof(path), "tail of %s:", name);
	json_array_append_new(list, text(path));
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(line);

		/* as a terminal has it */
		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (skip-- <= 0)
			json_array_append_new(list, text(line));
	}
}

static void kernel_log(struct machine *m)
{
	console_read(m);
	if (json_array_size(m->klog))
		check(m, "", "kernel_log", ST_FAIL, "", json_incref(m->klog));
	else if (json_array_size(m->con_bad))
		check(m, "", "kernel_log", ST_FAIL, "", json_incref(m->con_bad));
	else if (!*m->why)
		check(m, "", "kernel_log", ST_PASS, "", NULL);
	json_decref(m->klog);
	json_decref(m->con_bad);
	m->klog = json_array();
	m->con_bad = json_array();
	m->con_after = 0;
	memset(&m->ear, 0, sizeof(m->ear));
}

/* a program ended, or will never: what is missing of it? */
static void program_over(struct machine *m, const char *how)
{
	bool lost = strncmp(how, "exit ", 5);
	char reason[512];

	if (lost) {
		snprintf(reason, sizeof(reason), "%s: %u of %u tests reported",
			 how, m->seen, m->planned);
		keep(m->evidence, reason);
		check(m, "", m->program, strncmp(how, "signal", 6) ? ST_MISS : ST_FAIL,
		      reason, json_incref(m->evidence));
	} else if (m->seen < m->planned) {
		snprintf(reason, sizeof(reason), "ended (%s) with %u of %u tests reported",
			 how, m->seen, m->planned);
		check(m, "", m->program, ST_MISS, reason, json_incref(m->evidence));
	} else if (!m->seen && (*m->skip || !strcmp(how, "exit 4"))) {
		check(m, "", m->program, ST_SKIP,
		      *m->skip ? m->skip : "the program says so", NULL);
	} else if (!m->seen) {
		snprintf(reason, sizeof(reason), "ended (%s) without a result", how);
		check(m, "", m->program, ST_MISS, reason, json_incref(m->evidence));
	} else if (strcmp(how, "exit 0") && strcmp(how, "exit 4") && !m->failed) {
		snprintf(reason, sizeof(reason), "ended with %s, and no test failed", how);
		check(m, "", m->program, ST_FAIL, reason, json_incref(m->evidence));
	}
	json_decref(m->evidence);
	m->evidence = json_array();
	m->program[0] = '\0';
}

/* instructions of one machine are not those of another */
static void counted_on(json_t *value)
{
	char *machine = qemu_counts();

	json_object_set_new(json_object_get(value, "parameters"), "machine", text(machine));
	free(machine);
}

/* the first word stands: a series is compared by what it began with */
static void environment(struct machine *m, const char *key, const char *fact)
{
	json_t *env = json_object_get(m->scn, "environment");

	if (!env) {
		env = json_object();
		json_object_set_new(m->scn, "environment", env);
	}
	if (!json_object_get(env, key) && json_object_size(env) < ENVIRONMENT_MAX)
		json_object_set_new(env, key, text(fact));
}

static void program_line(struct machine *m, const char *line)
{
	char req[32], test[128], key[128];
	static struct ktap_line k;
	const char *fact;
	json_t *v;
	int is;

	ktap_parse(line, &k);
	switch (k.kind) {
	case KTAP_PLAN:
		m->planned = k.number;
		if (k.skip)
			snprintf(m->skip, sizeof(m->skip), "%.500s", k.reason);
		return;
	case KTAP_OK:
	case KTAP_NOT_OK:
		m->seen++;
		m->failed += k.kind == KTAP_NOT_OK;
		ktap_name(k.name, req, sizeof(req), test, sizeof(test));
		check(m, req, test, k.kind == KTAP_NOT_OK ? ST_FAIL :
		      k.skip ? ST_SKIP : ST_PASS, k.skip ? k.reason : "",
		      json_incref(m->evidence));
		json_decref(m->evidence);
		m->evidence = json_array();
		return;
	case KTAP_DIAG:
		is = ktap_value(k.reason, &v);
		if (is > 0) {
			if (m->s->decl.flags & KHO_SC_EXACT)
				counted_on(v);
			results_value(m->scn, m->generation, m->release,
				      m->program, v);
			return;
		}
		if (!is)
			is = ktap_more(k.reason, key, sizeof(key), &v);
		if (is > 0 && results_more(m->scn, key, v))
			return;
		if (is > 0)
			is = -1;
		if (is < 0) {
			m->failed++;
			check(m, "", "measurement", ST_FAIL, "",
			      json_pack("[o]", text(k.reason)));
			return;
		}
		fact = ktap_environment(k.reason, key, sizeof(key));
		if (fact)
			environment(m, key, fact);
		else if (!ktap_noise(k.reason))
			keep(m->evidence, k.reason);
		return;
	default:
		if (*line && strncmp(line, "TAP version", 11) &&
		    strncmp(line, "KTAP version", 12))
			keep(m->evidence, line);
	}
}

static void boot(struct machine *m, const struct kho_record *r)
{
	unsigned int gens = json_integer_value(json_object_get(m->scn,
							       "generations_planned"));
	unsigned long long ns;
	char buf[128], of[32] = "";
	double rate, left;
	json_t *v;
	int n;

	/* a program that jumps by itself ends with the jump */
	if (m->booted && !m->leaving && m->s->decl.flags & KHO_SC_PROGRAM_KEXECS) {
		if (*m->program)
			program_over(m, "exit 0");
		kernel_log(m);
		m->leaving = true;
	}
	if (r->generation != (m->booted ? m->generation + 1 : 0) ||
	    (m->booted && !m->leaving)) {
		because(m, "generation %u began where generation %u was to be",
			r->generation, m->booted ? m->generation + m->leaving : 0);
		return;
	}
	/* what the generation before left there is its own */
	console_read(m);
	m->crashing = false;
	m->generation = r->generation;
	m->booted = true;
	m->leaving = false;
	if (sscanf(r->payload, "release=%127s uptime_ns=%llu", m->release, &ns) != 2) {
		because(m, "init told of no kernel release");
		return;
	}
	v = json_pack("{s:s, s:s, s:f, s:{}}", "name", "boot.uptime", "unit", "s",
		      "value", ns / 1e9, "parameters");
	results_value(m->scn, m->generation, m->release, "init", v);
	json_object_set_new(m->scn, "generations", json_integer(m->generation + 1));
	json_object_set_new(m->scn, "kernel", text(m->release));
	rate = m->generation / (now() - m->started);
	left = m->o->seconds ? m->o->seconds - (now() - m->started) :
	       rate > 0 ? (gens - m->generation) / rate : 0;
	if (!m->o->seconds)
		snprintf(of, sizeof(of), " of %u", gens);
	n = snprintf(buf, sizeof(buf), "generation %u%s, %.2f a second", m->generation, of,
		     rate);
	if (rate > 0 && left > 0)
		snprintf(buf + n, sizeof(buf) - n, ", %u:%02u left", (unsigned int)left / 60,
			 (unsigned int)left % 60);
	say(m, buf);
}

static void take_record(struct machine *m, const struct kho_record *r)
{
	if (r->kind == KHO_REC_BOOT) {
		boot(m, r);
		m->seq = 0;
	}
	if (!m->booted || r->generation != m->generation) {
		because(m, "a record of generation %u came in generation %u",
			r->generation, m->generation);
		return;
	}
	if (r->seq != m->seq)
		because(m, "records are missing: number %u came for number %u",
			r->seq, m->seq);
	m->seq = r->seq + 1;
	switch (r->kind) {
	case KHO_REC_BEGIN:
		snprintf(m->program, sizeof(m->program), "%.*s", 64, r->payload);
		m->planned = 0;
		m->seen = 0;
		m->failed = 0;
		m->skip[0] = '\0';
		m->heard = now();
		break;
	case KHO_REC_LINE:
		program_line(m, r->payload);
		break;
	case KHO_REC_END:
		program_over(m, r->payload);
		break;
	case KHO_REC_KLOG:
		keep(m->klog, r->payload);
		break;
	case KHO_REC_KEXEC:
		kernel_log(m);
		m->leaving = true;
		m->enough = m->o->seconds && now() - m->started >= m->o->seconds;
		break;
	case KHO_REC_DONE:
		kernel_log(m);
		m->done = true;
		break;
	case KHO_REC_FAIL:
		because(m, "init: %.900s", r->payload);
		break;
	default:
		break;
	}
}

static void line(struct machine *m, size_t len)
{
	static struct kho_record r;
	const char *why;

	if (m->log && (fwrite(m->buf, len, 1, m->log) != 1 || fflush(m->log))) {
		/* a verdict whose evidence is lost is none */
		because(m, "%s/records.log: %s", m->dir, strerror(errno));
		fclose(m->log);
		m->log = NULL;
	}
	if (kho_record_parse(m->buf, len, &r, &why)) {
		char shown[80];

		snprintf(shown, sizeof(shown), "%.*s", (int)len, m->buf);
		because(m, "a record is torn: %s: \"%s\"", why, shown);
		return;
	}
	take_record(m, &r);
}

/*
 * A full pipe holds up the guest's serial port until somebody has read, and what the
 * guest does meanwhile is counted: by how late we were, and no longer to the digit.
 */
static void held_up(struct machine *m)
{
	int size = fcntl(m->rec, F_GETPIPE_SZ), waiting = 0;

	if (m->s->decl.flags & KHO_SC_EXACT && !ioctl(m->rec, FIONREAD, &waiting) &&
	    waiting > size - sysconf(_SC_PAGESIZE))
		because(m, "%d bytes of records waited, all that the pipe holds: not exact",
			waiting);
}

/* take what is there; false at the channel's end */
static bool records(struct machine *m)
{
	held_up(m);
	for (;;) {
		ssize_t n = read(m->rec, m->buf + m->len, sizeof(m->buf) - m->len);
		char *nl;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!n)
			return false;
		m->len += n;
		while ((nl = memchr(m->buf, '\n', m->len))) {
			size_t len = nl + 1 - m->buf;

			line(m, len);
			m->len -= len;
			memmove(m->buf, nl + 1, m->len);
			m->deadline = 0;
		}
		if (m->len == sizeof(m->buf)) {
			because(m, "a record is torn: longer than a record may be");
			m->len = 0;
		}
	}
}

static double step(const struct machine *m)
{
	unsigned int s = m->s->decl.step_seconds;

	return (s ? s : STEP_SECONDS) * (double)m->o->slow;
}

static rlim_t console_max(const struct machine *m)
{
	rlim_t chain = (rlim_t)scenario_generations(m->s, m->o) * CONSOLE_CHAIN;

	return m->s->decl.flags & KHO_SC_CHAIN && chain > CONSOLE_MAX ? chain : CONSOLE_MAX;
}

static int child(char **argv, const char *dir, rlim_t most, int record_fd)
{
	struct rlimit lim = { most, most };
	char path[1024];
	sigset_t none;
	int fd;

	/* QEMU must not outlive us, whatever becomes of us */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the terminal's signals are for us, who end QEMU in order */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setrlimit(RLIMIT_FSIZE, &lim);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	snprintf(path, sizeof(path), "%s/qemu.log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	fcntl(record_fd, F_SETFD, 0);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	return 127;
}

static void write_text(const char *dir, const char *name, const char *s)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%s\n", s);
	fclose(f);
}

/* boot the machine into a generation; false: it will not run, and m->why says it */
static bool power_on(struct machine *m, unsigned int gen)
{
	char *job, *cmdline, *cmd, **argv;
	char path[1024], why[512];
	struct kho_step step;
	const char *kernel;
	int fds[2], err;

	job = guest_job(m->s, m->o);
	snprintf(path, sizeof(path), "%s/initrd.cpio", m->dir);
	err = initramfs_write(path, m->s, m->o, job, gen, why, sizeof(why));
	free(job);
	if (err == -ENOPKG) {
		json_object_set_new(m->scn, "status", json_string("skipped"));
		check(m, "", "machine", ST_SKIP, why, NULL);
		return false;
	}
	if (err) {
		because(m, "%s", why);
		return false;
	}
	if (pipe2(fds, O_CLOEXEC)) {
		because(m, "pipe: %s", strerror(errno));
		return false;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[0], F_SETPIPE_SZ, RECORDS_AHEAD);
	scenario_step(m->s, gen, &step);
	kernel = options_kernel(m->o, step.kernel);
	cmdline = guest_cmdline(m->s, m->o, gen);
	if (!gen) {
		/* what a person types has no descriptor of ours in it */
		argv = qemu_argv(m->s, m->o, m->dir, kernel, cmdline, -1);
		cmd = shell_quote(argv);
		write_text(m->dir, "qemu.cmd", cmd);
		write_text(m->dir, "cmdline", cmdline);
		json_object_set_new(m->scn, "qemu", text(cmd));
		json_object_set_new(m->scn, "cmdline", text(cmdline));
		free(cmd);
		for (char **a = argv; *a; a++)
			free(*a);
		free(argv);
	}
	argv = qemu_argv(m->s, m->o, m->dir, kernel, cmdline, fds[1]);
	free(cmdline);
	m->boots++;
	json_object_set_new(m->scn, "boots", json_integer(m->boots));
	m->pid = fork();
	if (!m->pid)
		_exit(child(argv, m->dir, console_max(m), fds[1]));
	for (char **a = argv; *a; a++)
		free(*a);
	free(argv);
	close(fds[1]);
	m->rec = fds[0];
	if (m->pid < 0) {
		m->pid = 0;
		because(m, "fork: %s", strerror(errno));
		return false;
	}
	m->pidfd = syscall(SYS_pidfd_open, m->pid, 0);
	m->deadline = 0;
	return true;
}

/* false: it will not run, and the results say why */
static bool start(struct machine *m)
{
	char path[1024];

	m->started = now();
	m->heard = m->started;
	m->rec = -1;
	m->console = -1;
	m->pidfd = -1;
	m->evidence = json_array();
	m->klog = json_array();
	m->con_bad = json_array();
	if (asprintf(&m->dir, "%s/%s", m->o->results, m->s->decl.name) < 0)
		abort();
	json_object_set_new(m->scn, "status", json_string("failed"));
	if (mkdir(m->dir, 0755)) {
		because(m, "%s: %s", m->dir, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "%s/console.log", m->dir);
	m->console = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	snprintf(path, sizeof(path), "%s/records.log", m->dir);
	m->log = fopen(path, "we");
	json_object_set_new(m->scn, "console",
			    json_sprintf("%s/console.log", m->s->decl.name));
	if (!power_on(m, 0))
		return false;
	json_object_set_new(m->scn, "status", json_string("running"));
	say(m, "started");
	return true;
}

static void conclude(struct machine *m, const char *how)
{
	unsigned int gens = json_integer_value(json_object_get(m->scn,
							       "generations_planned"));
	bool skipped = !strcmp(json_string_value(json_object_get(m->scn, "status")),
			       "skipped");
	bool interrupted = how && !strcmp(how, "interrupted");
	json_t *evidence;
	char reason[256];

	if (m->rec >= 0) {
		records(m);
		close(m->rec);
	}
	if (m->len)
		because(m, "the last record is cut off");
	if (m->log)
		fclose(m->log);
	console_read(m);
	if (m->con_len)
		con_take(m);
	if (!skipped && !m->done) {
		/* whoever jumped and was not heard of again is the next one */
		if (m->leaving)
			m->generation++;
		for (size_t i = 0; i < json_array_size(m->con_bad); i++) {
			const char *l = json_string_value(json_array_get(m->con_bad, i));

			if (strstr(l, "Kernel panic"))
				because(m, "the guest's kernel panicked: %.200s", l);
		}
		because(m, "%s", how ? how : "did not start");
		if (*m->program)
			program_over(m, interrupted ? "interrupted" :
				     "the machine ended before it");
		if (m->booted || json_array_size(m->con_bad))
			kernel_log(m);
	}
	if (!skipped) {
		evidence = json_array();
		if (*m->why && !interrupted) {
			keep_tail(evidence, m->dir, "console.log");
			keep_tail(evidence, m->dir, "qemu.log");
		}
		if (*m->why && m->generation + 1 < gens) {
			snprintf(reason, sizeof(reason), "generations %u to %u did not run",
				 m->generation + 1, gens - 1);
			json_array_append_new(evidence, text(reason));
		}
		check(m, "", "machine", interrupted ? ST_MISS :
		      *m->why ? ST_FAIL : ST_PASS, m->why, evidence);
		json_object_set_new(m->scn, "status",
				    json_string(interrupted ? "interrupted" :
						*m->why ? "failed" : "finished"));
	}
	json_object_set_new(m->scn, "duration",
			    json_real((long long)((now() - m->started) * 1e3) / 1e3));
	/* it can be made again at any time, and is the largest file by far */
	if (!*m->why) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/initrd.cpio", m->dir);
		unlink(path);
	}
	if (m->console >= 0)
		close(m->console);
	if (m->pidfd >= 0)
		close(m->pidfd);
	json_decref(m->evidence);
	json_decref(m->klog);
	json_decref(m->con_bad);
	progress.ended++;
	snprintf(reason, sizeof(reason), "ended after %.1f s%s%.150s",
		 now() - m->started, *m->why ? ": " : "", m->why);
	say(m, reason);
	if (progress.tty && *m->why)
		fputc('\n', stderr);
	free(m->dir);
	results_write(true);
}

static void stop(struct machine *m)
{
	if (m->pid <= 0)
		return;
	kill(m->pid, SIGKILL);
	waitpid(m->pid, NULL, 0);
	m->pid = 0;
}

/* true: it went down to come up again, and did */
static bool reboot(struct machine *m)
{
	struct kho_step next;

	scenario_step(m->s, m->generation + 1, &next);
	if (!m->leaving || next.way != KHO_BY_REBOOT || *m->why)
		return false;
	if (m->rec >= 0) {
		records(m);
		close(m->rec);
		m->rec = -1;
	}
	close(m->pidfd);
	m->pidfd = -1;
	/* a torn record is not for the next machine to end */
	return !m->len && power_on(m, m->generation + 1);
}

/* the machine went down; true: for good */
static bool reap(struct machine *m)
{
	char how[128];
	int st;

	waitpid(m->pid, &st, 0);
	m->pid = 0;
	if (!st && reboot(m))
		return false;
	if (WIFSIGNALED(st) && WTERMSIG(st) == SIGXFSZ)
		snprintf(how, sizeof(how), "the console grew beyond %d MiB",
			 (int)(console_max(m) >> 20));
	else if (WIFSIGNALED(st))
		snprintf(how, sizeof(how), "QEMU died of signal %d", WTERMSIG(st));
	else if (WEXITSTATUS(st))
		snprintf(how, sizeof(how), "QEMU ended with status %d", WEXITSTATUS(st));
	else
		snprintf(how, sizeof(how), "the machine ended before it was done");
	conclude(m, how);
	return true;
}

static bool without_kho(struct machine *m, const struct kernel *k)
{
	if (m->s->decl.flags & KHO_SC_ANY_KERNEL ||
	    !kernel_lacks(k, "CONFIG_KEXEC_HANDOVER"))
		return false;
	m->heard = now();
	snprintf(m->release, sizeof(m->release), "%s", k->release);
	json_object_set_new(m->scn, "status", json_string("skipped"));
	check(m, "", "machine", ST_SKIP,
	      "the kernel is built without CONFIG_KEXEC_HANDOVER", NULL);
	progress.ended++;
	return true;
}

/**
 * machines_run() - run scenarios, as many at a time as the options say
 * @s: the scenarios
 * @nr: how many
 * @o: the options
 * @k: kernel under test
 *
 * Return: exit status of the run; results are closed
 */
int machines_run(struct scenario **s, int nr, const struct options *o,
		 const struct kernel *k)
{
	struct machine *m = calloc(nr, sizeof(*m));
	struct pollfd *p = calloc(2 * nr + 1, sizeof(*p));
	struct machine **of = calloc(2 * nr + 1, sizeof(*of));
	const char *status = "complete";
	int next = 0, running = 0, sig;
	sigset_t set;

	if (!m || !p || !of)
		abort();
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sig = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	progress.total = nr;
	progress.start = now();
	progress.tty = isatty(STDERR_FILENO);
	for (int i = 0; i < nr; i++) {
		m[i].s = s[i];
		m[i].o = o;
		m[i].scn = results_scenario(s[i], o);
	}
	while (next < nr || running) {
		double t, first = 1e18;
		int n = 1;

		while (next < nr && running < o->jobs) {
			struct machine *x = &m[next++];

			if (without_kho(x, k))
				continue;
			if (start(x))
				running++;
			else
				conclude(x, NULL);
		}
		t = now();
		p[0].fd = sig;
		p[0].events = POLLIN;
		for (int i = 0; i < next; i++) {
			if (!m[i].pid)
				continue;
			if (!m[i].deadline)
				m[i].deadline = t + step(&m[i]);
			if (m[i].deadline < first)
				first = m[i].deadline;
			of[n] = &m[i];
			p[n].fd = m[i].pidfd;
			p[n++].events = POLLIN;
			if (m[i].rec < 0)
				continue;
			of[n] = &m[i];
			p[n].fd = m[i].rec;
			p[n++].events = POLLIN;
		}
		if (!running)
			continue;
		poll(p, n, first > t ? (int)((first - t) * 1e3) + 1 : 0);
		if (p[0].revents || results_broken()) {
			status = p[0].revents ? "interrupted" : "aborted";
			break;
		}
		for (int i = 1; i < n; i++) {
			if (!p[i].revents || p[i].fd != of[i]->rec || !of[i]->pid)
				continue;
			if (!records(of[i])) {
				close(of[i]->rec);
				of[i]->rec = -1;
			}
			if (of[i]->enough && !*of[i]->why) {
				stop(of[i]);
				of[i]->done = true;
				json_object_set_new(of[i]->scn, "generations_planned",
						    json_integer(of[i]->generation + 1));
				conclude(of[i], NULL);
				running--;
				continue;
			}
			/* what comes after a failure of the channel is no evidence */
			if (*of[i]->why && strncmp(of[i]->why, "init:", 5)) {
				stop(of[i]);
				conclude(of[i], of[i]->why);
				running--;
			}
		}
		for (int i = 1; i < n; i++) {
			if (!p[i].revents || p[i].fd != of[i]->pidfd || !of[i]->pid)
				continue;
			running -= reap(of[i]);
		}
		t = now();
		for (int i = 0; i < next; i++) {
			char how[128];

			if (!m[i].pid || !m[i].deadline || t < m[i].deadline)
				continue;
			/* it jumped to what must not run */
			if (m[i].leaving && m[i].s->decl.flags & KHO_SC_DAMAGED) {
				stop(&m[i]);
				if (reboot(&m[i]))
					continue;
			}
			snprintf(how, sizeof(how), "hung: no record for %.0f s%s",
				 step(&m[i]), m[i].done ? " after the last one" : "");
			if (m[i].done)
				because(&m[i], "%s", how);
			stop(&m[i]);
			conclude(&m[i], how);
			running--;
		}
		results_write(false);
	}
	for (int i = 0; i < nr; i++) {
		if (m[i].pid) {
			stop(&m[i]);
			conclude(&m[i], "interrupted");
		} else if (i >= next) {
			m[i].heard = now();
			check(&m[i], "", "machine", ST_MISS,
			      "did not run: the run was ended before", NULL);
		}
	}
	if (progress.tty)
		fputc('\n', stderr);
	close(sig);
	free(m);
	free(p);
	free(of);
	return results_close(status);
}
