// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz.c - whatever a reader is given, it stays within its bounds and comes to an end
 *
 * libFuzzer's target for all that reads what a guest or a file says.  The first byte of
 * an input says which reader it is for, so that one corpus is for all of them.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdt_check.h"
#include "kho.h"
#include "map.h"
#include "problems.h"
#include "record.h"
#include "vm/host/host.h"

#define MEMORY	0x100000ULL

/* what is said of bad files nobody reads */
void complain(const char *fmt __maybe_unused, ...)
{
}

/* memory as a kernel may have it: the tables of a map, one page after another */
struct memory {
	const u8 *data;
	size_t size;
};

static int read_page(void *ctx, u64 addr, void *page)
{
	const struct memory *m = ctx;

	memset(page, 0, 4096);
	if (addr < MEMORY || addr - MEMORY >= m->size)
		return -EFAULT;
	addr -= MEMORY;
	memcpy(page, m->data + addr, m->size - addr < 4096 ? m->size - addr : 4096);
	return 0;
}

static void read_map(const u8 *data, size_t size)
{
	struct memory m = { data, size };
	struct kho_problems p = { };
	struct kho_map map = { };

	kho_map_read(&map, 12, MEMORY, read_page, &m, &p);
	kho_map_free(&map);
}

static void read_line(const char *line)
{
	static struct ktap_line k;
	char key[64], req[32], test[128];
	json_t *v = NULL;

	ktap_parse(line, &k);
	ktap_name(k.name, req, sizeof(req), test, sizeof(test));
	if (k.kind != KTAP_DIAG)
		return;
	ktap_environment(k.reason, key, sizeof(key));
	if (ktap_value(k.reason, &v) == 1 || ktap_more(k.reason, key, sizeof(key), &v) == 1 ||
	    ktap_memory(k.reason, &v) == 1)
		json_decref(v);
}

static void read_record(const u8 *data, size_t size)
{
	static struct kho_record r;
	const char *why;

	if (!kho_record_parse((const char *)data, size, &r, &why) && r.kind == KHO_REC_LINE)
		read_line(r.payload);
}

static void read_results(const u8 *data, size_t size)
{
	json_error_t e;
	json_t *doc = json_loadb((const char *)data, size, 0, &e);
	char why[256];

	if (doc)
		schema_refuses(doc, why, sizeof(why));
	json_decref(doc);
}

static void read_blob(const u8 *data, size_t size)
{
	static struct kho_problems p;
	static FILE *nowhere;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	memset(&p, 0, sizeof(p));
	kho_blob_print(data, size, nowhere, &p);
}

static void read_program(const u8 *data, size_t size)
{
	struct scenario *list = NULL;
	const char *why = NULL;
	int nr = 0;

	scenario_parse(data, size, &list, &nr, &why);
	free(list);
}

static void read_step(const char *line)
{
	struct kho_step step;
	const char *why;

	kho_step_parse(line, &step, &why);
}

/* as libFuzzer calls it */
int fuzz_one(const u8 *data, size_t size) __asm__("LLVMFuzzerTestOneInput");

int fuzz_one(const u8 *data, size_t size)
{
	char *line;

	if (!size)
		return 0;
	/* what has an end of its own is given one; all of it has redzones at both ends */
	line = malloc(size);
	memcpy(line, data + 1, size - 1);
	line[size - 1] = '\0';
	switch (*data) {
	case 'r':
		read_record((u8 *)line, size - 1);
		break;
	case 'k':
		read_line(line);
		break;
	case 'f':
		read_blob((u8 *)line, size - 1);
		break;
	case 'm':
		read_map((u8 *)line, size - 1);
		break;
	case 'j':
		read_results((u8 *)line, size - 1);
		break;
	case 'p':
		read_program((u8 *)line, size - 1);
		break;
	case 's':
		read_step(line);
		break;
	}
	free(line);
	return 0;
}
