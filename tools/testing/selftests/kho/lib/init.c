// SPDX-License-Identifier: GPL-2.0-only
/*
 * init.c - PID 1 of a machine of khotest
 *
 * Each program of the suite is one: what a machine runs anyway is its init, too, and
 * has not to be carried and translated twice in each generation.  Nowhere else does it
 * do anything, see be_init().
 *
 * Runs the job's programs, tells what they say as records, and goes on into
 * the next kernel, as often as the job wants.  It never ends silently: what it
 * cannot do it says on both channels, and powers off.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "kho.h"
#include "record.h"
#include "scenario.h"
#include "tell.h"

/* kselftest's exit status of a test that was skipped */
#define EXIT_SKIPPED	4

#define PROGRAMS_MAX	8

static struct {
	char scenario[64];
	char record[64];
	char program[PROGRAMS_MAX][64];
	int nr_programs;
	unsigned int generations;
	unsigned int flags;
} job;

static unsigned int generation;
static unsigned int seq;
static int record_fd = -1;
static struct kho_teller teller = { .klog = -1 };

static void write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		/* nobody is left to be told */
		if (n <= 0)
			return;
		p += n;
		len -= n;
	}
}

static void record(enum kho_record_kind kind, const char *payload, size_t len)
{
	char line[KHO_RECORD_MAX + 1];
	size_t n = kho_record_format(line, sizeof(line), seq++, generation,
				     kind, payload, len);

	if (record_fd >= 0)
		write_all(record_fd, line, n);
}

static void __printf(2, 3) recordf(enum kho_record_kind kind,
				   const char *fmt, ...)
{
	char buf[KHO_RECORD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	record(kind, buf, strlen(buf));
}

/* without ACPI there is no switch: a machine that resets is not started again */
static int power_off(void)
{
	return access("/sys/firmware/acpi", F_OK) ? RB_AUTOBOOT : RB_POWER_OFF;
}

static void __noreturn leave(int how)
{
	static const char *const kexec_e[] = { "kexec", "-e", NULL };

	if (record_fd >= 0)
		tcdrain(record_fd);
	tcdrain(STDOUT_FILENO);
	if (how == RB_KEXEC && job.flags & KHO_SC_KEXEC_E)
		recordf(KHO_REC_FAIL, "kexec -e: status %d", kho_kexec_tool(kexec_e));
	else
		reboot(how);
	/* only a kexec can fail, for want of an image */
	recordf(KHO_REC_FAIL, "reboot: %s", strerror(errno));
	if (record_fd >= 0)
		tcdrain(record_fd);
	reboot(power_off());
	for (;;)
		pause();
}

static void __noreturn __printf(1, 2) fail(const char *fmt, ...)
{
	char buf[KHO_RECORD_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	printf("kho_init: %s\n", buf);
	fflush(stdout);
	record(KHO_REC_FAIL, buf, strlen(buf));
	leave(power_off());
}

static int mount_one(const char *type, const char *dir)
{
	mkdir(dir, 0755);
	return mount(type, dir, type, 0, NULL) ? -errno : 0;
}

static void mounts(void)
{
	int err = mount_one("devtmpfs", "/dev");

	if (!err)
		err = mount_one("proc", "/proc");
	if (!err)
		err = mount_one("sysfs", "/sys");
	if (err)
		fail("mount: %s", strerror(-err));
	/* may be switched off or not built in: what needs them says so */
	mount_one("debugfs", "/sys/kernel/debug");
}

static void read_job(void)
{
	char *line, *save;
	struct kho_blob b;
	int err;

	err = kho_read_file("/kho/job", &b);
	if (err)
		fail("/kho/job: %s", strerror(-err));
	for (line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (job.nr_programs < PROGRAMS_MAX &&
		    sscanf(line, "program %63s",
			   job.program[job.nr_programs]) == 1)
			job.nr_programs++;
		else if (sscanf(line, "scenario %63s", job.scenario) != 1 &&
			 sscanf(line, "record %63s", job.record) != 1 &&
			 sscanf(line, "generations %u", &job.generations) != 1 &&
			 sscanf(line, "flags %u", &job.flags) != 1)
			continue;	/* not for init */
	}
	if (!*job.scenario || !*job.record || !job.generations)
		fail("/kho/job: incomplete");
	kho_blob_free(&b);
	if (!kho_read_file("/kho/state/generation", &b)) {
		generation = strtoul(b.data, NULL, 10);
		kho_blob_free(&b);
	}
}

static void open_record(void)
{
	struct termios t;

	record_fd = open(job.record, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (record_fd < 0)
		fail("%s: %s", job.record, strerror(errno));
	if (!tcgetattr(record_fd, &t)) {
		/* speed and line are none of a virtual port's: to set them takes time */
		t.c_oflag &= ~OPOST;
		t.c_lflag &= ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
		tcsetattr(record_fd, TCSANOW, &t);
	}
}

/*
 * In the child.  What init is itself has not to be executed once more: it only goes on
 * to its main().
 */
static void become(const char *name, int out)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	char path[128], num[16];
	struct stat me, it;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	setenv("KHO_SCENARIO", job.scenario, 1);
	snprintf(num, sizeof(num), "%u", generation);
	setenv("KHO_GENERATION", num, 1);
	snprintf(num, sizeof(num), "%u", job.generations);
	setenv("KHO_GENERATIONS", num, 1);
	setenv("KHO_STATE", "/kho/state", 1);
	setenv("PATH", "/kho/bin", 1);
	if (chdir("/tmp"))
		_exit(126);
	snprintf(path, sizeof(path), "/kho/bin/%s", name);
	if (!stat("/init", &me) && !stat(path, &it) && me.st_ino == it.st_ino) {
		sigaction(SIGCHLD, &sa, NULL);
		close_range(STDERR_FILENO + 1, ~0U, 0);
		return;
	}
	execl(path, path, NULL);
	printf("# %s: %s\n", path, strerror(errno));
	fflush(stdout);
	_exit(127);
}

enum end { ENDED, SKIPPED, BECOME };

/* BECOME: this is the child, and the program */
static enum end run_program(const char *name)
{
	int fds[2], status;
	pid_t pid;

	record(KHO_REC_BEGIN, name, strlen(name));
	if (pipe2(fds, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (!pid) {
		become(name, fds[1]);
		return BECOME;
	}
	close(fds[1]);
	status = kho_tell_program(&teller, fds[0], pid);
	close(fds[0]);
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED ? SKIPPED : ENDED;
}

/* the other system call is kexec-tools' own: what it needs is in the image */
static void kexec_load(const char *kernel, int initrd, const char *cmdline)
{
	char arg[3200], path[32];
	const char *const argv[] = {
		"kexec", "-c", "-l", kernel, "--initrd", path, arg, NULL,
	};
	int status;

	/* it opens it by name */
	fcntl(initrd, F_SETFD, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", initrd);
	snprintf(arg, sizeof(arg), "--command-line=%s", cmdline);
	status = kho_kexec_tool(argv);
	if (status)
		fail("kexec -c -l: status %d", status);
}

/* how the next generation is entered */
static void next_step(struct kho_step *next)
{
	static char line[3072];
	const char *why;
	int err = kho_job_step(generation + 1, line, sizeof(line));

	if (err)
		fail("the next generation's step: %s", strerror(-err));
	if (kho_step_parse(line, next, &why))
		fail("the next generation's step: %s", why);
}

static void load_kernel(void)
{
	char kernel[64], num[16];
	struct kho_step next;
	int fd, err = 0;

	snprintf(num, sizeof(num), "%u", generation);
	setenv("KHO_GENERATION", num, 1);
	next_step(&next);
	/* khotest starts the machine anew when it sees it go */
	if (next.way == KHO_BY_REBOOT)
		return;
	snprintf(kernel, sizeof(kernel), "/kho/kernel%s%s", *next.kernel ? "." : "",
		 next.kernel);
	fd = kho_next_initrd();
	if (fd < 0)
		fail("initramfs of the next generation: %s", strerror(-fd));
	if (next.way == KHO_BY_KEXEC_LOAD)
		kexec_load(kernel, fd, next.cmdline);
	else if (next.way == KHO_BY_CRASH)
		err = kho_kexec_load_crash(kernel, fd, next.cmdline);
	else
		err = kho_kexec_load(kernel, fd, next.cmdline);
	if (err)
		fail("kexec_file_load: %s", strerror(-err));
	close(fd);
}

/*
 * A CPU that is stopped for a kexec says so before it has come to rest, and then may run
 * in what is the next kernel already (Documentation/known-issues/stopped-cpu-still-runs.rst).
 * One that is offline rests: only where CPUs are the matter are they stopped.
 */
static void rest_cpus(void)
{
	char path[64];

	if (job.flags & KHO_SC_PARALLEL)
		return;
	for (int cpu = sysconf(_SC_NPROCESSORS_CONF) - 1; cpu > 0; cpu--) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
		kho_write(path, "0");
	}
}

static void __noreturn next_kernel(void)
{
	struct kho_step next;

	next_step(&next);
	if (next.way == KHO_BY_KEXEC || next.way == KHO_BY_KEXEC_LOAD)
		rest_cpus();
	kho_tell_klog(&teller);
	/* what comes on the console behind this is the next one's */
	printf(KHO_LEAVES "\n", generation);
	fflush(stdout);
	record(KHO_REC_KEXEC, "", 0);
	/* nothing panics as surely as the end of init */
	if (next.way == KHO_BY_CRASH || job.flags & KHO_SC_DAMAGED) {
		tcdrain(record_fd);
		_exit(1);
	}
	leave(next.way == KHO_BY_REBOOT ? RB_AUTOBOOT : RB_KEXEC);
}

/* comes back in a child only, that is the program */
static void init(void)
{
	enum end end = ENDED;

	kho_tell_begin();
	mounts();
	read_job();
	open_record();
	teller.record = record;
	teller.klog = kho_klog_open(true);
	kho_tell_boot(&teller);
	if (teller.klog < 0)
		fail("/dev/kmsg: %s", strerror(-teller.klog));
	kho_tell_klog(&teller);
	if (job.flags & KHO_SC_LOAD_FIRST && generation + 1 < job.generations)
		load_kernel();
	for (int i = 0; i < job.nr_programs; i++) {
		end = run_program(job.program[i]);
		if (end == BECOME)
			return;
	}
	/* nobody kexecs where the one program that would load the next kernel skips */
	if (job.flags & KHO_SC_PROGRAM_LOADS && end == SKIPPED)
		job.generations = generation + 1;
	if (generation + 1 >= job.generations) {
		record(KHO_REC_DONE, "", 0);
		leave(power_off());
	}
	if (job.flags & KHO_SC_PROGRAM_LOADS && kho_kexec_loaded() <= 0)
		fail("the program loaded no kernel");
	if (!(job.flags & (KHO_SC_LOAD_FIRST | KHO_SC_PROGRAM_LOADS)))
		load_kernel();
	next_kernel();
}

/*
 * Before all other constructors, and main().  Whoever is PID 1 of a container has
 * neither been started as /init nor a job.
 */
static void __attribute__((constructor(101))) be_init(int argc __maybe_unused, char **argv)
{
	if (getpid() == 1 && argv && argv[0] && !strcmp(argv[0], "/init") &&
	    !access("/kho/job", F_OK))
		init();
}
