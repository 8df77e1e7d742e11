// SPDX-License-Identifier: GPL-2.0-only
/*
 * machine.c - run machines in QEMU, side by side
 *
 * One loop waits for whatever comes first: a record, the end of a QEMU, a
 * deadline, a signal to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

#include "machine.h"

/* without acceleration, on a busy machine of ordinary speed; in seconds */
#define STEP_SECONDS	60
/* a guest that floods its console ends here; a generation of a chain says less than that */
#define CONSOLE_MAX	(64 << 20)
#define CONSOLE_CHAIN	(16 << 10)
/* what a guest may say while nobody listens, without being held up */
#define RECORDS_AHEAD	(1024 << 10)

/*
 * A full pipe holds up the guest's serial port until somebody has read, and what the
 * guest does meanwhile is counted: by how late we were, and no longer to the digit.
 */
static void held_up(struct machine *m)
{
	int size = fcntl(m->rec, F_GETPIPE_SZ), waiting = 0;

	if (m->s->decl.flags & KHO_SC_EXACT && !ioctl(m->rec, FIONREAD, &waiting) &&
	    waiting > size - sysconf(_SC_PAGESIZE))
		machine_because(m, "%d bytes of records waited, all that the pipe holds: not exact",
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

			machine_record(m, m->buf, len);
			m->len -= len;
			memmove(m->buf, nl + 1, m->len);
			m->deadline = 0;
		}
		if (m->len == sizeof(m->buf)) {
			machine_because(m, "a record is torn: longer than a record may be");
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

	if (qemu_lacks(m->s)) {
		json_object_set_new(m->scn, "status", json_string("skipped"));
		machine_check(m, "", "machine", ST_SKIP, qemu_lacks(m->s), NULL);
		return false;
	}
	job = guest_job(m->s, m->o);
	snprintf(path, sizeof(path), "%s/initrd.cpio", m->dir);
	err = initramfs_write(path, m->s, m->o, job, gen, why, sizeof(why));
	free(job);
	if (err == -ENOPKG) {
		json_object_set_new(m->scn, "status", json_string("skipped"));
		machine_check(m, "", "machine", ST_SKIP, why, NULL);
		return false;
	}
	if (err) {
		machine_because(m, "%s", why);
		return false;
	}
	if (pipe2(fds, O_CLOEXEC)) {
		machine_because(m, "pipe: %s", strerror(errno));
		return false;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[0], F_SETPIPE_SZ, RECORDS_AHEAD);
	scenario_step(m->s, gen, &step);
	kernel = options_kernel(m->o, step.kernel)->path;
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
		machine_because(m, "fork: %s", strerror(errno));
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

	if (!machine_begin(m))
		return false;
	snprintf(path, sizeof(path), "%s/console.log", m->dir);
	m->console = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	json_object_set_new(m->scn, "console",
			    json_sprintf("%s/console.log", m->s->decl.name));
	if (!power_on(m, 0))
		return false;
	json_object_set_new(m->scn, "status", json_string("running"));
	machine_say(m, "started");
	return true;
}

static void conclude(struct machine *m, const char *how)
{
	char path[1024];

	if (m->rec >= 0) {
		records(m);
		close(m->rec);
	}
	if (m->len)
		machine_because(m, "the last record is cut off");
	machine_over(m, how);
	/* it can be made again at any time, and is the largest file by far */
	snprintf(path, sizeof(path), "%s/initrd.cpio", m->dir);
	if (!*m->why)
		unlink(path);
	if (m->pidfd >= 0)
		close(m->pidfd);
	free(m->dir);
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
	machine_check(m, "", "machine", ST_SKIP,
		      "the kernel is built without CONFIG_KEXEC_HANDOVER", NULL);
	machines.ended++;
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
	machines.total = nr;
	machines.start = now();
	machines.tty = isatty(STDERR_FILENO);
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
				machine_because(&m[i], "%s", how);
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
			machine_check(&m[i], "", "machine", ST_MISS,
				      "did not run: the run was ended before", NULL);
		}
	}
	if (machines.tty)
		fputc('\n', stderr);
	close(sig);
	free(m);
	free(p);
	free(of);
	return results_close(status);
}
