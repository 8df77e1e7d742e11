/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * machine.h - a machine that runs a scenario, and what is heard of it
 *
 * Where its records come from is the matter of whoever runs it.
 */
#ifndef KHO_MACHINE_H
#define KHO_MACHINE_H

#include <stdio.h>
#include <sys/types.h>

#include "../../lib/kho.h"
#include "host.h"

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
 * @con_ended: generations whose end was seen on the console
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
	unsigned int con_ended;
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

/**
 * struct machines - all of a run, for whoever watches it
 * @total: how many there are
 * @ended: of these
 * @checks: results that came
 * @start: when the run began
 * @tty: a person looks at it
 * @said: when something was told last
 */
struct machines {
	int total;
	int ended;
	unsigned int checks;
	double start;
	bool tty;
	double said;
};

extern struct machines machines;

bool machine_begin(struct machine *m);
void machine_say(const struct machine *m, const char *what);
void __printf(2, 3) machine_because(struct machine *m, const char *fmt, ...);
void machine_check(struct machine *m, const char *req, const char *test, enum status st,
		   const char *reason, json_t *evidence);
void machine_record(struct machine *m, const char *line, size_t len);
void machine_over(struct machine *m, const char *how);

#endif /* KHO_MACHINE_H */
