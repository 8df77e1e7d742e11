// SPDX-License-Identifier: GPL-2.0-only
/*
 * hear.c - what a machine says, and what follows from it
 *
 * Records and the console become results.  However a machine ends, what it was
 * expected to say and did not is in the results as MISS or FAIL, with the console's
 * tail.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"

#define EVIDENCE_MAX	200
#define TAIL_LINES	30
/* facts about a machine */
#define ENVIRONMENT_MAX	100
/* ranges of memory that are kept of a machine */
#define MEMORY_MAX	2000

struct machines machines;

/**
 * machine_say() - tell whoever watches of a machine
 * @m: the machine
 * @what: happened, without newline
 */
void machine_say(const struct machine *m, const char *what)
{
	double t = now();

	/* a line per event on a log, one line that moves on a terminal */
	if (machines.tty && t - machines.said < 0.1 && strncmp(what, "ended", 5))
		return;
	machines.said = t;
	fprintf(stderr, "%s[%6.1fs] %d of %d machines, %u checks: %s: %s%s",
		machines.tty ? "\r\033[K" : "", t - machines.start,
		machines.ended, machines.total, machines.checks,
		m->s->decl.name, what, machines.tty ? "" : "\n");
}

/**
 * machine_because() - note why a machine failed; the first reason stays
 * @m: the machine
 * @fmt: the reason
 */
void machine_because(struct machine *m, const char *fmt, ...)
{
	va_list ap;

	if (*m->why)
		return;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
}

/**
 * machine_check() - the result of a check of a machine
 * @m: the machine
 * @req: what the check is about, "" for what is about the machine
 * @test: its name
 * @st: what came of it
 * @reason: of a SKIP or MISS, "" else
 * @evidence: or NULL; the reference is taken over
 */
void machine_check(struct machine *m, const char *req, const char *test, enum status st,
		   const char *reason, json_t *evidence)
{
	double t = now();

	machines.checks++;
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
	unsigned int left;

	m->con_line[m->con_len] = '\0';
	m->con_len = 0;
	if (sscanf(m->con_line, KHO_LEAVES, &left) == 1) {
		m->con_ended = left + 1;
		return;
	}
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

/*
 * What came on the console since, up to the end of a generation: who is late finds
 * there what the next kernel said, too.
 */
static void console_read(struct machine *m, unsigned int generation)
{
	char buf[4096];
	ssize_t n;

	while (m->console >= 0 && m->con_ended <= generation &&
	       (n = read(m->console, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\r')
				continue;
			if (buf[i] == '\n' ||
			    m->con_len == sizeof(m->con_line) - 1)
				con_take(m);
			if (buf[i] != '\n')
				m->con_line[m->con_len++] = buf[i];
			if (m->con_ended <= generation)
				continue;
			lseek(m->console, i + 1 - n, SEEK_CUR);
			return;
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
	console_read(m, m->generation);
	if (json_array_size(m->klog))
		machine_check(m, "", "kernel_log", ST_FAIL, "", json_incref(m->klog));
	else if (json_array_size(m->con_bad))
		machine_check(m, "", "kernel_log", ST_FAIL, "", json_incref(m->con_bad));
	else if (!*m->why)
		machine_check(m, "", "kernel_log", ST_PASS, "", NULL);
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
		machine_check(m, "", m->program, strncmp(how, "signal", 6) ? ST_MISS : ST_FAIL,
			      reason, json_incref(m->evidence));
	} else if (m->seen < m->planned) {
		snprintf(reason, sizeof(reason), "ended (%s) with %u of %u tests reported",
			 how, m->seen, m->planned);
		machine_check(m, "", m->program, ST_MISS, reason, json_incref(m->evidence));
	} else if (!m->seen && (*m->skip || !strcmp(how, "exit 4"))) {
		machine_check(m, "", m->program, ST_SKIP,
			      *m->skip ? m->skip : "the program says so", NULL);
	} else if (!m->seen) {
		snprintf(reason, sizeof(reason), "ended (%s) without a result", how);
		machine_check(m, "", m->program, ST_MISS, reason, json_incref(m->evidence));
	} else if (strcmp(how, "exit 0") && strcmp(how, "exit 4") && !m->failed) {
		snprintf(reason, sizeof(reason), "ended with %s, and no test failed", how);
		machine_check(m, "", m->program, ST_FAIL, reason, json_incref(m->evidence));
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

static void memory(struct machine *m, json_t *range)
{
	json_t *list = json_object_get(m->scn, "memory"), *left = json_object_get(range, "left");

	if (!list) {
		list = json_array();
		json_object_set_new(m->scn, "memory", list);
	}
	if (!left && json_array_size(list) >= MEMORY_MAX)
		left = json_true();
	if (left) {
		json_int_t n = json_integer_value(json_object_get(m->scn, "memory_left"));

		n += json_is_integer(left) ? json_integer_value(left) : 1;
		json_object_set_new(m->scn, "memory_left", json_integer(n));
		json_decref(range);
		return;
	}
	json_object_set_new(range, "generation", json_integer(m->generation));
	json_array_append_new(list, range);
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
		machine_check(m, req, test, k.kind == KTAP_NOT_OK ? ST_FAIL :
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
		if (!is) {
			is = ktap_memory(k.reason, &v);
			if (is > 0) {
				memory(m, v);
				return;
			}
		}
		if (is < 0) {
			m->failed++;
			machine_check(m, "", "measurement", ST_FAIL, "",
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

	if (r->generation != (m->booted ? m->generation + 1 : 0) ||
	    (m->booted && !m->leaving)) {
		machine_because(m, "generation %u began where generation %u was to be",
				r->generation, m->booted ? m->generation + m->leaving : 0);
		return;
	}
	/* what the generation before left there is its own */
	console_read(m, r->generation);
	m->crashing = false;
	m->generation = r->generation;
	m->booted = true;
	m->leaving = false;
	if (sscanf(r->payload, "release=%127s uptime_ns=%llu", m->release, &ns) != 2) {
		machine_because(m, "init told of no kernel release");
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
	machine_say(m, buf);
}

static void take_record(struct machine *m, const struct kho_record *r)
{
	if (r->kind == KHO_REC_BOOT) {
		boot(m, r);
		m->seq = 0;
	}
	if (!m->booted || r->generation != m->generation) {
		machine_because(m, "a record of generation %u came in generation %u",
				r->generation, m->generation);
		return;
	}
	if (r->seq != m->seq)
		machine_because(m, "records are missing: number %u came for number %u",
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
		machine_because(m, "init: %.900s", r->payload);
		break;
	default:
		break;
	}
}

/**
 * machine_record() - a record came, as a line
 * @m: the machine
 * @line: with its newline; not trusted
 * @len: its length in bytes
 */
void machine_record(struct machine *m, const char *line, size_t len)
{
	static struct kho_record r;
	const char *why;

	if (m->log && (fwrite(line, len, 1, m->log) != 1 || fflush(m->log))) {
		/* a verdict whose evidence is lost is none */
		machine_because(m, "%s/records.log: %s", m->dir, strerror(errno));
		fclose(m->log);
		m->log = NULL;
	}
	if (kho_record_parse(line, len, &r, &why)) {
		char shown[80];

		snprintf(shown, sizeof(shown), "%.*s", (int)len, line);
		machine_because(m, "a record is torn: %s: \"%s\"", why, shown);
		return;
	}
	take_record(m, &r);
}

/**
 * machine_begin() - before a machine runs
 * @m: the machine: its scenario, options and entry in the results
 *
 * Return: true; false if there is no room for what it will say, which is its failure
 */
bool machine_begin(struct machine *m)
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
	if (mkdir(m->dir, 0755) && !(m->o->go_on && errno == EEXIST)) {
		machine_because(m, "%s: %s", m->dir, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "%s/records.log", m->dir);
	m->log = fopen(path, "ae");
	return true;
}

/**
 * machine_over() - a machine ran, and will no more: its last results
 * @m: the machine
 * @how: it ended, if not as it was to
 */
void machine_over(struct machine *m, const char *how)
{
	unsigned int gens = json_integer_value(json_object_get(m->scn,
							       "generations_planned"));
	bool skipped = !strcmp(json_string_value(json_object_get(m->scn, "status")),
			       "skipped");
	bool interrupted = how && !strcmp(how, "interrupted");
	json_t *evidence;
	char reason[256];

	if (m->log)
		fclose(m->log);
	console_read(m, UINT_MAX);
	if (m->con_len)
		con_take(m);
	if (!skipped && !m->done) {
		/* whoever jumped and was not heard of again is the next one */
		if (m->leaving)
			m->generation++;
		for (size_t i = 0; i < json_array_size(m->con_bad); i++) {
			const char *l = json_string_value(json_array_get(m->con_bad, i));

			if (strstr(l, "Kernel panic"))
				machine_because(m, "the guest's kernel panicked: %.200s", l);
		}
		machine_because(m, "%s", how ? how : "did not start");
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
		machine_check(m, "", "machine", interrupted ? ST_MISS :
			      *m->why ? ST_FAIL : ST_PASS, m->why, evidence);
		json_object_set_new(m->scn, "status",
				    json_string(interrupted ? "interrupted" :
						*m->why ? "failed" : "finished"));
	}
	json_object_set_new(m->scn, "duration",
			    json_real((long long)((now() - m->started) * 1e3) / 1e3));
	if (m->console >= 0)
		close(m->console);
	json_decref(m->evidence);
	json_decref(m->klog);
	json_decref(m->con_bad);
	machines.ended++;
	snprintf(reason, sizeof(reason), "ended after %.1f s%s%.150s",
		 now() - m->started, *m->why ? ": " : "", m->why);
	machine_say(m, reason);
	if (machines.tty && *m->why)
		fputc('\n', stderr);
	results_write(true);
}
