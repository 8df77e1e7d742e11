// SPDX-License-Identifier: GPL-2.0-only
/*
 * kho.c - files, command line, what kind of boot this is
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/magic.h>

#include "kho.h"

/**
 * kho_read_file_at() - read a whole file with reads of a given size
 * @dirfd: directory that @name is relative to, or AT_FDCWD
 * @name: the file; its stat size is not looked at, debugfs says 0
 * @chunk: bytes asked for in each read, 0 for a size of the library's choice
 * @blob: its content, to be given to kho_blob_free()
 *
 * Return: 0, -EFBIG for a file longer than KHO_BLOB_MAX, or what open or read
 * failed with
 */
int kho_read_file_at(int dirfd, const char *name, size_t chunk,
		     struct kho_blob *blob)
{
	size_t size = 0, len = 0;
	char *buf = NULL, *p;
	int fd, err = 0;
	ssize_t n;

	blob->data = NULL;
	blob->len = 0;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		if (size - len < 4097) {
			size = size ? 2 * size : 16384;
			p = realloc(buf, size);
			if (!p) {
				err = -ENOMEM;
				break;
			}
			buf = p;
		}
		n = size - len - 1;
		if (chunk && (size_t)n > chunk)
			n = chunk;
		n = read(fd, buf + len, n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		len += n;
		if (len > KHO_BLOB_MAX) {
			err = -EFBIG;
			break;
		}
	}
	close(fd);
	if (err) {
		free(buf);
		return err;
	}
	buf[len] = '\0';
	blob->data = buf;
	blob->len = len;
	return 0;
}

/**
 * kho_read_file() - read a whole file
 * @path: the file
 * @blob: its content, to be given to kho_blob_free()
 *
 * Return: see kho_read_file_at()
 */
int kho_read_file(const char *path, struct kho_blob *blob)
{
	return kho_read_file_at(AT_FDCWD, path, 0, blob);
}

/**
 * kho_write() - write a value into a file of the kernel
 * @path: the file; it must be there
 * @text: the value, in one write
 *
 * Return: 0, -EIO if less was taken, or what open or write failed with
 */
int kho_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;
	ssize_t len = strlen(text), n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != len)
		err = n < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

/**
 * kho_blob_free() - free a blob's content
 * @blob: may be empty
 */
void kho_blob_free(struct kho_blob *blob)
{
	free(blob->data);
	blob->data = NULL;
	blob->len = 0;
}

/**
 * kho_cmdline_get() - find an option on a kernel command line
 * @cmdline: the line; NULL for that of the running kernel
 * @key: the option's name, without "="
 * @nth: which of several of that name, from 0
 * @val: its value; empty for an option without "="; may be NULL
 * @size: size of @val in bytes
 *
 * Quotes are the kernel's: a blank within "..." does not end an option.
 *
 * Return: 0, -ENOENT if there is none, -ENOSPC if @val is too small
 */
int kho_cmdline_get(const char *cmdline, const char *key, unsigned int nth,
		    char *val, size_t size)
{
	size_t kl = strlen(key);
	struct kho_blob b = { };
	int err = -ENOENT;
	const char *p;

	if (!cmdline) {
		err = kho_read_file("/proc/cmdline", &b);
		if (err)
			return err;
		cmdline = b.data;
		err = -ENOENT;
	}
	for (p = cmdline; *p; ) {
		bool quoted = false;
		const char *start;
		size_t len;

		while (*p == ' ' || *p == '\n')
			p++;
		start = p;
		while (*p && *p != '\n' && (quoted || *p != ' ')) {
			if (*p == '"')
				quoted = !quoted;
			p++;
		}
		len = p - start;
		if (len < kl || memcmp(start, key, kl) ||
		    (len > kl && start[kl] != '='))
			continue;
		if (nth--)
			continue;
		start += len > kl ? kl + 1 : kl;
		len = p - start;
		if (len >= 2 && *start == '"' && start[len - 1] == '"') {
			start++;
			len -= 2;
		}
		err = 0;
		if (val && len >= size) {
			err = -ENOSPC;
		} else if (val) {
			memcpy(val, start, len);
			val[len] = '\0';
		}
		break;
	}
	kho_blob_free(&b);
	return err;
}

/**
 * kho_dir() - where khotest leaves what the programs of a scenario need
 *
 * Return: its path: /kho in a machine of khotest's own
 */
const char *kho_dir(void)
{
	return getenv("KHO_DIR") ?: "/kho";
}

/**
 * kho_own_machine() - is this a machine of khotest's own?
 *
 * There all that preserves memory is known, which it is not on a machine as it is.
 *
 * Return: true if so
 */
bool kho_own_machine(void)
{
	return kho_generation() >= 0 && !getenv("KHO_DIR");
}

/**
 * kho_generation() - how many kernels ran before this one
 *
 * Return: 0 after a cold boot, 1 after the first kexec, ...; -1 where nobody
 * counts, that is outside the machines of khotest
 */
int kho_generation(void)
{
	const char *s = getenv("KHO_GENERATION");
	char *end;
	long v;

	if (!s || !*s)
		return -1;
	v = strtol(s, &end, 10);
	return *end || v < 0 || v > 1000000000 ? -1 : (int)v;
}

/**
 * kho_scenario_name() - the scenario that is running
 *
 * Return: its name; "" outside the machines of khotest
 */
const char *kho_scenario_name(void)
{
	const char *s = getenv("KHO_SCENARIO");

	return s ? s : "";
}

/* the running kernel's own configuration, where it can be found */
static int config_read(struct kho_blob *b)
{
	const struct kho_boot *boot = kho_boot_of(kho_generation());
	struct utsname u;
	char path[256];
	int err;

	if (boot) {
		snprintf(path, sizeof(path), "%s/config%s%s", kho_dir(),
			 *boot->step.kernel ? "." : "", boot->step.kernel);
		return kho_read_file(path, b);
	}
	if (uname(&u))
		return -errno;
	snprintf(path, sizeof(path), "/boot/config-%s", u.release);
	err = kho_read_file(path, b);
	if (!err)
		return 0;
	snprintf(path, sizeof(path), "/lib/modules/%s/config", u.release);
	return kho_read_file(path, b);
}

/**
 * kho_config() - is the running kernel built with an option?
 * @option: "CONFIG_..."
 *
 * Return: 1 if it is, 0 if it is not, -1 where its configuration is not known
 */
int kho_config(const char *option)
{
	struct kho_blob b;
	char line[128];
	int is;

	if (config_read(&b))
		return -1;
	snprintf(line, sizeof(line), "\n%s=y\n", option);
	is = !!strstr(b.data, line);
	kho_blob_free(&b);
	return is;
}

/* as kstrtobool() of the kernel; -1 for what it refuses */
static int boolean(const char *s)
{
	switch (*s) {
	case 'e': case 'E': case 'y': case 'Y': case 't': case 'T': case '1':
		return 1;
	case 'd': case 'D': case 'n': case 'N': case 'f': case 'F': case '0':
		return 0;
	case 'o': case 'O':
		if (s[1] == 'n' || s[1] == 'N')
			return 1;
		if (s[1] == 'f' || s[1] == 'F')
			return 0;
		return -1;
	}
	return -1;
}

/**
 * kho_cmdline_bool() - what a command line says of a switch
 * @cmdline: the line; NULL for that of the running kernel
 * @key: the option's name, without "="
 *
 * Of several the last valid one wins (kstrtobool() in an early_param()).
 *
 * Return: 1 on, 0 off, -1 where it says nothing (valid)
 */
int kho_cmdline_bool(const char *cmdline, const char *key)
{
	char val[64];
	int on = -1;

	for (unsigned int i = 0; ; i++) {
		int err = kho_cmdline_get(cmdline, key, i, val, sizeof(val));

		if (err == -ENOSPC)
			continue;
		if (err)
			return on;
		if (boolean(val) >= 0)
			on = boolean(val);
	}
}

/**
 * kho_cmdline_enabled() - what a command line says about KHO
 * @cmdline: the line; NULL for that of the running kernel
 *
 * Documentation/admin-guide/kernel-parameters.txt, "kho=".
 *
 * Return: 1 on, 0 off, -1 where it says nothing (valid)
 */
int kho_cmdline_enabled(const char *cmdline)
{
	return kho_cmdline_bool(cmdline, "kho");
}

/**
 * kho_memparse() - a size as the kernel's command line takes it
 * @s: the text: a number, then K, M, G, T, P, E in either case, or nothing
 * @end: set to what follows the size
 *
 * Return: the size in bytes
 */
u64 kho_memparse(const char *s, char **end)
{
	static const char suffix[] = "KMGTPE";
	u64 size = strtoull(s, end, 0);
	const char *p = **end ? strchr(suffix, toupper((unsigned char)**end)) : NULL;

	if (p) {
		size <<= 10 * (p - suffix + 1);
		(*end)++;
	}
	return size;
}

static bool knows_debugfs(void)
{
	struct kho_blob b;
	bool known;

	if (kho_read_file("/proc/filesystems", &b))
		return true;
	known = strstr(b.data, "\tdebugfs\n");
	kho_blob_free(&b);
	return known;
}

/**
 * kho_unknown() - is this a kernel to which kho= says nothing?
 *
 * A kernel makes an option that it does not know init's environment.  One that
 * is known to be built with KHO has no such excuse.
 *
 * Return: NULL if not, else the reason in words
 */
const char *kho_unknown(void)
{
	if (!getenv("kho") || kho_config("CONFIG_KEXEC_HANDOVER") == 1)
		return NULL;
	return "the kernel does not know kho=: it is built without KHO";
}

/**
 * kho_why_not() - why KHO cannot be looked at here
 *
 * The reasons are told in the order in which a person would remove them.
 * Inside a machine of khotest with KHO switched on nothing is an excuse: there
 * a missing directory is the kernel's failure and not a reason to skip.
 *
 * Return: NULL if it can be, else the reason in words
 */
const char *kho_why_not(void)
{
	struct statfs fs;

	if (kho_generation() >= 0) {
		const struct kho_boot *b = kho_boot_of(kho_generation());

		if (b && b->on)
			return kho_unknown();
		if (b)
			return "KHO is off in this generation";
	}
	if (geteuid())
		return "not root: debugfs is for root only";
	if (!kho_config("CONFIG_KEXEC_HANDOVER"))
		return "the kernel is built without CONFIG_KEXEC_HANDOVER";
	if (kho_cmdline_enabled(NULL) == 0)
		return "KHO is switched off by kho= on the kernel command line";
	if (!kho_config("CONFIG_KEXEC_HANDOVER_DEBUGFS"))
		return "the kernel is built without CONFIG_KEXEC_HANDOVER_DEBUGFS";
	if (!knows_debugfs())
		return "the kernel is built without debugfs";
	if (statfs("/sys/kernel/debug", &fs) || fs.f_type != DEBUGFS_MAGIC)
		return "debugfs is not mounted on /sys/kernel/debug";
	if (access(KHO_DEBUGFS, F_OK))
		return kho_cmdline_enabled(NULL) == 1 ?
		       "no kho directory in debugfs: KHO or its debugfs interface is not built in" :
		       "no kho directory in debugfs: KHO is not built in, or not on (kho=on)";
	return NULL;
}

/**
 * kho_no_debugfs() - why KHO's debugfs interface cannot be looked at here
 *
 * Return: NULL if it can be, else the reason in words: those of kho_why_not(), and that the
 * kernel is built without, which is no fault of it
 */
const char *kho_no_debugfs(void)
{
	return kho_why_not() ?: kho_config("CONFIG_KEXEC_HANDOVER_DEBUGFS") ? NULL :
	       "the kernel is built without CONFIG_KEXEC_HANDOVER_DEBUGFS";
}

/**
 * kho_own_test() - does the kernel's own test of KHO run?
 *
 * lib/test_kho.c, built in and not switched off by initcall_blacklist=.
 *
 * Return: true if so
 */
bool kho_own_test(void)
{
	char val[256];

	if (access("/sys/module/test_kho", F_OK))
		return false;
	for (unsigned int i = 0; ; i++) {
		int err = kho_cmdline_get(NULL, "initcall_blacklist", i, val, sizeof(val));

		if (err == -ENOENT)
			return true;
		if (!err && strstr(val, "kho_test_init"))
			return false;
	}
}

/**
 * kho_state_save() - keep something for the generations that follow
 * @name: a file name
 * @data: any bytes
 * @len: their number
 *
 * What the generation before saved can be loaded, and what the first one of a
 * row of handovers did.
 *
 * Return: 0, -ENXIO outside the machines of khotest, or what went wrong
 */
int kho_state_save(const char *name, const void *data, size_t len)
{
	const char *dir = getenv("KHO_STATE");
	char path[512];
	FILE *f;

	if (!dir || kho_generation() < 0)
		return -ENXIO;
	snprintf(path, sizeof(path), "%s/%d", dir, kho_generation());
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/%d/%s", dir, kho_generation(), name);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	if (len && fwrite(data, len, 1, f) != 1) {
		fclose(f);
		return -EIO;
	}
	return fclose(f) ? -errno : 0;
}

/**
 * kho_state_load() - what another generation saved
 * @name: a file name
 * @generation: struct kho_boot.first, the one before this, or this
 * @blob: what was saved, to be given to kho_blob_free()
 *
 * Return: 0, -ENXIO outside the machines of khotest, -ENOENT if nothing was
 * saved, or what went wrong
 */
int kho_state_load(const char *name, unsigned int generation,
		   struct kho_blob *blob)
{
	const char *dir = getenv("KHO_STATE");
	char path[512];

	if (!dir || kho_generation() < 0)
		return -ENXIO;
	snprintf(path, sizeof(path), "%s/%u/%s", dir, generation, name);
	return kho_read_file(path, blob);
}

/**
 * kho_state_get() - what another generation saved, where its size is known
 * @name: a file name
 * @generation: as for kho_state_load()
 * @data: where it goes to; written to only when all of it is there
 * @size: its bytes
 *
 * Return: 0, -EBADMSG if another size was saved, or what kho_state_load() failed with
 */
int kho_state_get(const char *name, unsigned int generation, void *data, size_t size)
{
	struct kho_blob blob;
	int err = kho_state_load(name, generation, &blob);

	if (err)
		return err;
	if (blob.len == size)
		memcpy(data, blob.data, size);
	else
		err = -EBADMSG;
	kho_blob_free(&blob);
	return err;
}

/**
 * kho_stay() - have something done by a process that stays
 * @hold: does it: what it holds is held until the process is killed or the kernel ends
 * @arg: for @hold
 * @pid: whose it is; who was killed before it could answer is to be waited for
 *
 * Return: what @hold returned, 0 or a negative errno; -ECHILD if it did not get to that
 */
int kho_stay(int (*hold)(void *arg), void *arg, pid_t *pid)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	*pid = fork();
	if (!*pid) {
		/* who waits for the end of what is said does not wait for this one */
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		err = hold(arg);
		if (write(fds[1], &err, sizeof(err)) != sizeof(err) || err)
			_exit(1);
		for (;;)
			pause();
	}
	err = *pid < 0 ? -errno : 0;
	close(fds[1]);
	if (!err && read(fds[0], &err, sizeof(err)) != sizeof(err))
		err = -ECHILD;
	else if (*pid > 0 && err)
		waitpid(*pid, NULL, 0);
	close(fds[0]);
	return err;
}
