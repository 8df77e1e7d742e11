// SPDX-License-Identifier: GPL-2.0-only
/*
 * unit.c - the suite's parsers and checkers against good, cut, flipped and
 * hostile input; run under the address and undefined behaviour sanitizers
 *
 * KHO_PROGRAM names a built program that declares scenarios.
 */
#include "kselftest_harness.h"

/* on a machine that has other things to do half a minute is not long */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/asked.h"
#include "lib/cpio.h"
#include "lib/fdt_check.h"
#include "lib/kho.h"
#include "lib/map.h"
#include "lib/record.h"
#include "vm/host/host.h"

/* khotest's own is in the file with its main() */
void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

/* exactly as long as it is: the sanitizer sees every byte beyond */
static void *exact(const void *data, size_t len)
{
	void *p = malloc(len ? len : 1);

	memcpy(p, data, len);
	return p;
}

static int parse(const char *line, size_t len, struct kho_record *rec)
{
	char *copy = exact(line, len);
	const char *why = NULL;
	int err = kho_record_parse(copy, len, rec, &why);

	free(copy);
	/* whoever refuses says why */
	if (!!err != !!why)
		abort();
	return err;
}

static struct kho_record rec;

TEST(record_is_what_the_format_says)
{
	/* crc32 of "3 1 line ok\x09\x0a" as any other implementation has it */
	static const char want[] = "@kho 3 1 ead874ca line ok\\x09\\x0a\n";
	char line[KHO_RECORD_MAX + 1];

	ASSERT_EQ(strlen(want), kho_record_format(line, sizeof(line), 3, 1, KHO_REC_LINE,
						  "ok\t\n", 4));
	EXPECT_STREQ(want, line);
}

TEST(record_round_trip)
{
	char all[256], line[KHO_RECORD_MAX + 1];
	size_t n;

	for (int i = 0; i < 256; i++)
		all[i] = i;
	for (int kind = 0; kind < KHO_REC_KINDS; kind++) {
		n = kho_record_format(line, sizeof(line), 4294967295u, kind, kind, all,
				      sizeof(all));
		ASSERT_LT(0, n);
		ASSERT_EQ('\n', line[n - 1]);
		ASSERT_EQ(0, parse(line, n, &rec));
		EXPECT_EQ(4294967295u, rec.seq);
		EXPECT_EQ(kind, rec.generation);
		EXPECT_EQ(kind, rec.kind);
		ASSERT_EQ(sizeof(all), rec.len);
		EXPECT_EQ(0, memcmp(all, rec.payload, rec.len));
	}
}

TEST(record_cut_at_every_length)
{
	char line[KHO_RECORD_MAX + 1];
	size_t n = kho_record_format(line, sizeof(line), 12, 3, KHO_REC_LINE,
				     "not ok 7 x", 10);

	/* only the newline may be missing */
	for (size_t len = 0; len < n - 1; len++)
		EXPECT_NE(0, parse(line, len, &rec));
	EXPECT_EQ(0, parse(line, n - 1, &rec));
	for (size_t len = 5; len < n - 1; len++)
		EXPECT_EQ(-EBADMSG, parse(line, len, &rec));
}

TEST(record_with_every_bit_flipped)
{
	char line[KHO_RECORD_MAX + 1];
	size_t n = kho_record_format(line, sizeof(line), 12, 3, KHO_REC_LINE,
				     "not ok 7 x", 10);

	for (size_t bit = 0; bit < (n - 1) * 8; bit++) {
		line[bit / 8] ^= 1 << bit % 8;
		EXPECT_NE(0, parse(line, n, &rec)) {
			TH_LOG("bit %zu", bit);
		}
		line[bit / 8] ^= 1 << bit % 8;
	}
}

TEST(record_too_long_is_cut_and_says_so)
{
	static char big[3 * KHO_RECORD_MAX];
	char line[KHO_RECORD_MAX + 1];
	size_t n;

	memset(big, 'x', sizeof(big));
	n = kho_record_format(line, sizeof(line), 0, 0, KHO_REC_LINE, big, sizeof(big));
	ASSERT_LT(0, n);
	ASSERT_GE(KHO_RECORD_MAX, n);
	ASSERT_EQ(0, parse(line, n, &rec));
	EXPECT_STREQ("...", rec.payload + rec.len - 3);
	memset(big, 0xff, sizeof(big));
	n = kho_record_format(line, sizeof(line), 0, 0, KHO_REC_LINE, big, sizeof(big));
	ASSERT_EQ(0, parse(line, n, &rec));
	for (size_t size = 0; size < 64; size++) {
		char *small = malloc(size ? size : 1);

		n = kho_record_format(small, size, 0, 0, KHO_REC_LINE, big, 9);
		EXPECT_GE(size, n);
		free(small);
	}
}

TEST(ktap_lines)
{
	static const struct {
		const char *line;
		enum ktap_kind kind;
		unsigned int number;
		bool skip;
		const char *name, *reason;
	} t[] = {
		{ "1..25", KTAP_PLAN, 25, false, "", "" },
		{ "1..0 # SKIP no kernel", KTAP_PLAN, 0, true, "", "no kernel" },
		{ "1..x", KTAP_OTHER, 0, false, "", "" },
		{ "1..9999999999", KTAP_OTHER, 0, false, "", "" },
		{ "ok 1 global.a", KTAP_OK, 1, false, "global.a", "" },
		{ "ok 2 - global.a b", KTAP_OK, 2, false, "global.a b", "" },
		{ "ok 3 a # SKIP why not", KTAP_OK, 3, true, "a", "why not" },
		{ "ok 3 a # skip", KTAP_OK, 3, true, "a", "" },
		{ "not ok 4 a", KTAP_NOT_OK, 4, false, "a", "" },
		/* a failure is none the less for being called a skip */
		{ "not ok 5 a # SKIP", KTAP_NOT_OK, 5, false, "a", "" },
		{ "ok", KTAP_OTHER, 0, false, "", "" },
		{ "ok x a", KTAP_OTHER, 0, false, "", "" },
		{ "ok 6", KTAP_OTHER, 0, false, "", "" },
		{ "ok 6 ", KTAP_OTHER, 6, false, "", "" },
		{ "okay 6 a", KTAP_OTHER, 0, false, "", "" },
		{ "# text", KTAP_DIAG, 0, false, "", "text" },
		{ "#", KTAP_DIAG, 0, false, "", "" },
		{ "", KTAP_OTHER, 0, false, "", "" },
	};
	static struct ktap_line k;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char *copy = exact(t[i].line, strlen(t[i].line) + 1);

		ktap_parse(copy, &k);
		free(copy);
		EXPECT_EQ(t[i].kind, k.kind) {
			TH_LOG("%s", t[i].line);
		}
		if (k.kind == KTAP_OTHER)
			continue;
		EXPECT_EQ(t[i].number, k.number);
		EXPECT_EQ(t[i].skip, k.skip);
		EXPECT_STREQ(t[i].name, k.name);
		EXPECT_STREQ(t[i].reason, k.reason);
	}
}

TEST(ktap_long_line)
{
	static char line[3 * KHO_RECORD_MAX];
	static struct ktap_line k;

	memset(line, 'a', sizeof(line) - 1);
	memcpy(line, "ok 1 ", 5);
	ktap_parse(line, &k);
	EXPECT_EQ(KTAP_OK, k.kind);
	EXPECT_EQ(sizeof(k.name) - 1, strlen(k.name));
	line[0] = '#';
	ktap_parse(line, &k);
	EXPECT_EQ(sizeof(k.reason) - 1, strlen(k.reason));
}

TEST(ktap_names)
{
	static const struct {
		const char *name, *req, *test;
	} t[] = {
		{ "global.d4__scratch_phys", "D4", "scratch_phys" },
		{ "kernel_log", "", "kernel_log" },
		{ "global.__x", "", "__x" },
		{ "global.en10__a__b", "EN10", "a__b" },
		{ "a/b\n\"c", "", "a_b__c" },
		{ "d4__", "D4", "unnamed" },
		{ "averyveryverylongrequirement__x", "", "averyveryverylongrequirement__x" },
	};
	char req[8], test[64];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		ktap_name(t[i].name, req, sizeof(req), test, sizeof(test));
		EXPECT_STREQ(t[i].req, req);
		EXPECT_STREQ(t[i].test, test);
	}
}

TEST(ktap_values)
{
	static const struct {
		const char *diag;
		int is;
	} t[] = {
		{ "kho: value name=a.b unit=ns value=12", 1 },
		{ "kho: value name=a unit=ns value=1.5 samples=1,2,3 n=3", 1 },
		{ "kho: value name=a unit=ns", -1 },
		{ "kho: value name=a value=1", -1 },
		{ "kho: value unit=ns value=1", -1 },
		{ "kho: value name=a unit=ns value=", -1 },
		{ "kho: value name=a unit=ns value=1,2", -1 },
		{ "kho: value name=a unit=ns value=x", -1 },
		{ "kho: value name=a unit=ns value=1 samples=1,,2", -1 },
		{ "kho: value name=A unit=ns value=1", -1 },
		{ "kho: value name= unit=ns value=1", -1 },
		{ "kho: value name=a unit=ns value=1 stray", -1 },
		{ "kho: value name=a unit=ns value=1 =x", -1 },
		{ "kho: value ", -1 },
		{ "kho: values", 0 },
		{ "anything", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		json_t *v = NULL;

		EXPECT_EQ(t[i].is, ktap_value(t[i].diag, &v)) {
			TH_LOG("%s", t[i].diag);
		}
		json_decref(v);
	}
}

TEST(ktap_value_keeps_every_digit)
{
	static const char diag[] =
		"kho: value name=a unit=ns value=9007199254740993 samples=1,9007199254740993 x=y";
	json_t *v = NULL;

	ASSERT_EQ(1, ktap_value(diag, &v));
	EXPECT_EQ(9007199254740993LL, json_integer_value(json_object_get(v, "value")));
	EXPECT_EQ(9007199254740993LL,
		  json_integer_value(json_array_get(json_object_get(v, "samples"), 1)));
	EXPECT_STREQ("y", json_string_value(json_object_get(json_object_get(v, "parameters"),
							    "x")));
	json_decref(v);
}

TEST(ktap_ranges_of_memory)
{
	static const struct {
		const char *diag;
		int is;
	} t[] = {
		{ "kho: memory kind=ram node=0 from=0x1000 size=0x9e000", 1 },
		{ "kho: memory kind=preserved node=7 from=0x1fffff000 size=0x1000", 1 },
		{ "kho: memory left=12", 1 },
		{ "kho: memory left=12 ", -1 },
		{ "kho: memory left=x", -1 },
		{ "kho: memory kind=rom node=0 from=0x1000 size=0x1000", -1 },
		{ "kho: memory kind=ram node=-1 from=0x1000 size=0x1000", -1 },
		{ "kho: memory kind=ram node=0 from=0x1000 size=0x0", -1 },
		{ "kho: memory kind=ram node=0 from=0x1000 size=0x1000 more", -1 },
		{ "kho: memory kind=ram node=0 from=0xffffffffffffffff size=0x1000", -1 },
		{ "kho: memory kind=ram node=0 from=0x-1 size=0x1000", -1 },
		{ "kho: memory left=-1", -1 },
		{ "kho: memory kind=ram", -1 },
		{ "kho: memory", 0 },
		{ "memory kind=ram node=0 from=0x1000 size=0x1000", 0 },
	};
	json_t *v;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		EXPECT_EQ(t[i].is, ktap_memory(t[i].diag, &v)) {
			TH_LOG("%s", t[i].diag);
		}
		if (t[i].is == 1)
			json_decref(v);
	}
	ASSERT_EQ(1, ktap_memory(t[1].diag, &v));
	EXPECT_STREQ("preserved", json_string_value(json_object_get(v, "kind")));
	EXPECT_EQ(7, json_integer_value(json_object_get(v, "node")));
	EXPECT_EQ(0x1fffff000LL, json_integer_value(json_object_get(v, "from")));
	EXPECT_EQ(0x1000, json_integer_value(json_object_get(v, "size")));
	json_decref(v);
}

TEST(ktap_more_samples)
{
	static const struct {
		const char *diag;
		int is;
		size_t n;
	} t[] = {
		{ "kho: more name=a.b samples=1,2,3", 1, 3 },
		{ "kho: more name=a.b samples=", 1, 0 },
		{ "kho: more name=a.b samples=1,,2", -1, 0 },
		{ "kho: more name=A samples=1", -1, 0 },
		{ "kho: more name= samples=1", -1, 0 },
		{ "kho: more name=a.b", -1, 0 },
		{ "kho: more name=averyveryverylongname samples=1", -1, 0 },
		{ "kho: value name=a unit=ns value=1", 0, 0 },
	};
	char name[20];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		json_t *list = NULL;

		EXPECT_EQ(t[i].is, ktap_more(t[i].diag, name, sizeof(name), &list)) {
			TH_LOG("%s", t[i].diag);
		}
		EXPECT_EQ(t[i].n, json_array_size(list));
		json_decref(list);
	}
}

TEST(ktap_facts_of_the_environment)
{
	static const struct {
		const char *diag, *key, *fact;
	} t[] = {
		{ "kho: environment governor=performance", "governor", "performance" },
		{ "kho: environment spectre_v2=Mitigation: a=b; c", "spectre_v2",
		  "Mitigation: a=b; c" },
		{ "kho: environment none=", "none", "" },
		{ "kho: environment =none", NULL, NULL },
		{ "kho: environment Upper=x", NULL, NULL },
		{ "kho: environment nothing", NULL, NULL },
		{ "kho: environment averyveryverylongkey=x", NULL, NULL },
		{ "kho: value name=a unit=ns value=1", NULL, NULL },
		{ "anything", NULL, NULL },
	};
	char key[20];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *fact = ktap_environment(t[i].diag, key, sizeof(key));

		ASSERT_EQ(!t[i].fact, !fact) {
			TH_LOG("%s", t[i].diag);
		}
		if (!fact)
			continue;
		EXPECT_STREQ(t[i].fact, fact);
		EXPECT_STREQ(t[i].key, key);
	}
}

TEST(kernel_log_lines)
{
	static const char * const bad[] = {
		"WARNING: CPU: 0 PID: 1 at kernel/liveupdate/x.c:1 f+0x1/0x2",
		"[    0.357640] BUG: kernel NULL pointer dereference, address: 0000000000000008",
		"[    0.357640][    T1] BUG: KASAN: use-after-free in f+0x1/0x2",
		"<4>[    1.000000] WARNING: possible circular locking dependency detected",
		"[    0.36] Kernel panic - not syncing: Attempted to kill init!",
		"[    9.9] INFO: task init:1 blocked for more than 120 seconds.",
		"[    9.9] init: page allocation failure: order:9, mode:0xcc0",
		"[    9.9] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
		"[    9.9] Oops: 0000 [#1] SMP",
	};
	static const char * const good[] = {
		"[    0.000000] Command line: kho=on DEBUG: BUG: WARNING:",
		"[    0.1] KHO: exec from: 7.3.4 (count 1)",
		"[    0.1] tsc: Unable to calibrate against PIT",
		"[    0.1] DEBUG: nothing",
		"", "[", "[[[[", "<", "<9", "[ 1.0",
	};

	struct kho_klog_ear ear = { };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_TRUE(kho_klog_bad(&ear, bad[i])) {
			TH_LOG("%s", bad[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_FALSE(kho_klog_bad(&ear, good[i])) {
			TH_LOG("%s", good[i]);
		}
	}
}

TEST(warnings_that_are_asked_for)
{
	static const struct {
		const char *line;
		bool bad;
	} log[] = {
		{ "[    1.0] WARNING: x.c:1 at kho_restore_page+0x1/0x2, CPU#0: a/1", true },
		{ "[    2.0] kho_test: a warning is asked for in kho_restore_", false },
		{ "[    2.0] ------------[ cut here ]------------", false },
		{ "[    2.0] WARNING: x.c:1 at kho_restore_page+0x1/0x2, CPU#0: a/1", false },
		{ "[    2.0] WARNING: CPU: 0 PID: 1 at x.c:1 kho_restore_page+0x1/0x2", false },
		{ "[    2.0] Call Trace:", false },
		{ "[    2.0] WARNING: x.c:1 at kho_preserve_folio+0x1/0x2, CPU#0: a/1", true },
		{ "[    2.0] WARNING: x.c:1 in kho_restore_page+0x1/0x2", true },
		{ "[    2.0] BUG: KASAN: use-after-free in kho_restore_page+0x1/0x2", true },
		{ "[    2.0] Oops: 0000 [#1] SMP", true },
		{ "[    3.0] kho_test: no warning is asked for any more", false },
		{ "[    3.0] Call Trace:", true },
		{ "[    3.0] WARNING: x.c:1 at kho_restore_page+0x1/0x2, CPU#0: a/1", true },
	};
	struct kho_klog_ear ear = { };

	for (size_t i = 0; i < ARRAY_SIZE(log); i++) {
		EXPECT_EQ(log[i].bad, kho_klog_bad(&ear, log[i].line)) {
			TH_LOG("%s", log[i].line);
		}
	}
	/* where lines are lost one that asks may be among them; what else is bad stays so */
	ear = (struct kho_klog_ear){ .unsure = true };
	EXPECT_FALSE(kho_klog_bad(&ear, "Call Trace:"));
	EXPECT_FALSE(kho_klog_bad(&ear, "WARNING: x.c:1 at kho_restore_page+0x1/0x2"));
	EXPECT_TRUE(kho_klog_bad(&ear, "BUG: KASAN: use-after-free in kho_restore_page+0x1/0x2"));
	EXPECT_FALSE(kho_klog_bad(&ear, "kho_test: no warning is asked for any more"));
	EXPECT_TRUE(kho_klog_bad(&ear, "Call Trace:"));
	ear = (struct kho_klog_ear){ .unsure = true };
	EXPECT_FALSE(kho_klog_bad(&ear, "kho_test: a warning is asked for in kho_restore_"));
	EXPECT_TRUE(kho_klog_bad(&ear, "WARNING: x.c:1 at kho_preserve_folio+0x1/0x2"));
}

TEST(command_line_options)
{
	static const char line[] = "a=1 kho=on \"q=x\" kho kho=off x=\"b c\" khox=1 kho=\n";
	char val[8];

	EXPECT_EQ(0, kho_cmdline_get(line, "kho", 0, val, sizeof(val)));
	EXPECT_STREQ("on", val);
	EXPECT_EQ(0, kho_cmdline_get(line, "kho", 1, val, sizeof(val)));
	EXPECT_STREQ("", val);
	EXPECT_EQ(0, kho_cmdline_get(line, "kho", 2, val, sizeof(val)));
	EXPECT_STREQ("off", val);
	EXPECT_EQ(0, kho_cmdline_get(line, "kho", 3, val, sizeof(val)));
	EXPECT_STREQ("", val);
	EXPECT_EQ(-ENOENT, kho_cmdline_get(line, "kho", 4, val, sizeof(val)));
	EXPECT_EQ(0, kho_cmdline_get(line, "x", 0, val, sizeof(val)));
	EXPECT_STREQ("b c", val);
	EXPECT_EQ(-ENOSPC, kho_cmdline_get(line, "x", 0, val, 3));
	EXPECT_EQ(-ENOENT, kho_cmdline_get("", "x", 0, val, sizeof(val)));
	EXPECT_EQ(-ENOENT, kho_cmdline_get("y=\"never ended", "x", 0, val, sizeof(val)));
}

TEST(sizes_on_the_command_line)
{
	char *end;

	EXPECT_EQ(12345, kho_memparse("12345:x", &end));
	EXPECT_EQ(':', *end);
	EXPECT_EQ(2060 << 10, kho_memparse("2060K", &end));
	EXPECT_EQ('\0', *end);
	EXPECT_EQ(16 << 20, kho_memparse("16M,", &end));
	EXPECT_EQ(',', *end);
	EXPECT_EQ(3ULL << 30, kho_memparse("0x3G", &end));
	EXPECT_EQ(0, kho_memparse("x", &end));
	EXPECT_EQ('x', *end);
}

TEST(numbers_of_lines_add_up)
{
	static const char text[] = "Node 0, zone    DMA32\n  pages free     7\n"
		"        managed  12\n  pages free_of 5\n      count: 3\n"
		"not pages free 9\n  pages free     30";

	EXPECT_EQ(37, kho_lines_sum(text, "pages free "));
	EXPECT_EQ(12, kho_lines_sum(text, "managed "));
	EXPECT_EQ(3, kho_lines_sum(text, "count: "));
	EXPECT_EQ(0, kho_lines_sum(text, "spanned "));
	EXPECT_EQ(0, kho_lines_sum("", "managed "));
}

TEST(pattern_is_of_every_byte)
{
	static unsigned char mem[4099];
	u64 bad;

	kho_pattern_fill(mem, sizeof(mem), 5);
	EXPECT_EQ(0, kho_pattern_check(mem, sizeof(mem), 5, &bad));
	EXPECT_EQ(-EILSEQ, kho_pattern_check(mem, sizeof(mem), 6, &bad));
	/* shifted by a page it is another one */
	EXPECT_EQ(-EILSEQ, kho_pattern_check(mem + 8, sizeof(mem) - 8, 5, &bad));
	for (size_t i = 0; i < sizeof(mem); i++) {
		mem[i] ^= 0x10;
		ASSERT_EQ(-EILSEQ, kho_pattern_check(mem, sizeof(mem), 5, &bad));
		ASSERT_EQ(i, bad);
		mem[i] ^= 0x10;
	}
}

/* a program's declarations, from a copy that ends where it ends */
static int declared(const void *elf, size_t len)
{
	void *copy = exact(elf, len);
	struct scenario *list = NULL;
	const char *why = NULL;
	int nr = 0, err = scenario_parse(copy, len, &list, &nr, &why);

	if (err == -EBADMSG && !why)
		abort();
	free(copy);
	free(list);
	return err ? err : nr;
}

TEST(scenarios_of_a_program)
{
	const char *path = getenv("KHO_PROGRAM");
	struct kho_blob b;
	int nr;

	ASSERT_NE(NULL, path);
	ASSERT_EQ(0, kho_read_file(path, &b));
	nr = declared(b.data, b.len);
	EXPECT_LT(0, nr);
	/* cut: the section headers are at the end, so none is found or it is said */
	for (size_t len = 0; len < 4096; len++)
		EXPECT_GE(0, declared(b.data, len));
	for (size_t len = b.len - 4096; len < b.len; len += 5)
		EXPECT_GE(0, declared(b.data, len));
	for (size_t len = 4096; len < b.len; len += 4099)
		EXPECT_GE(0, declared(b.data, len));
	/* the header's and the section headers' bits: whatever they say, no crash */
	for (size_t bit = 0; bit < 64 * 8; bit++) {
		((char *)b.data)[bit / 8] ^= 1 << bit % 8;
		EXPECT_GE(nr, declared(b.data, b.len));
		((char *)b.data)[bit / 8] ^= 1 << bit % 8;
	}
	for (size_t bit = (b.len - 2048) * 8; bit < b.len * 8; bit += 7) {
		((char *)b.data)[bit / 8] ^= 1 << bit % 8;
		EXPECT_GE(nr, declared(b.data, b.len));
		((char *)b.data)[bit / 8] ^= 1 << bit % 8;
	}
	kho_blob_free(&b);
}

TEST(scenario_names)
{
	struct scenario s = { .decl.name = "stress.fill.numa1" };

	EXPECT_TRUE(scenario_matches(&s, "stress.fill.numa1"));
	EXPECT_TRUE(scenario_matches(&s, "stress"));
	EXPECT_TRUE(scenario_matches(&s, "fill.numa1"));
	EXPECT_TRUE(scenario_matches(&s, "numa1"));
	EXPECT_FALSE(scenario_matches(&s, "numa"));
	EXPECT_FALSE(scenario_matches(&s, "stress.numa1"));
	EXPECT_FALSE(scenario_matches(&s, "tress"));
}

TEST(archive_is_what_cpio_unpacks)
{
	static const char data[] = "five\0";
	char dir[] = "/tmp/kho-unit-XXXXXX", path[64], cmd[128];
	struct kho_blob b;
	struct stat st;
	FILE *f;

	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.cpio", dir);
	f = fopen(path, "w");
	ASSERT_NE(NULL, f);
	kho_cpio_dir(f, 1, "d");
	kho_cpio_file(f, 2, "d/five", 0640, data, 5);
	kho_cpio_file(f, 3, "d/empty", 0600, NULL, 0);
	kho_cpio_end(f);
	ASSERT_EQ(0, fclose(f));
	snprintf(cmd, sizeof(cmd), "cd %s && cpio -i --quiet < a.cpio", dir);
	ASSERT_EQ(0, system(cmd));
	snprintf(path, sizeof(path), "%s/d/five", dir);
	ASSERT_EQ(0, kho_read_file(path, &b));
	EXPECT_EQ(5, b.len);
	EXPECT_EQ(0, memcmp(data, b.data, 5));
	kho_blob_free(&b);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFREG | 0640, st.st_mode);
	snprintf(path, sizeof(path), "%s/d/empty", dir);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0, st.st_size);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	ASSERT_EQ(0, system(cmd));
}

/* trees as the kernel makes them, with libfdt's sequential writer */

#define TREE_MAX	4096

static void prop64(void *fdt, const char *name, u64 val)
{
	fdt_property(fdt, name, &val, sizeof(val));
}

static size_t tree_end(void *fdt)
{
	fdt_end_node(fdt);
	fdt_finish(fdt);
	return fdt_totalsize(fdt);
}

static void root_begin(void *fdt)
{
	fdt_create(fdt, TREE_MAX);
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property_string(fdt, "compatible", KHO_COMPATIBLE);
	prop64(fdt, "preserved-memory-map", 0x1000);
}

static void subnode(void *fdt, const char *name)
{
	fdt_begin_node(fdt, name);
	prop64(fdt, "preserved-data", 0x2000);
	prop64(fdt, "blob-size", 73);
	fdt_end_node(fdt);
}

static size_t good_root(void *fdt)
{
	root_begin(fdt);
	subnode(fdt, "kexec-metadata");
	subnode(fdt, "memblock");
	return tree_end(fdt);
}

static void reservation(void *fdt, const char *name, u64 start, u64 size)
{
	fdt_begin_node(fdt, name);
	fdt_property_string(fdt, "compatible", "reserve-mem-v1");
	prop64(fdt, "start", start);
	prop64(fdt, "size", size);
	fdt_end_node(fdt);
}

static void memblock_begin(void *fdt)
{
	fdt_create(fdt, TREE_MAX);
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property_string(fdt, "compatible", "memblock-v1");
}

static size_t good_memblock(void *fdt)
{
	memblock_begin(fdt);
	reservation(fdt, "kho_a", 0x100000, 0x1000);
	reservation(fdt, "kho_b", 0x200000, 12345);
	return tree_end(fdt);
}

static size_t good_metadata(void *blob)
{
	static const u32 version = 1, count = 2;

	memset(blob, 0, 73);
	memcpy(blob, &version, 4);
	memcpy((char *)blob + 4, "7.3.4", 6);
	memcpy((char *)blob + 69, &count, 4);
	return 73;
}

static size_t good_luo(void *blob)
{
	static const u64 num[3] = { 1, 0x3000, 0x4000 };

	memset(blob, 0, 32);
	memcpy(blob, "luo-v5", 7);
	memcpy((char *)blob + 8, num, sizeof(num));
	return 32;
}

/* what kernels that Debian no longer ships handed over, from their documents */

static void tree_begin(void *fdt, const char *compatible)
{
	fdt_create(fdt, TREE_MAX);
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property_string(fdt, "compatible", compatible);
}

static size_t root_v1(void *fdt)
{
	tree_begin(fdt, "kho-v1");
	prop64(fdt, "preserved-memory-map", 0x1000);
	fdt_begin_node(fdt, "memblock");
	prop64(fdt, "fdt", 0x2000);
	fdt_end_node(fdt);
	return tree_end(fdt);
}

static size_t root_v2(void *fdt)
{
	tree_begin(fdt, "kho-v2");
	prop64(fdt, "preserved-memory-map", 0x1000);
	fdt_begin_node(fdt, "memblock");
	prop64(fdt, "preserved-data", 0x2000);
	fdt_end_node(fdt);
	return tree_end(fdt);
}

static size_t root_v3(void *fdt)
{
	tree_begin(fdt, "kho-v3");
	prop64(fdt, "preserved-memory-map", 0x1000);
	subnode(fdt, "LUO");
	subnode(fdt, "memblock");
	return tree_end(fdt);
}

static size_t kernels_test(void *fdt)
{
	static const char vmalloc[16] = { 1 };

	tree_begin(fdt, "kho-test-v1");
	fdt_property_u32(fdt, "magic", 0x4b484f21);
	fdt_begin_node(fdt, "data");
	fdt_property_u32(fdt, "nr_folios", 7);
	fdt_property(fdt, "folios_info", vmalloc, sizeof(vmalloc));
	fdt_property_u32(fdt, "csum", 1234);
	fdt_end_node(fdt);
	return tree_end(fdt);
}

static size_t luo_v1(void *fdt)
{
	tree_begin(fdt, "luo-v1");
	prop64(fdt, "liveupdate-number", 1);
	fdt_begin_node(fdt, "luo-session");
	fdt_property_string(fdt, "compatible", "luo-session-v1");
	prop64(fdt, "luo-session-header", 0x3000);
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "luo-flb");
	fdt_property_string(fdt, "compatible", "luo-flb-v1");
	prop64(fdt, "luo-flb-header", 0x4000);
	fdt_end_node(fdt);
	return tree_end(fdt);
}

static size_t luo_v2(void *fdt)
{
	tree_begin(fdt, "luo-v2");
	prop64(fdt, "luo-abi-header", 0x3000);
	return tree_end(fdt);
}

static struct kho_problems problems;
static struct kho_root root;
static struct kho_reservations resv;
static struct kho_metadata meta;

static void check_root(const void *blob, size_t len, struct kho_problems *p)
{
	kho_check_root(blob, len, KHO_COMPATIBLE, &root, p);
}

static void check_memblock(const void *blob, size_t len, struct kho_problems *p)
{
	kho_check_memblock(blob, len, &resv, p);
}

static void check_metadata(const void *blob, size_t len, struct kho_problems *p)
{
	kho_check_metadata(blob, len, &meta, p);
}

static void check_luo(const void *blob, size_t len, struct kho_problems *p)
{
	kho_check_luo(blob, len, KHO_LUO_COMPATIBLE, p);
}

static char *printed;

/* any blob, by what it says of itself; what is printed is text */
static void check_any(const void *blob, size_t len, struct kho_problems *p)
{
	size_t size;
	FILE *f;

	free(printed);
	f = open_memstream(&printed, &size);
	kho_blob_print(blob, len, f, p);
	fclose(f);
	for (const char *c = printed; *c; c++)
		if ((*c < ' ' || *c > '~') && *c != '\n')
			abort();
}

static const struct {
	const char *name;
	size_t (*make)(void *blob);
	void (*check)(const void *blob, size_t len, struct kho_problems *p);
} kinds[] = {
	{ "root", good_root, check_root },
	{ "memblock", good_memblock, check_memblock },
	{ "kexec-metadata", good_metadata, check_metadata },
	{ "LUO", good_luo, check_luo },
	{ "any root", good_root, check_any },
	{ "any memblock", good_memblock, check_any },
	{ "any LUO", good_luo, check_any },
	{ "kho-v1", root_v1, check_any },
	{ "kho-v2", root_v2, check_any },
	{ "kho-v3", root_v3, check_any },
	{ "kho-test-v1", kernels_test, check_any },
	{ "luo-v1", luo_v1, check_any },
	{ "luo-v2", luo_v2, check_any },
};

/* how many problems; what is told of them is printable and ended */
static unsigned int wrong(void (*check)(const void *, size_t, struct kho_problems *),
			  const void *blob, size_t len)
{
	void *copy = exact(blob, len);

	memset(&problems, 0, sizeof(problems));
	check(copy, len, &problems);
	free(copy);
	for (unsigned int i = 0; i < problems.nr && i < KHO_PROBLEMS_MAX; i++) {
		if (!memchr(problems.text[i], '\0', sizeof(problems.text[i])) ||
		    !*problems.text[i])
			abort();
		for (const char *c = problems.text[i]; *c; c++)
			if (*c < ' ' || *c > '~')
				abort();
	}
	return problems.nr;
}

static bool says(const char *what)
{
	for (unsigned int i = 0; i < problems.nr && i < KHO_PROBLEMS_MAX; i++)
		if (strstr(problems.text[i], what))
			return true;
	return false;
}

TEST(well_formed_blobs)
{
	u64 blob[TREE_MAX / 8];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		EXPECT_EQ(0, wrong(kinds[i].check, blob, kinds[i].make(blob))) {
			TH_LOG("%s: %s", kinds[i].name, problems.text[0]);
		}
	}
	EXPECT_EQ(2, root.nr);
	EXPECT_STREQ("memblock", root.sub[1].name);
	EXPECT_EQ(0x2000, root.sub[1].data);
	EXPECT_EQ(73, root.sub[1].size);
	EXPECT_EQ(0x1000, root.map);
	EXPECT_EQ(2, resv.nr);
	EXPECT_STREQ("kho_b", resv.name[1]);
	EXPECT_EQ(0x200000, resv.range[1].addr);
	EXPECT_EQ(12345, resv.range[1].size);
	EXPECT_STREQ("7.3.4", meta.release);
	EXPECT_EQ(2, meta.count);
}

TEST(blobs_as_they_are_printed)
{
	u64 blob[TREE_MAX / 8];

	EXPECT_EQ(0, wrong(check_any, blob, root_v1((void *)blob)));
	EXPECT_NE(NULL, strstr(printed, "kho-v1: root tree, "));
	EXPECT_NE(NULL, strstr(printed, "    memblock {\n        fdt = 0x2000 (8192)\n    }\n"));
	EXPECT_EQ(0, wrong(check_any, blob, good_metadata((void *)blob)));
	EXPECT_NE(NULL, strstr(printed, "kexec-metadata, 73 bytes\n    version = 1\n"));
	EXPECT_NE(NULL, strstr(printed, "previous_release = \"7.3.4\""));
	EXPECT_EQ(0, wrong(check_any, blob, good_luo((void *)blob)));
	EXPECT_NE(NULL, strstr(printed, "sessions_pa = 0x3000\n"));

	/* each version has its own properties, and not those of another */
	tree_begin((void *)blob, "kho-v1");
	prop64((void *)blob, "preserved-memory-map", 0x1000);
	subnode((void *)blob, "LUO");
	EXPECT_EQ(3, wrong(check_any, blob, tree_end((void *)blob)));
	EXPECT_TRUE(says("/LUO: unknown property preserved-data"));
	EXPECT_TRUE(says("/LUO: no fdt"));
	tree_begin((void *)blob, "kho-v5");
	EXPECT_EQ(1, wrong(check_any, blob, tree_end((void *)blob)));
	EXPECT_TRUE(says("kho-v5: no kind of tree that is known"));
	tree_begin((void *)blob, "luo-v1");
	prop64((void *)blob, "liveupdate-number", 1);
	fdt_begin_node((void *)blob, "luo-else");
	fdt_end_node((void *)blob);
	EXPECT_EQ(3, wrong(check_any, blob, tree_end((void *)blob)));
	EXPECT_TRUE(says("/luo-else: unknown node"));
	EXPECT_TRUE(says("/: no node luo-flb"));
	EXPECT_EQ(1, wrong(check_any, "something else", 14));
	EXPECT_EQ(1, wrong(check_any, "", 0));
}

TEST(steps_of_all_ways)
{
	static const struct {
		const char *line;
		struct kho_step want;
		const char *cmdline;
	} good[] = {
		{ "boot\n", { .way = KHO_BY_BOOT }, "" },
		{ "kexec kho=on x=y", { .way = KHO_BY_KEXEC }, "kho=on x=y" },
		{ "kexec_load@nokho kho=on", { .way = KHO_BY_KEXEC_LOAD, .kernel = "nokho" },
		  "kho=on" },
		{ "reboot- a", { .way = KHO_BY_REBOOT, .off = true }, "a" },
		{ "crash@previous!-+", { .way = KHO_BY_CRASH, .kernel = "previous",
		  .refused = true, .off = true, .by_default = true }, "" },
		{ "kexec0 a!b", { .way = KHO_BY_KEXEC, .anew = true }, "a!b" },
	};
	static const char * const bad[] = {
		"", "kexecs", "kexec@ a", "kexec@a_name_that_is_too_long a", "jump a",
		"kexec!x", " kexec",
	};
	struct kho_step step;
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ASSERT_EQ(0, kho_step_parse(good[i].line, &step, &why)) {
			TH_LOG("%s: %s", good[i].line, why);
		}
		EXPECT_EQ(0, strncmp(good[i].cmdline, step.cmdline,
				     strlen(good[i].cmdline)));
		step.cmdline = NULL;
		EXPECT_EQ(0, memcmp(&step, &good[i].want, sizeof(step))) {
			TH_LOG("%s", good[i].line);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, kho_step_parse(bad[i], &step, &why)) {
			TH_LOG("\"%s\" was taken", bad[i]);
		}
	}
}

/* a kernel that hands over to one of another ABI, and is handed over to by it */
TEST(another_abi_must_be_refused)
{
	static struct kernel tested = { .abi = "kho-v4", .abi_looked = true };
	static struct kernel previous = { .abi = "kho-v3", .abi_looked = true };
	struct options o = {
		.tested = &tested, .nr_also = 1, .accel = "tcg",
		.also = { { .name = "previous", .kernel = &previous } },
	};
	struct scenario s = { .decl = {
		.name = "a.b", .generations = 7,
		.steps = "boot@previous\nkexec\nkexec\nreboot\nkexec@previous\n",
	} };
	char *job;

	ASSERT_TRUE(qemu_choose("x86_64"));
	job = guest_job(&s, &o);
	EXPECT_NE(NULL, strstr(job, "step 1 kexec! "));
	EXPECT_NE(NULL, strstr(job, "step 2 kexec "));
	/* nothing is handed over to it */
	EXPECT_NE(NULL, strstr(job, "step 3 reboot "));
	EXPECT_NE(NULL, strstr(job, "step 4 kexec@previous! "));
	/* behind the steps, and the first of those alone */
	EXPECT_NE(NULL, strstr(job, "step 5 kexec! "));
	EXPECT_NE(NULL, strstr(job, "step * kexec "));
	free(job);
	/* the same, and one that cannot be known: as the scenario has it */
	snprintf(previous.abi, sizeof(previous.abi), "kho-v4");
	job = guest_job(&s, &o);
	EXPECT_EQ(NULL, strchr(job, '!'));
	free(job);
	*previous.abi = '\0';
	job = guest_job(&s, &o);
	EXPECT_EQ(NULL, strchr(job, '!'));
	free(job);
}

TEST(scratch_is_called_as_the_kernel_calls_it)
{
	static const struct {
		const char *release, *name;
	} in[] = {
		{ "7.2.12", "kho_scratch" }, { "7.3", "kho_scratch" }, { "7.4-rc1", "kho_bootmem" },
		{ "7.10.1", "kho_bootmem" }, { "8.0", "kho_bootmem" }, { "6.19.4", "kho_scratch" },
		{ "", "kho_scratch" }, { "next", "kho_scratch" },
	};
	static struct kernel tested = { .release = "7.4.0" }, previous = { .release = "7.3.4" };
	struct options o = {
		.tested = &tested, .nr_also = 1, .accel = "tcg",
		.also = { { .name = "previous", .kernel = &previous } },
		.append = "xkho_scratch=2 kho_scratch",
	};
	struct scenario s = { .decl = {
		.name = "a.b", .cmdline = "kho=on kho_scratch=1%",
		.steps = "boot@previous\nkexec kho_scratch=8M,8M,8M\n",
	} };
	char *line;

	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		EXPECT_STREQ(in[i].name, kho_scratch_param(in[i].release)) {
			TH_LOG("%s", in[i].release);
		}
	}
	ASSERT_TRUE(qemu_choose("x86_64"));
	line = guest_cmdline(&s, &o, 0);
	EXPECT_NE(NULL, strstr(line, " kho=on kho_scratch=1% xkho_scratch=2 kho_scratch"));
	free(line);
	line = guest_cmdline(&s, &o, 1);
	EXPECT_NE(NULL, strstr(line, " kho=on kho_bootmem=1% kho_bootmem=8M,8M,8M "));
	EXPECT_NE(NULL, strstr(line, " xkho_scratch=2 kho_scratch"));
	free(line);
}

/* the ABI as an image of arm64 has it, which is not packed */
TEST(abi_of_an_image)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *abi;
	} in[] = {
		{ "x\0kho-v4\0y", 10, "kho-v4" },
		{ "x\0kho-v12\0kho-v12\0", 18, "kho-v12" },
		{ "x\0kho-v4", 8, "" },			/* its end is not there */
		{ "x\0kho-v4\0kho-v5\0", 16, "" },	/* which of them? */
		{ "x\0test-kho-v4\0kho-vx\0kho-v\0", 27, "" },
		{ "x\0kho-v123456789\0", 17, "" },
		{ "", 0, "" },
	};
	char name[] = "/tmp/kho-abi-XXXXXX";

	close(mkstemp(name));
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		struct kernel k = { .path = name, .arch = "aarch64" };
		unsigned char image[0x400] = { };
		FILE *f = fopen(name, "we");

		ASSERT_NE(NULL, f);
		/* at the very end: what goes on behind it is read by none */
		memcpy(image + sizeof(image) - in[i].len, in[i].bytes, in[i].len);
		ASSERT_EQ(1, fwrite(image, sizeof(image), 1, f));
		ASSERT_EQ(0, fclose(f));
		k.size = sizeof(image);
		EXPECT_STREQ(in[i].abi, kernel_abi(&k)) {
			TH_LOG("image %zu", i);
		}
	}
	unlink(name);
}

TEST(scratch_as_asked_for)
{
	static const char * const good[] = {
		"1M,2M,3M", "0x10,010,0", "0,0,1", "16m,64k,1G", "0%", "200%", "+7%",
		"4294967295%", "0000000001%",
	};
	static const char * const bad[] = {
		"", "1M", "1M,2M", "1M,2M,", "1M,2M,3M,", "1M,2M,3M,4M", "1M,2M,3Mx",
		"-1M,2M,3M", " 1M,2M,3M", "K,1M,1M", "0,0,0", "%", "x%", "0x1%", "1%%",
		"4294967296%", "00000000001%", "-1%", "1.5%", "1%,2M,3M",
	};
	struct kho_sizes s;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		kho_scratch_parse(good[i], &s);
		EXPECT_TRUE(s.valid) {
			TH_LOG("%s was refused", good[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		kho_scratch_parse(bad[i], &s);
		EXPECT_FALSE(s.valid) {
			TH_LOG("%s was taken", bad[i]);
		}
	}
	EXPECT_TRUE(kho_scratch_asked("kho_scratch=5% kho_scratch=1M,2K,0x3 kho_scratch=x",
				      &s));
	EXPECT_EQ(1 << 20, s.size[0]);
	EXPECT_EQ(2048, s.size[1]);
	EXPECT_EQ(3, s.size[2]);
	EXPECT_FALSE(kho_scratch_asked("kho=on kho_scratch", &s));
	/* of a kernel that calls it otherwise */
	EXPECT_TRUE(kho_scratch_asked("kho=on kho_bootmem=6%", &s));
	EXPECT_EQ(6, s.scale);
}

TEST(reservations_as_asked_for)
{
	struct kho_asked a[KHO_ASKED_MAX];
	struct kho_refused no;

	EXPECT_EQ(2, kho_reserve_asked("reserve_mem=4K:1M:a reserve_mem=1:0:b b", a, &no));
	EXPECT_EQ(4096, a[0].size);
	EXPECT_EQ(1 << 20, a[0].align);
	EXPECT_STREQ("a", a[0].name);
	EXPECT_EQ(64, a[1].align);
	EXPECT_EQ(0, no.malformed + no.no_room + no.twice);
	EXPECT_EQ(1, kho_reserve_asked("reserve_mem= reserve_mem=4K reserve_mem=4K:4K:\n"
				       "reserve_mem=0:1:z reserve_mem=4K:4K:0123456789012345\n"
				       "reserve_mem=4K:4K:012345678901234\n"
				       "reserve_mem=8K:4K:012345678901234", a, &no));
	EXPECT_EQ(5, no.malformed);
	EXPECT_EQ(1, no.twice);
	EXPECT_EQ(8, kho_reserve_asked("reserve_mem=1:1:a reserve_mem=1:1:b reserve_mem=1:1:c\n"
				       "reserve_mem=1:1:d reserve_mem=1:1:e reserve_mem=1:1:f\n"
				       "reserve_mem=1:1:g reserve_mem=1:1:h reserve_mem=x\n"
				       "reserve_mem=1:1:i", a, &no));
	EXPECT_EQ(2, no.no_room);
	EXPECT_EQ(0, no.malformed);
}

TEST(blobs_cut_at_every_length)
{
	u64 blob[TREE_MAX / 8 + 1] = { };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = kinds[i].make(blob);

		for (size_t len = 0; len < n; len++) {
			EXPECT_LT(0, wrong(kinds[i].check, blob, len)) {
				TH_LOG("%s: %zu of %zu bytes", kinds[i].name, len, n);
			}
		}
		EXPECT_LT(0, wrong(kinds[i].check, blob, n + 1));
	}
}

static void may_change(char *may, size_t from, size_t to)
{
	memset(may + from, 1, to - from);
}

/*
 * What of a tree may be otherwise and still be a good tree: numbers, names,
 * padding, and the fields that nobody reads.
 */
static void free_bytes(const void *fdt, char *may)
{
	size_t at = fdt_off_dt_struct(fdt);
	int node, prop, len;

	may_change(may, 24, 32);	/* last_comp_version, boot_cpuid_phys */
	/* what is between header and map, and the address of what has no size */
	may_change(may, sizeof(struct fdt_header), fdt_off_mem_rsvmap(fdt) + 8);
	for (node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL)) {
		fdt_get_name(fdt, node, &len);
		may_change(may, at + node + 4, at + node + 4 + (len + 4) / 4 * 4);
		fdt_for_each_property_offset(prop, fdt, node) {
			const char *name;
			size_t val = at + prop + 12;

			fdt_getprop_by_offset(fdt, prop, &name, &len);
			if (strcmp(name, "compatible"))
				may_change(may, val, val + len);
			may_change(may, val + len, val + (len + 3) / 4 * 4);
		}
	}
}

TEST(blobs_with_every_bit_flipped)
{
	u64 blob[TREE_MAX / 8];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t n = kinds[i].make(blob);
		char may[TREE_MAX] = { };

		if (!strcmp(kinds[i].name, "kexec-metadata"))
			may_change(may, 4, 73);		/* release and count */
		else if (strstr(kinds[i].name, "LUO"))
			may_change(may, 5, 32);		/* version and numbers */
		else
			free_bytes(blob, may);
		for (size_t bit = 0; bit < n * 8; bit++) {
			((char *)blob)[bit / 8] ^= 1 << bit % 8;
			if (!wrong(kinds[i].check, blob, n)) {
				EXPECT_TRUE(may[bit / 8]) {
					TH_LOG("%s: bit %zu of byte %zu of %zu not seen",
					       kinds[i].name, bit % 8, bit / 8, n);
				}
			}
			((char *)blob)[bit / 8] ^= 1 << bit % 8;
		}
	}
}

TEST(trees_that_are_not_as_documented)
{
	u64 fdt[TREE_MAX / 8], num = 0x5000;

	root_begin(fdt);
	subnode(fdt, "a");
	subnode(fdt, "a");
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("/a: twice"));

	root_begin(fdt);
	fdt_property_string(fdt, "surprise", "x");
	EXPECT_EQ(1, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("unknown property surprise"));

	root_begin(fdt);
	fdt_begin_node(fdt, "a");
	fdt_property(fdt, "preserved-data", &num, 4);
	prop64(fdt, "blob-size", 0);
	fdt_end_node(fdt);
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("/a: preserved-data has 4 bytes, not 8"));
	EXPECT_TRUE(says("/a: blob-size is 0"));

	root_begin(fdt);
	fdt_begin_node(fdt, "a");
	prop64(fdt, "preserved-data", num);
	prop64(fdt, "blob-size", 1);
	fdt_begin_node(fdt, "b");
	fdt_end_node(fdt);
	fdt_end_node(fdt);
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("/a: has a subnode"));

	fdt_create(fdt, TREE_MAX);
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property(fdt, "compatible", KHO_COMPATIBLE "\0x", sizeof(KHO_COMPATIBLE) + 2);
	prop64(fdt, "preserved-memory-map", 0x1008);
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("compatible is not one string"));
	EXPECT_TRUE(says("preserved-memory-map 0x1008 is not the address of a page"));

	fdt_create(fdt, TREE_MAX);
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("no compatible"));
	EXPECT_TRUE(says("no preserved-memory-map"));

	memblock_begin(fdt);
	reservation(fdt, "a", ~0ULL, 2);
	EXPECT_LT(0, wrong(check_memblock, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("/a: no range"));
}

TEST(hostile_names)
{
	static const char * const names[] = { "\x1b[2J", "a b", "a\nnot ok 1", "\xff\xfe" };
	static u64 fdt[4 * TREE_MAX / 8];
	char longest[300];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		root_begin(fdt);
		subnode(fdt, names[i]);
		EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
		EXPECT_TRUE(says("name has a byte 0x"));
	}
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	root_begin(fdt);
	subnode(fdt, longest);
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("name of 299 bytes"));
	EXPECT_EQ(0, root.nr);
	root_begin(fdt);
	subnode(fdt, "");
	EXPECT_LT(0, wrong(check_root, fdt, tree_end((void *)fdt)));
	EXPECT_TRUE(says("a subnode without a name"));
}

TEST(more_subnodes_than_any_kernel_has)
{
	static u64 fdt[(KHO_SUBNODES_MAX + 64) * 128 / 8];
	char name[32];

	fdt_create(fdt, sizeof(fdt));
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	fdt_property_string(fdt, "compatible", KHO_COMPATIBLE);
	prop64(fdt, "preserved-memory-map", 0x1000);
	for (int i = 0; i < KHO_SUBNODES_MAX + 2; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		subnode(fdt, name);
	}
	EXPECT_LT(0, wrong(check_root, fdt, tree_end(fdt)));
	snprintf(name, sizeof(name), "more than %d subnodes", KHO_SUBNODES_MAX);
	EXPECT_TRUE(says(name));
	EXPECT_EQ(KHO_SUBNODES_MAX, root.nr);
}

TEST(metadata_that_lies)
{
	unsigned char b[73];

	good_metadata(b);
	memset(b + 4, 'x', 65);
	EXPECT_LT(0, wrong(check_metadata, b, sizeof(b)));
	EXPECT_TRUE(says("previous_release is not ended"));
	good_metadata(b);
	b[4] = 0;
	EXPECT_LT(0, wrong(check_metadata, b, sizeof(b)));
	EXPECT_TRUE(says("previous_release is empty"));
	good_metadata(b);
	b[69] = 0;
	EXPECT_EQ(1, wrong(check_metadata, b, sizeof(b)));
	EXPECT_TRUE(says("kexec_count is 0"));
	good_metadata(b);
	b[0] = 2;
	EXPECT_EQ(1, wrong(check_metadata, b, sizeof(b)));
	EXPECT_TRUE(says("version 2, not 1"));
}

/* pages of a map under construction, at physical addresses of their own */
#define ARENA_PAGES	24
#define ARENA_BASE	0x40000000ULL

static struct {
	unsigned int shift;
	unsigned int used;
	u64 page[ARENA_PAGES][KHO_MAP_PAGE_MAX / 8];
} arena;

static u64 arena_addr(unsigned int n)
{
	return ARENA_BASE + ((u64)n << arena.shift);
}

static int arena_read(void *ctx, u64 addr, void *page)
{
	u64 n = (addr - ARENA_BASE) >> arena.shift;

	if (ctx != &arena || addr < ARENA_BASE || n >= arena.used)
		return -EFAULT;
	memcpy(page, arena.page[n], 1u << arena.shift);
	return 0;
}

static void arena_begin(unsigned int shift)
{
	memset(&arena, 0, sizeof(arena));
	arena.shift = shift;
	arena.used = 1;
}

/* by the bits that the ABI header draws: for 4 KiB 14:0, then nine for each level */
static void arena_add(u64 key)
{
	static const struct {
		unsigned int shift, levels, bitmap, table;
	} of[] = { { 12, 6, 15, 9 }, { 14, 5, 17, 11 }, { 16, 4, 19, 13 } };
	unsigned int at = 0, i = (arena.shift - 12) / 2;
	u64 bit = key & ((1ULL << of[i].bitmap) - 1);

	for (int level = of[i].levels - 1; level > 0; level--) {
		u64 *e = &arena.page[at][key >> (of[i].bitmap + (level - 1) * of[i].table) &
					 ((1ULL << of[i].table) - 1)];

		if (!*e)
			*e = arena_addr(arena.used++);
		at = (*e - ARENA_BASE) >> arena.shift;
	}
	arena.page[at][bit / 64] |= 1ULL << bit % 64;
}

static struct kho_map map;

static int arena_map(u64 root)
{
	memset(&problems, 0, sizeof(problems));
	return kho_map_read(&map, arena.shift, root, arena_read, &arena, &problems);
}

TEST(keys_of_the_map)
{
	static const struct {
		unsigned int shift;
		u64 addr;
		unsigned int order;
		u64 key;
	} keys[] = {
		/* the order's bit is 52, 51, 50 for pages of 4 KiB */
		{ 12, 0x1000, 0, 1ULL << 52 | 1 },
		{ 12, 0x2000, 1, 1ULL << 51 | 1 },
		{ 12, 0x4000, 2, 1ULL << 50 | 1 },
		{ 12, 0, 0, 1ULL << 52 },
		{ 12, 0x12345600000ULL, 9, 1ULL << 43 | 0x91a2b },
		{ 12, 0x40000000, 18, 1ULL << 34 | 1 },
		{ 14, 0x4000, 0, 1ULL << 50 | 1 },
		{ 16, 0x10000, 0, 1ULL << 48 | 1 },
	};
	static const u64 none[] = { 0, 1, 2, 1ULL << 53, ~0ULL };
	struct kho_kept k;

	EXPECT_EQ(6, kho_map_levels(12));
	EXPECT_EQ(5, kho_map_levels(14));
	EXPECT_EQ(4, kho_map_levels(16));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		k.addr = keys[i].addr;
		k.order = keys[i].order;
		EXPECT_EQ(keys[i].key, kho_map_encode(keys[i].shift, &k));
		memset(&k, 0xff, sizeof(k));
		EXPECT_TRUE(kho_map_decode(keys[i].shift, keys[i].key, &k));
		EXPECT_EQ(keys[i].addr, k.addr);
		EXPECT_EQ(keys[i].order, k.order);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		EXPECT_FALSE(kho_map_decode(12, none[i], &k));
}

TEST(runs_of_pages_as_keys)
{
	struct kho_kept k[8];

	EXPECT_EQ(0, kho_map_split(12, 0x1000, 0, k, 8));
	ASSERT_EQ(4, kho_map_split(12, 0x1000, 8, k, 8));
	EXPECT_EQ(0x1000, k[0].addr);
	EXPECT_EQ(0, k[0].order);
	EXPECT_EQ(0x2000, k[1].addr);
	EXPECT_EQ(1, k[1].order);
	EXPECT_EQ(0x4000, k[2].addr);
	EXPECT_EQ(2, k[2].order);
	EXPECT_EQ(0x8000, k[3].addr);
	EXPECT_EQ(0, k[3].order);
	/* no order is too large, and address 0 is a multiple of all */
	ASSERT_EQ(1, kho_map_split(12, 0x40000000, 1 << 18, k, 8));
	EXPECT_EQ(18, k[0].order);
	EXPECT_EQ(1, kho_map_split(12, 0, 4, k, 8));
	EXPECT_EQ(4, kho_map_split(16, 0x10000, 8, NULL, 0));
}

TEST(maps_of_each_page_size)
{
	for (unsigned int shift = 12; shift <= 16; shift += 2) {
		/* as the walk meets them: larger orders first */
		const struct kho_kept want[] = {
			{ 0x80000000, 10 }, { 0x48000000, 5 }, { 0, 0 },
			{ 0x7fff0000, 0 }, { 0x80000000000, 0 },
		};
		char text[4096];
		FILE *out;

		arena_begin(shift);
		for (size_t i = 0; i < ARRAY_SIZE(want); i++)
			arena_add(kho_map_encode(shift, &want[i]));
		EXPECT_EQ(0, arena_map(ARENA_BASE));
		EXPECT_EQ(0, problems.nr);
		EXPECT_EQ(arena.used, map.nr_nodes);
		ASSERT_EQ(ARRAY_SIZE(want), map.nr);
		for (size_t i = 0; i < map.nr; i++) {
			EXPECT_EQ(want[i].addr, map.key[i].addr);
			EXPECT_EQ(want[i].order, map.key[i].order);
			EXPECT_TRUE(kho_map_has(&map, want[i].addr, want[i].order));
			EXPECT_FALSE(kho_map_has(&map, want[i].addr, want[i].order + 1));
		}
		EXPECT_EQ(0x48000000 + (32ULL << shift),
			  kho_map_first_gap(&map, 0x48000000, 33ULL << shift));
		EXPECT_EQ(0x80000000 + (1024ULL << shift),
			  kho_map_first_gap(&map, 0x80000010, 1024ULL << shift));
		EXPECT_EQ(0x80000020, kho_map_first_gap(&map, 0x80000010, 0x10));
		EXPECT_EQ(0x1000000, kho_map_first_gap(&map, 0x1000000, 1));
		out = fmemopen(text, sizeof(text), "w");
		kho_map_print(&map, out);
		fclose(out);
		/* what lies side by side is one range: with 64 KiB two do */
		EXPECT_NE(NULL, strstr(text, shift == 16 ? " KiB: 2 keys of order 0 to 10" :
				       " KiB: 1 key of order 10")) {
			TH_LOG("%s", text);
		}
		EXPECT_NE(NULL, strstr(text, "order 0: 3\n"));
		kho_map_free(&map);
	}
}

TEST(maps_that_are_none)
{
	const struct kho_kept one = { 0x80000000, 3 };

	arena_begin(12);
	arena_add(kho_map_encode(12, &one));
	EXPECT_EQ(-EBADMSG, arena_map(0));
	kho_map_free(&map);
	EXPECT_EQ(-EBADMSG, arena_map(ARENA_BASE + 8));
	EXPECT_TRUE(says("no page's address"));
	kho_map_free(&map);
	EXPECT_EQ(-EFAULT, arena_map(ARENA_BASE - 4096));
	EXPECT_TRUE(says("Bad address"));
	kho_map_free(&map);
	EXPECT_EQ(-EINVAL, kho_map_read(&map, 11, ARENA_BASE, arena_read, &arena, &problems));
	EXPECT_EQ(-EINVAL, kho_map_read(&map, 17, ARENA_BASE, arena_read, &arena, &problems));
	/* beyond the width of a key */
	arena.page[0][4] = ARENA_BASE;
	EXPECT_EQ(-EBADMSG, arena_map(ARENA_BASE));
	EXPECT_TRUE(says("entry 4 is beyond any key"));
	kho_map_free(&map);
	/* itself */
	arena.page[0][4] = 0;
	arena.page[0][0] = ARENA_BASE;
	EXPECT_EQ(-EBADMSG, arena_map(ARENA_BASE));
	kho_map_free(&map);
	/* the same page at several places */
	arena_begin(12);
	arena_add(kho_map_encode(12, &one));
	arena.page[1][1] = arena_addr(2);
	arena.page[1][2] = arena_addr(2);
	arena_map(ARENA_BASE);
	EXPECT_LT(0, problems.nr);
	kho_map_free(&map);
	/* a bit where no order is */
	arena_begin(12);
	arena_add(1);
	EXPECT_EQ(-EBADMSG, arena_map(ARENA_BASE));
	EXPECT_TRUE(says("of no order"));
	kho_map_free(&map);
}

TEST(maps_with_every_bit_flipped)
{
	const struct kho_kept two[] = { { 0x80000000, 3 }, { 0x1000, 0 } };

	/* whatever is read, the walk ends and stays within its bounds */
	arena_begin(12);
	for (size_t i = 0; i < ARRAY_SIZE(two); i++)
		arena_add(kho_map_encode(12, &two[i]));
	for (unsigned int n = 0; n < arena.used; n++)
		for (unsigned int bit = 0; bit < 4096 * 8; bit += 61) {
			u64 *word = &arena.page[n][bit / 64], was = *word;

			*word ^= 1ULL << bit % 64;
			/* one key more, or the bits of a table taken for keys */
			arena_map(ARENA_BASE);
			EXPECT_GE(64, map.nr);
			EXPECT_GE(2 * ARENA_PAGES, map.nr_nodes);
			kho_map_free(&map);
			*word = was;
		}
}

TEST_HARNESS_MAIN
