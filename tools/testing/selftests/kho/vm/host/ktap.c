// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktap.c - read what a test program says
 *
 * Documentation/dev-tools/ktap.rst, as kselftest_harness.h writes it.  The
 * text comes from a guest: nothing in it is trusted.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static const char *number(const char *p, unsigned int *val)
{
	char *end;
	unsigned long v;

	if (!isdigit((unsigned char)*p))
		return NULL;
	v = strtoul(p, &end, 10);
	if (end - p > 9)
		return NULL;
	*val = v;
	return end;
}

/**
 * ktap_parse() - read one line
 * @line: the line, without its newline
 * @k: what it says; lines that say nothing of a test are KTAP_OTHER
 */
void ktap_parse(const char *line, struct ktap_line *k)
{
	const char *p = line, *hash;
	size_t len;

	k->kind = KTAP_OTHER;
	k->number = 0;
	k->skip = false;
	k->name[0] = '\0';
	k->reason[0] = '\0';

	if (*p == '#') {
		k->kind = KTAP_DIAG;
		p++;
		snprintf(k->reason, sizeof(k->reason), "%s", *p == ' ' ? p + 1 : p);
		return;
	}
	if (!strncmp(p, "1..", 3)) {
		p = number(p + 3, &k->number);
		if (!p || (*p && *p != ' '))
			return;
		k->kind = KTAP_PLAN;
		hash = strstr(p, "# SKIP");
		if (hash) {
			k->skip = true;
			p = hash + strlen("# SKIP");
			snprintf(k->reason, sizeof(k->reason), "%s",
				 *p == ' ' ? p + 1 : p);
		}
		return;
	}
	if (!strncmp(p, "ok ", 3)) {
		k->kind = KTAP_OK;
		p += 3;
	} else if (!strncmp(p, "not ok ", 7)) {
		k->kind = KTAP_NOT_OK;
		p += 7;
	} else {
		return;
	}
	p = number(p, &k->number);
	if (!p || *p != ' ') {
		k->kind = KTAP_OTHER;
		return;
	}
	while (*p == ' ')
		p++;
	if (p[0] == '-' && p[1] == ' ')
		p += 2;
	hash = strstr(p, " #");
	len = hash ? (size_t)(hash - p) : strlen(p);
	while (len && p[len - 1] == ' ')
		len--;
	snprintf(k->name, sizeof(k->name), "%.*s", (int)len, p);
	if (!*k->name) {
		k->kind = KTAP_OTHER;
		return;
	}
	/* a skip counts only where nothing failed */
	if (hash && k->kind == KTAP_OK) {
		p = hash + 2;
		while (*p == ' ')
			p++;
		if (!strncasecmp(p, "SKIP", 4)) {
			k->skip = true;
			p += 4;
			while (*p == ' ')
				p++;
			snprintf(k->reason, sizeof(k->reason), "%s", p);
		}
	}
}

/**
 * ktap_noise() - does a diagnostic say nothing but what the result line says?
 * @diag: its text, without "# "
 *
 * Return: true for the harness's own lines
 */
bool ktap_noise(const char *diag)
{
	static const char * const noise[] = {
		" RUN  ", "           OK  ", "         FAIL  ", "     SKIP  ",
		"Starting ", "PASSED: ", "FAILED: ", "Totals: ",
	};

	for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
		if (!strncmp(diag, noise[i], strlen(noise[i])))
			return true;
	return !*diag;
}

static bool word(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_.", *s))
			return false;
	return true;
}

static json_t *samples(const char *s)
{
	json_t *list = json_array();

	while (*s) {
		char *end;
		double v = strtod(s, &end);

		if (end == s || (*end && *end != ',')) {
			json_decref(list);
			return NULL;
		}
		/* whole numbers stay whole: exact series are compared by digit */
		if (strcspn(s, ".eE") >= (size_t)(end - s))
			json_array_append_new(list, json_integer(strtoll(s, NULL, 10)));
		else
			json_array_append_new(list, json_real(v));
		s = *end ? end + 1 : end;
	}
	return list;
}

/* one number; the reference is the caller's */
static json_t *one_number(const char *s)
{
	json_t *one = *s ? samples(s) : NULL, *num = NULL;

	if (one && json_array_size(one) == 1)
		num = json_incref(json_array_get(one, 0));
	json_decref(one);
	return num;
}

/* what is said of the samples, and is no parameter that they were taken with */
static bool of_samples(const char *key)
{
	static const char * const keys[] = {
		"n", "min", "p90", "p99", "p999", "max", "beyond", "mean", "slope", "error",
		"generations", "order", "reference", "drift",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

/**
 * ktap_value() - read a measured value
 * @diag: a diagnostic's text, without "# "
 * @value: {"name", "unit", "value", "samples", "summary", "parameters"}
 *
 * "kho: value name=<a-z0-9_.> unit=<word> value=<number> [samples=<n,...>]
 * [<what is said of the samples>=<number> ...] [<parameter>=<text> ...]"
 *
 * Return: 1, 0 for another line, -1 for one that claims to be a value and is
 * not
 */
int ktap_value(const char *diag, json_t **value)
{
	static const char tag[] = "kho: value ";
	json_t *v, *par, *sum, *num = NULL;
	char *copy, *tok, *save;
	bool bad = false;

	if (strncmp(diag, tag, strlen(tag)))
		return 0;
	copy = strdup(diag + strlen(tag));
	v = json_object();
	par = json_object();
	sum = json_object();
	for (tok = strtok_r(copy, " ", &save); tok && !bad;
	     tok = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(tok, '=');

		if (!eq) {
			bad = true;
			break;
		}
		*eq++ = '\0';
		if (!strcmp(tok, "name") || !strcmp(tok, "unit")) {
			bad = !word(eq);
			json_object_set_new(v, tok, text(eq));
		} else if (!strcmp(tok, "value")) {
			json_decref(num);
			num = one_number(eq);
			bad = !num;
		} else if (!strcmp(tok, "samples")) {
			json_t *list = samples(eq);

			bad = !list;
			if (list)
				json_object_set_new(v, tok, list);
		} else if (of_samples(tok)) {
			json_t *one = one_number(eq);

			bad = !one;
			if (one)
				json_object_set_new(sum, tok, one);
		} else {
			bad = !word(tok);
			json_object_set_new(par, tok, text(eq));
		}
	}
	free(copy);
	if (num)
		json_object_set_new(v, "value", num);
	json_object_set_new(v, "parameters", par);
	if (json_object_size(sum))
		json_object_set(v, "summary", sum);
	json_decref(sum);
	if (bad || !json_object_get(v, "name") || !json_object_get(v, "unit") ||
	    !num) {
		json_decref(v);
		return -1;
	}
	*value = v;
	return 1;
}

/**
 * ktap_more() - read more samples of a value that was read before
 * @diag: a diagnostic's text, without "# "
 * @name: of the value
 * @name_size: size of @name in bytes
 * @list: the samples
 *
 * "kho: more name=<a-z0-9_.> samples=<n,...>", for a line has room for some
 *
 * Return: 1, 0 for another line, -1 for one that claims to be that and is not
 */
int ktap_more(const char *diag, char *name, size_t name_size, json_t **list)
{
	static const char tag[] = "kho: more name=", then[] = " samples=";
	const char *end;

	if (strncmp(diag, tag, strlen(tag)))
		return 0;
	diag += strlen(tag);
	end = strstr(diag, then);
	if (!end || (size_t)(end - diag) >= name_size)
		return -1;
	snprintf(name, name_size, "%.*s", (int)(end - diag), diag);
	if (!word(name))
		return -1;
	*list = samples(end + strlen(then));
	return *list ? 1 : -1;
}

/**
 * ktap_environment() - read a fact about the machine that was measured on
 * @diag: a diagnostic's text, without "# "
 * @key: what it is about
 * @key_size: size of @key in bytes
 *
 * "kho: environment <a-z0-9_.>=<text>"
 *
 * Return: what is said of it; or NULL for another line
 */
const char *ktap_environment(const char *diag, char *key, size_t key_size)
{
	static const char tag[] = "kho: environment ";
	const char *eq;

	if (strncmp(diag, tag, strlen(tag)))
		return NULL;
	diag += strlen(tag);
	eq = strchr(diag, '=');
	if (!eq || (size_t)(eq - diag) >= key_size)
		return NULL;
	snprintf(key, key_size, "%.*s", (int)(eq - diag), diag);
	return word(key) ? eq + 1 : NULL;
}

/**
 * ktap_memory() - read where some memory is, and what it is for
 * @diag: a diagnostic's text, without "# "
 * @range: {"kind", "node", "from", "size"}, or {"left"}: so many are not told
 *
 * "kho: memory kind=<ram|scratch|preserved> node=<n> from=0x<hex> size=0x<hex>"
 * "kho: memory left=<n>"
 *
 * Return: 1, 0 for another line, -1 for one that claims to be that and is not
 */
int ktap_memory(const char *diag, json_t **range)
{
	static const char * const kinds[] = { "ram", "scratch", "preserved" };
	static const char tag[] = "kho: memory ";
	unsigned long long from, size;
	unsigned int node, left;
	char kind[16];
	int at = 0;

	if (strncmp(diag, tag, strlen(tag)))
		return 0;
	diag += strlen(tag);
	if (sscanf(diag, "left=%6u%n", &left, &at) == 1 && at && !diag[at] && left < 1000000) {
		*range = json_pack("{s:I}", "left", (json_int_t)left);
		return 1;
	}
	at = 0;
	if (sscanf(diag, "kind=%15[a-z] node=%4u from=0x%15llx size=0x%15llx%n", kind, &node, &from,
		   &size, &at) != 4 || !at || diag[at])
		return -1;
	/* a minus is taken for what it is not */
	if (!size || size >> 60 || from >> 60 || node > 9999)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kind, kinds[i]))
			continue;
		*range = json_pack("{s:s,s:I,s:I,s:I}", "kind", kind, "node", (json_int_t)node,
				   "from", (json_int_t)from, "size", (json_int_t)size);
		return 1;
	}
	return -1;
}

/**
 * ktap_name() - requirement and test of a harness test's name
 * @name: "global.d4__scratch_phys_format"
 * @req: "D4"; empty if the name has no requirement
 * @req_size: size of @req in bytes
 * @test: "scratch_phys_format"
 * @test_size: size of @test in bytes
 *
 * Characters that a stable test name cannot have become "_".
 */
void ktap_name(const char *name, char *req, size_t req_size, char *test,
	       size_t test_size)
{
	const char *sep;

	if (!strncmp(name, "global.", 7))
		name += 7;
	sep = strstr(name, "__");
	*req = '\0';
	if (sep && sep > name && (size_t)(sep - name) < req_size) {
		snprintf(req, req_size, "%.*s", (int)(sep - name), name);
		for (char *p = req; *p; p++)
			*p = isalnum((unsigned char)*p) ?
			     toupper((unsigned char)*p) : '_';
		name = sep + 2;
	}
	snprintf(test, test_size, "%s", *name ? name : "unnamed");
	for (char *p = test; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_.", *p))
			*p = '_';
}
