// SPDX-License-Identifier: GPL-2.0-only
/*
 * null_chain.c - an init that loads the next kernel and goes there, and no more
 *
 * What a generation of a chain costs at least: beside it stands in its initramfs
 * the kernel (/kernel); "null_generations=N" on the command line says how many more.
 * The machine then ends by a reset, for without ACPI it cannot be switched off.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void end(const char *what)
{
	perror(what);
	reboot(RB_AUTOBOOT);
}

int main(void)
{
	static char line[4096], buf[1 << 20];
	int in, initrd, kernel, left;
	ssize_t n;
	char *at;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
		end("mount");
	in = open("/proc/cmdline", O_RDONLY);
	n = read(in, line, sizeof(line) - 1);
	close(in);
	at = n > 0 ? strstr(line, "null_generations=") : NULL;
	if (!at)
		end("null_generations=");
	at += strlen("null_generations=");
	left = atoi(at);
	if (left <= 0)
		reboot(RB_AUTOBOOT);
	/* it stands at the line's end, and gets no longer */
	snprintf(at, sizeof(line) - (at - line), "%d", left - 1);
	in = open("/sys/firmware/initrd", O_RDONLY);
	initrd = memfd_create("initrd", 0);
	kernel = open("/kernel", O_RDONLY);
	if (in < 0 || initrd < 0 || kernel < 0)
		end("open");
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(initrd, buf, n) != n)
			end("write");
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1, line, 0UL))
		end("kexec_file_load");
	reboot(RB_KEXEC);
	end("reboot");
	return 1;
}
