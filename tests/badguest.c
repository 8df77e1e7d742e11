// SPDX-License-Identifier: GPL-2.0-only
/*
 * badguest.c - an init that goes wrong in the way that badguest= asks for
 *
 * "good" is what all the others are measured against: the same guest, in order.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lib/kho.h"
#include "lib/record.h"

static int fd = -1;
static u32 seq;

static void put(enum kho_record_kind kind, const char *payload)
{
	char line[KHO_RECORD_MAX + 1];
	size_t n = kho_record_format(line, sizeof(line), seq++, 0, kind, payload,
				     strlen(payload));

	if (write(fd, line, n) != (ssize_t)n)
		_exit(1);
}

static void off(void)
{
	tcdrain(fd);
	reboot(RB_POWER_OFF);
}

static void to_kmsg(const char *text)
{
	int kmsg = open("/dev/kmsg", O_WRONLY);

	if (kmsg < 0 || write(kmsg, text, strlen(text)) < 0)
		_exit(1);
	close(kmsg);
}

/* a model of eight operations that fails in the seventh, for what the third and sixth did */
static void run_operations(void)
{
	bool third = true, sixth = true;
	char ops[64];

	if (!kho_cmdline_get(NULL, "kho_ops", 0, ops, sizeof(ops))) {
		third = false;
		sixth = false;
		for (char *p = ops; *p; ) {
			unsigned long from = strtoul(p, &p, 10), to = from;

			if (*p == '-')
				to = strtoul(p + 1, &p, 10);
			third |= from <= 2 && to >= 2;
			sixth |= from <= 5 && to >= 5;
			p += *p == ',';
		}
	}
	put(KHO_REC_LINE, "1..1");
	put(KHO_REC_LINE, "# kho: value name=model.operations unit=operations value=8");
	if (third && sixth)
		put(KHO_REC_LINE, "# bad: op 6: the map is another");
	put(KHO_REC_LINE, third && sixth ? "not ok 1 global.r2__model" : "ok 1 global.r2__model");
	put(KHO_REC_END, third && sixth ? "exit 1" : "exit 0");
	put(KHO_REC_DONE, "");
	off();
}

int main(void)
{
	static const char flood[] = "all work and no play makes a guest a console flood\n";
	char how[32] = "";
	struct termios t;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	kho_cmdline_get(NULL, "badguest", 0, how, sizeof(how));
#define IS(name) (!strcmp(how, name))
	if (IS("silent"))
		pause();
	if (IS("quits"))
		off();
	fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY);
	tcgetattr(fd, &t);
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	tcsetattr(fd, TCSANOW, &t);
	if (IS("garbage") && write(fd, "what is this?\n", 14) != 14)
		return 1;
	put(KHO_REC_BOOT, "release=0.0 uptime_ns=1000 cmdline=");
	put(KHO_REC_BEGIN, "bad_guest");
	put(KHO_REC_LINE, "TAP version 13");
	if (IS("operations"))
		run_operations();
	put(KHO_REC_LINE, IS("short") ? "1..2" : "1..1");
	put(KHO_REC_LINE, "ok 1 global.x1__\033[31mhostile \"name\"");
	if (IS("dies"))
		return 1;
	if (IS("hangs"))
		pause();
	if (IS("leaves"))
		off();
	if (IS("skips"))
		seq++;
	if (IS("lies"))
		put(KHO_REC_LINE, "not ok 2 global.x2__surprise");
	if (IS("crashes"))
		put(KHO_REC_END, "signal 11");
	else
		put(KHO_REC_END, "exit 0");
	if (IS("warns"))
		to_kmsg("WARNING: CPU: 0 PID: 1 at lib/nowhere.c:1 nothing+0x0/0x0");
	if (IS("torn")) {
		if (write(fd, "@kho 7 0 12345678 do", 20) != 20)
			return 1;
		off();
	}
	if (IS("jumps"))
		put(KHO_REC_KEXEC, "");
	while (IS("floods"))
		if (write(STDOUT_FILENO, flood, sizeof(flood) - 1) < 0)
			return 1;
	if (IS("jumps"))
		off();
	if (IS("warns")) {
		put(KHO_REC_KLOG, "WARNING: CPU: 0 PID: 1 at lib/nowhere.c:1");
		tcdrain(STDOUT_FILENO);
	}
	put(KHO_REC_DONE, "");
	off();
	return 1;
}
