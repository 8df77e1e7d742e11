// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec.c - into the next kernel, with the initramfs and what tests saved
 *
 * retain_initrd keeps the initramfs that this kernel was booted with in
 * /sys/firmware/initrd.  The next kernel gets its first base_size bytes, which
 * are khotest's, and one more cpio archive with the state behind them; the
 * kernel unpacks both.  So what tests compare with does not travel by KHO.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kexec.h>

#include "cpio.h"
#include "kho.h"
#include "steps.h"

#define INITRD	"/sys/firmware/initrd"

static int load(const char *kernel, int initrd_fd, const char *cmdline,
		unsigned long flags)
{
	int fd, err = 0;

	if (initrd_fd < 0)
		flags |= KEXEC_FILE_NO_INITRAMFS;
	fd = open(kernel, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_kexec_file_load, fd, initrd_fd, strlen(cmdline) + 1,
		    cmdline, flags))
		err = -errno;
	close(fd);
	return err;
}

/**
 * kho_kexec_load() - kexec_file_load() a kernel
 * @kernel: its image
 * @initrd_fd: its initramfs, -1 for none
 * @cmdline: its command line
 *
 * Return: 0, or what the system call failed with
 */
int kho_kexec_load(const char *kernel, int initrd_fd, const char *cmdline)
{
	return load(kernel, initrd_fd, cmdline, 0);
}

/**
 * kho_load_next() - load the next generation, with the command line that it shall have
 * @kernel: path of its image
 * @initrd: its initramfs, of kho_next_initrd(); an error of that is passed on
 *
 * Return: 0, what the job or its step is refused with, or kexec_file_load()'s errno
 */
int kho_load_next(const char *kernel, int initrd)
{
	struct kho_step step;
	char line[3072];
	const char *why;

	if (initrd < 0)
		return initrd;
	return kho_job_step(kho_generation() + 1, line, sizeof(line)) ?:
	       kho_step_parse(line, &step, &why) ?: kho_kexec_load(kernel, initrd, step.cmdline);
}

/**
 * kho_came_with() - how large something is that this kernel's loader handed over
 * @file: its name in /sys/firmware: "initrd", which retain_initrd keeps, or "fdt"
 *
 * Return: bytes, 0 if there is no such file
 */
s64 kho_came_with(const char *file)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/firmware/%s", file);
	return stat(path, &st) ? 0 : st.st_size;
}

/* what an image says that the kernel takes, and where it says so */
enum {
	/* Documentation/arch/x86/boot.rst: init_size */
	INIT_SIZE = 0x260,
	/* Documentation/arch/arm64/booting.rst: magic and image_size */
	ARM_MAGIC = 0x38,
	IMAGE_SIZE = 0x10,
	HEADERS = 0x264,
};

/**
 * kho_image_size() - the memory that a kernel image is loaded into
 * @kernel: path of the image
 *
 * Return: bytes, as the image says, or a negative errno
 */
s64 kho_image_size(const char *kernel)
{
	int fd = open(kernel, O_RDONLY | O_CLOEXEC);
	unsigned char head[HEADERS];
	u64 size = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, head, sizeof(head), 0);
	close(fd);
	if (n != sizeof(head))
		return -EIO;
	if (!memcmp(head + ARM_MAGIC, "ARM\x64", 4))
		memcpy(&size, head + IMAGE_SIZE, 8);
	else
		memcpy(&size, head + INIT_SIZE, 4);
	return size;
}

/**
 * kho_kexec_load_crash() - kexec_file_load() a kernel for a panic
 * @kernel: its image
 * @initrd_fd: its initramfs, -1 for none
 * @cmdline: its command line
 *
 * Return: 0, or what the system call failed with
 */
int kho_kexec_load_crash(const char *kernel, int initrd_fd, const char *cmdline)
{
	return load(kernel, initrd_fd, cmdline, KEXEC_FILE_ON_CRASH);
}

/**
 * kho_kexec_unload() - drop the loaded image
 *
 * Return: 0, or what the system call failed with
 */
int kho_kexec_unload(void)
{
	return syscall(SYS_kexec_file_load, -1, -1, 0, NULL,
		       KEXEC_FILE_UNLOAD) ? -errno : 0;
}

/**
 * kho_kexec_loaded() - is a kernel loaded for the next kexec?
 *
 * Return: 1 or 0, or what reading /sys/kernel/kexec_loaded failed with
 */
int kho_kexec_loaded(void)
{
	struct kho_blob b;
	int is;

	is = kho_read_file("/sys/kernel/kexec_loaded", &b);
	if (is)
		return is;
	is = atoi(b.data);
	kho_blob_free(&b);
	return is;
}

/**
 * kho_kexec_tool() - run kexec-tools' program in a machine of khotest
 * @argv: its arguments, NULL at their end; what it says is evidence
 *
 * Return: its exit status; more than that, or less than none, if it did not end
 * by itself
 */
int kho_kexec_tool(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execv("/kho/bin/kexec", (char *const *)argv);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int add_file(FILE *out, unsigned int *ino, const char *path)
{
	struct kho_blob b;
	int err = kho_read_file(path, &b);

	if (err)
		return err;
	kho_cpio_file(out, (*ino)++, path + 1, 0600, b.data, b.len);
	kho_blob_free(&b);
	return 0;
}

static int add_dir(FILE *out, unsigned int *ino, unsigned int generation)
{
	char path[512];
	struct dirent *e;
	int err = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/kho/state/%u", generation);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	kho_cpio_dir(out, (*ino)++, path + 1);
	while (!err && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/kho/state/%u/%s", generation,
			 e->d_name);
		err = add_file(out, ino, path);
	}
	closedir(d);
	return err;
}

/* khotest's part of the initramfs this kernel was booted with, in bytes */
static long base_len(void)
{
	struct kho_blob b;
	struct stat st;
	long size;

	if (!kho_read_file("/kho/state/base_size", &b)) {
		size = strtol(b.data, NULL, 10);
		kho_blob_free(&b);
		return size;
	}
	if (stat(INITRD, &st))
		return -errno;
	return st.st_size;
}

/**
 * kho_next_initrd() - the initramfs of the next generation
 *
 * Return: a descriptor of it, positioned at its start, or what went wrong
 */
int kho_next_initrd(void)
{
	unsigned int ino = 1000, gen = kho_generation(), first = 0;
	const struct kho_boot *boot = kho_boot_of(gen);
	long base = base_len();
	off_t off = 0;
	char num[32];
	int fd, in, err = 0;
	FILE *out;

	if (base <= 0)
		return base ? (int)base : -ENODATA;
	if (boot)
		first = boot->first;
	in = open(INITRD, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return -errno;
	fd = memfd_create("initrd", MFD_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		close(in);
		return err;
	}
	/* sysfs files cannot be spliced: a plain copy */
	while (off < base) {
		static char buf[1 << 20];
		size_t want = (size_t)(base - off) < sizeof(buf) ?
			      (size_t)(base - off) : sizeof(buf);
		ssize_t n = pread(in, buf, want, off);

		if (n <= 0 || write(fd, buf, n) != n) {
			err = n < 0 ? -errno : -EIO;
			break;
		}
		off += n;
	}
	close(in);
	out = err ? NULL : fdopen(dup(fd), "w");
	if (!err && !out)
		err = -errno;
	if (!err) {
		fseek(out, 0, SEEK_END);
		kho_cpio_align(out);
		snprintf(num, sizeof(num), "%u", gen + 1);
		kho_cpio_file(out, ino++, "kho/state/generation", 0600, num,
			      strlen(num));
		snprintf(num, sizeof(num), "%ld", base);
		kho_cpio_file(out, ino++, "kho/state/base_size", 0600, num,
			      strlen(num));
		err = add_dir(out, &ino, first);
		if (!err && gen != first)
			err = add_dir(out, &ino, gen);
		kho_cpio_end(out);
	}
	if (out && fclose(out) && !err)
		err = -errno;
	if (!err && lseek(fd, 0, SEEK_SET) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
