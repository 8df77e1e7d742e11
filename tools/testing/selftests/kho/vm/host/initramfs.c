// SPDX-License-Identifier: GPL-2.0-only
/*
 * initramfs.c - what a machine boots with
 */
#include <errno.h>
#include <linux/elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/cpio.h"
#include "../../lib/kho.h"
#include "host.h"

#define PATHS_MAX	256

/**
 * struct archive - an initramfs being written
 * @out: where to
 * @ino: next inode number
 * @done: paths that are in it
 * @nr: how many
 */
struct archive {
	FILE *out;
	unsigned int ino;
	char *done[PATHS_MAX];
	int nr;
};

static bool once(struct archive *a, const char *path)
{
	for (int i = 0; i < a->nr; i++)
		if (!strcmp(a->done[i], path))
			return false;
	if (a->nr < PATHS_MAX)
		a->done[a->nr++] = strdup(path);
	return true;
}

/* the directories that lead to a path */
static void add_parents(struct archive *a, const char *path)
{
	char dir[1024];
	const char *p = path;

	while ((p = strchr(p, '/'))) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(p - path), path);
		if (*dir && once(a, dir))
			kho_cpio_dir(a->out, a->ino++, dir);
		p++;
	}
}

static int add_file(struct archive *a, const char *name, const char *from,
		    unsigned int mode)
{
	struct stat st;
	void *data;
	FILE *f;

	if (!once(a, name))
		return 0;
	add_parents(a, name);
	f = fopen(from, "re");
	if (!f)
		return -errno;
	if (fstat(fileno(f), &st)) {
		int err = -errno;

		fclose(f);
		return err;
	}
	data = malloc(st.st_size + 1);
	if (!data || (st.st_size && fread(data, st.st_size, 1, f) != 1)) {
		free(data);
		fclose(f);
		return -EIO;
	}
	fclose(f);
	kho_cpio_file(a->out, a->ino++, name, mode, data, st.st_size);
	free(data);
	return 0;
}

/* begin a tool that says something of a program; what it says */
static FILE *ask(const char *const *argv, pid_t *pid)
{
	int fds[2];
	FILE *f;

	if (pipe2(fds, O_CLOEXEC))
		return NULL;
	*pid = fork();
	if (!*pid) {
		dup2(fds[1], STDOUT_FILENO);
		freopen("/dev/null", "w", stderr);
		setenv("LC_ALL", "C", 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	f = *pid < 0 ? NULL : fdopen(fds[0], "r");
	if (!f)
		close(fds[0]);
	return f;
}

/* where a shared library lies below @root: false if it does not */
static bool library_below(const char *root, const char *name, char *path, size_t size)
{
	static const char * const dirs[] = { "lib", "usr/lib" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		/* where Debian has those of an architecture, and where others have them */
		snprintf(path, size, "%s/%s/%s-linux-gnu/%s", root, dirs[i], qemu_arch(), name);
		if (!access(path, R_OK))
			return true;
		snprintf(path, size, "%s/%s/%s", root, dirs[i], name);
		if (!access(path, R_OK))
			return true;
	}
	return false;
}

static int add_libraries_below(struct archive *a, const char *root, const char *program);

/* what a line of readelf's names: the dynamic linker, or a library */
static int add_named(struct archive *a, const char *root, const char *program, const char *line)
{
	char name[256], at[1024], path[1024];
	const char *p;
	int err;

	p = strstr(line, "program interpreter: /");
	if (p && sscanf(p, "program interpreter: /%255[^] ]", name) == 1) {
		snprintf(path, sizeof(path), "%s/%s", root, name);
		err = add_file(a, name, path, 0755);
		if (err)
			complain("%s (for %s): %s", path, program, strerror(-err));
		return err;
	}
	p = strstr(line, "Shared library: [");
	if (!p || sscanf(p, "Shared library: [%255[^]/ ]", name) != 1)
		return 0;
	snprintf(at, sizeof(at), "lib/%s", name);
	for (int i = 0; i < a->nr; i++)
		if (!strcmp(a->done[i], at))
			return 0;
	if (!library_below(root, name, path, sizeof(path))) {
		complain("%s: no %s below %s", program, name, root);
		return -ENOENT;
	}
	err = add_file(a, at, path, 0755);
	if (err)
		complain("%s (for %s): %s", path, program, strerror(-err));
	return err ?: add_libraries_below(a, root, path);
}

/* those of a program that cannot run here, nor tell itself what it needs */
static int add_libraries_below(struct archive *a, const char *root, const char *program)
{
	const char *const argv[] = { "readelf", "-dl", program, NULL };
	char line[2048];
	int err = 0;
	pid_t pid;
	FILE *f = ask(argv, &pid);

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		err = err ?: add_named(a, root, program, line);
	fclose(f);
	waitpid(pid, NULL, 0);
	return err;
}

/* the shared libraries that a program names, as the dynamic linker finds them */
static int add_libraries(struct archive *a, const char *program)
{
	const char *const argv[] = { "ldd", program, NULL };
	char line[2048], path[1024];
	int err = 0;
	pid_t pid;
	FILE *f = ask(argv, &pid);

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		char *p = strchr(line, '/');

		/* a static program has no such line */
		if (!p || sscanf(p, "%1023s", path) != 1 || err)
			continue;
		err = add_file(a, path + 1, path, 0755);
		if (err)
			complain("%s (for %s): %s", path, program, strerror(-err));
	}
	fclose(f);
	waitpid(pid, NULL, 0);
	return err;
}

/**
 * find_program() - find a program of the host
 * @root: below this directory, where the host's own are not the machines'; or NULL
 * @name: its name
 * @path: where it is
 * @size: size of @path in bytes
 *
 * Return: false if there is none
 */
bool find_program(const char *root, const char *name, char *path, size_t size)
{
	static const char * const below[] = { "usr/bin", "usr/sbin", "bin", "sbin" };
	const char *env = getenv("PATH");
	char *copy, *dir, *save;
	bool found = false;

	for (size_t i = 0; root && i < ARRAY_SIZE(below) && !found; i++) {
		snprintf(path, size, "%s/%s/%s", root, below[i], name);
		found = !access(path, X_OK);
	}
	if (root)
		return found;
	if (asprintf(&copy, "%s:/usr/sbin:/sbin", env ? env : "/usr/bin:/bin") < 0)
		return false;
	for (dir = strtok_r(copy, ":", &save); dir && !found;
	     dir = strtok_r(NULL, ":", &save)) {
		snprintf(path, size, "%s/%s", dir, name);
		found = !access(path, X_OK);
	}
	free(copy);
	return found;
}

static int add_program(struct archive *a, const struct options *o, const char *name,
		       const char *from, char *why, size_t size)
{
	int err = add_file(a, name, from, 0755);

	if (!err)
		err = o->sysroot ? add_libraries_below(a, o->sysroot, from) :
		      add_libraries(a, from);
	if (err)
		snprintf(why, size, "%s: %s", from, strerror(-err));
	return err;
}

/* which processor a program is for, as its ELF header has it; 0 where it has none */
static unsigned int processor_of(const char *path)
{
	unsigned char head[20] = "";
	FILE *f = fopen(path, "re");
	bool elf = f && fread(head, sizeof(head), 1, f) == 1 && !memcmp(head, ELFMAG, SELFMAG);

	if (f)
		fclose(f);
	return elf ? head[18] | head[19] << 8 : 0;
}

static int add_host_program(struct archive *a, const struct options *o, const char *program,
			    unsigned int processor, char *why, size_t size)
{
	char from[1024], name[512];

	snprintf(name, sizeof(name), "kho/bin/%s", program);
	/* the suite's own come first */
	snprintf(from, sizeof(from), "%s/%s", o->programs, program);
	if (!access(from, X_OK) || find_program(o->sysroot, program, from, sizeof(from))) {
		if (processor_of(from) == processor)
			return add_program(a, o, name, from, why, size);
		snprintf(why, size, "%s: a program for another processor than the machine's",
			 from);
		return -ENOPKG;
	}
	snprintf(why, size, "program %s is not installed", program);
	return -ENOPKG;
}

/* what a kernel is built with, for whoever has to know: its options alone */
static void add_config(struct archive *a, const char *kernel, const char *config)
{
	char *buf, name[64];
	size_t len;
	FILE *f;

	if (!config)
		return;
	f = open_memstream(&buf, &len);
	if (!f)
		abort();
	for (const char *p = config; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (*p != '#')
			fprintf(f, "%.*s\n", (int)strcspn(p, "\n"), p);
	if (fclose(f))
		abort();
	snprintf(name, sizeof(name), "kho/config%s%s", *kernel ? "." : "", kernel);
	kho_cpio_file(a->out, a->ino++, name, 0644, buf, len);
	free(buf);
}

/* the test producer for each kernel that runs */
static int add_modules(struct archive *a, const struct scenario *s,
		       const struct options *o, char *why, size_t size)
{
	struct kho_step step;
	char name[128];
	int err = 0;

	/* behind its steps a scenario goes on in the kernel under test */
	for (unsigned int i = 0; i < scenario_generations(s, o) && !err; i++) {
		bool last = !scenario_step(s, i, &step);
		const char *from = options_module(o, step.kernel);

		if (!from) {
			snprintf(why, size, "no kho_producer.ko for %s: --module %s%sFILE",
				 *step.kernel ? step.kernel : "this kernel", step.kernel,
				 *step.kernel ? "=" : "");
			return -ENOPKG;
		}
		snprintf(name, sizeof(name), KHO_MODULE, *step.kernel ? "." : "", step.kernel);
		err = add_file(a, name + 1, from, 0644);
		if (err)
			snprintf(why, size, "%s: %s", from, strerror(-err));
		if (last)
			break;
	}
	return err;
}

/**
 * initramfs_write() - write the initramfs of a scenario
 * @path: the file
 * @s: the scenario
 * @o: programs, kernel
 * @job: content of /kho/job
 * @gen: the generation that boots with it
 * @why: what went wrong
 * @size: size of @why in bytes
 *
 * The same input gives the same bytes.
 *
 * Return: 0; -ENOPKG if a program of the host or a kernel is missing; or what
 * went wrong
 */
int initramfs_write(const char *path, const struct scenario *s,
		    const struct options *o, const char *job,
		    unsigned int gen, char *why, size_t size)
{
	static const char * const dirs[] = {
		"dev", "proc", "sys", "tmp", "kho", "kho/bin", "kho/state",
	};
	struct archive a = { .ino = 1 };
	char from[1024], name[512], kernel[32] = "";
	unsigned int processor = 0;
	int err = 0;

	a.out = fopen(path, "we");
	if (!a.out) {
		err = -errno;
		snprintf(why, size, "%s: %s", path, strerror(-err));
		return err;
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		once(&a, dirs[i]);
		kho_cpio_dir(a.out, a.ino++, dirs[i]);
	}
	kho_cpio_node(a.out, a.ino++, "dev/console", 5, 1);
	kho_cpio_file(a.out, a.ino++, "kho/job", 0644, job, strlen(job));
	if (gen) {
		snprintf(name, sizeof(name), "%u", gen);
		kho_cpio_file(a.out, a.ino++, "kho/state/generation", 0600, name,
			      strlen(name));
	}

	if (o->init)
		err = add_program(&a, o, "init", o->init, why, size);
	for (int i = 0; i < KHO_PROGRAMS_MAX && !err; i++) {
		const char *p = s->decl.programs[i];

		if (!i && !*p)
			p = s->program;
		if (!*p)
			continue;
		snprintf(name, sizeof(name), "kho/bin/%s", p);
		snprintf(from, sizeof(from), "%s/%s", o->programs, p);
		err = add_program(&a, o, name, from, why, size);
		processor = processor_of(from);
		/* each program can be init, see lib/init.c */
		if (!i && !o->init)
			kho_cpio_link(a.out, a.ino++, "init", name);
	}
	for (int i = 0; i < KHO_FILES_MAX && !err; i++)
		if (*s->decl.files[i])
			err = add_host_program(&a, o, s->decl.files[i], processor, why, size);
	if (!err && scenario_uses(s, KHO_BY_KEXEC_LOAD))
		err = add_host_program(&a, o, "kexec", processor, why, size);
	if (!err && s->decl.flags & KHO_SC_MODULE)
		err = add_modules(&a, s, o, why, size);
	for (int i = 0; !err; i++) {
		const struct kernel *k = options_kernel(o, kernel);

		if (!k) {
			snprintf(why, size, "no kernel \"%s\" is named: --also %s=IMAGE",
				 kernel, kernel);
			err = -ENOPKG;
			break;
		}
		snprintf(name, sizeof(name), "kho/kernel%s%s", *kernel ? "." : "",
			 kernel);
		err = add_file(&a, name, k->path, 0644);
		if (err)
			snprintf(why, size, "%s: %s", k->path, strerror(-err));
		add_config(&a, kernel, k->config);
		if (!scenario_kernel(s, i, kernel, sizeof(kernel)))
			break;
	}
	kho_cpio_end(a.out);
	if ((ferror(a.out) | fclose(a.out)) && !err) {
		err = errno ? -errno : -EIO;
		snprintf(why, size, "%s: %s", path, strerror(-err));
	}
	for (int i = 0; i < a.nr; i++)
		free(a.done[i]);
	if (err)
		unlink(path);
	return err;
}
