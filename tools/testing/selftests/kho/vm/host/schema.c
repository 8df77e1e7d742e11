// SPDX-License-Identifier: GPL-2.0-only
/*
 * schema.c - is a document what a schema says?
 *
 * Results are written to be read by others, and read again from wherever they come
 * from: what readers may count on is in results-schema/results.schema.json alone, and
 * held here against a document as far as that schema goes.  Of JSON Schema draft-07:
 * type, const, enum, pattern, minimum, minItems, required, properties, propertyNames,
 * additionalProperties, items, allOf, if and then.  What the schema does not know is an
 * addition of a later version, and no error.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* the schema's file, as it was when this was built */
__asm__(".section .rodata\n"
	"results_schema:\n"
	".incbin \"" SCHEMA_FILE "\"\n"
	"results_schema_end:\n"
	".previous\n");

/* keys and items on the way to what is wrong; deeper than any schema of ours */
#define DEPTH_MAX	32
#define PATTERNS_MAX	64

/**
 * struct place - where in the document
 * @up: what it is in
 * @key: its key there, NULL of an item
 * @index: its number there
 * @depth: how many are above
 */
struct place {
	const struct place *up;
	const char *key;
	size_t index;
	unsigned int depth;
};

struct wrong {
	char *buf;
	size_t size;
};

static size_t put_place(const struct place *at, char *buf, size_t size)
{
	size_t len;

	if (!at->up)
		return 0;
	len = put_place(at->up, buf, size);
	if (len >= size)
		return len;
	/* a key of a foreign document may be anything */
	if (at->key) {
		json_t *key = text(at->key);

		len += snprintf(buf + len, size - len, "/%.80s", json_string_value(key));
		json_decref(key);
	} else {
		len += snprintf(buf + len, size - len, "/%zu", at->index);
	}
	return len;
}

static bool say(struct wrong *w, const struct place *at, const char *what)
{
	size_t len = put_place(at, w->buf, w->size);

	if (len < w->size)
		snprintf(w->buf + len, w->size - len, "%s %s", len ? "" : "/", what);
	return false;
}

static bool is_of(json_t *doc, const char *type)
{
	static const struct {
		const char *name;
		json_type type;
	} types[] = {
		{ "object", JSON_OBJECT }, { "array", JSON_ARRAY }, { "string", JSON_STRING },
		{ "integer", JSON_INTEGER }, { "null", JSON_NULL },
	};

	if (!strcmp(type, "number"))
		return json_is_number(doc);
	if (!strcmp(type, "boolean"))
		return json_is_boolean(doc);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(type, types[i].name))
			return json_typeof(doc) == types[i].type;
	return false;
}

/* an expression of the schema, which stays; with \\t where that of POSIX has the character */
static const regex_t *expression(const char *pattern)
{
	static struct {
		const char *pattern;
		regex_t re;
	} known[PATTERNS_MAX];
	char posix[256], *to = posix;
	size_t i;

	for (i = 0; i < PATTERNS_MAX && known[i].pattern; i++)
		if (known[i].pattern == pattern)
			return &known[i].re;
	for (const char *p = pattern; *p && to < posix + sizeof(posix) - 1; p++) {
		bool tab = *p == '\\' && p[1] == 't';

		p += tab;
		*to++ = tab ? '\t' : *p;
	}
	*to = '\0';
	if (i == PATTERNS_MAX || regcomp(&known[i].re, posix, REG_EXTENDED | REG_NOSUB))
		abort();
	known[i].pattern = pattern;
	return &known[i].re;
}

static bool matches(const char *text, size_t len, json_t *pattern)
{
	/* what is behind a NUL nobody would see */
	return strlen(text) == len &&
	       !regexec(expression(json_string_value(pattern)), text, 0, NULL, 0);
}

static bool is_one_of(json_t *doc, json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_equal(doc, v))
			return true;
	return false;
}

static bool holds(json_t *schema, json_t *doc, const struct place *at, struct wrong *w);

static bool object_holds(json_t *schema, json_t *doc, const struct place *at, struct wrong *w)
{
	json_t *props = json_object_get(schema, "properties"), *v, *one;
	json_t *others = json_object_get(schema, "additionalProperties");
	json_t *names = json_object_get(json_object_get(schema, "propertyNames"), "pattern");
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(schema, "required"), i, one) {
		char what[128];

		if (json_object_get(doc, json_string_value(one)))
			continue;
		snprintf(what, sizeof(what), "has no \"%s\"", json_string_value(one));
		return say(w, at, what);
	}
	json_object_foreach(doc, key, v) {
		const struct place in = { .up = at, .key = key, .depth = at->depth + 1 };

		if (names && !matches(key, strlen(key), names))
			return say(w, &in, "is no name that it may have");
		one = json_object_get(props, key);
		if (!one && json_is_object(others))
			one = others;
		if (one && !holds(one, v, &in, w))
			return false;
	}
	return true;
}

static bool array_holds(json_t *schema, json_t *doc, const struct place *at, struct wrong *w)
{
	json_t *items = json_object_get(schema, "items"), *v;
	size_t i;

	if ((json_int_t)json_array_size(doc) <
	    json_integer_value(json_object_get(schema, "minItems")))
		return say(w, at, "has too few items");
	json_array_foreach(doc, i, v) {
		const struct place in = { .up = at, .index = i, .depth = at->depth + 1 };

		if (items && !holds(items, v, &in, w))
			return false;
	}
	return true;
}

static bool holds(json_t *schema, json_t *doc, const struct place *at, struct wrong *w)
{
	json_t *type = json_object_get(schema, "type"), *is = json_object_get(schema, "const");
	json_t *list = json_object_get(schema, "enum"), *least, *pattern, *all, *one;
	char what[128];
	size_t i;

	if (at->depth > DEPTH_MAX)
		return say(w, at, "is too deep");
	if (type && !is_of(doc, json_string_value(type))) {
		snprintf(what, sizeof(what), "is no %s", json_string_value(type));
		return say(w, at, what);
	}
	if ((is && !json_equal(doc, is)) || (list && !is_one_of(doc, list)))
		return say(w, at, "is none of the values that it may have");
	pattern = json_object_get(schema, "pattern");
	if (pattern && json_is_string(doc) &&
	    !matches(json_string_value(doc), json_string_length(doc), pattern))
		return say(w, at, "is not of the form that it must have");
	least = json_object_get(schema, "minimum");
	if (least && json_is_number(doc) && json_number_value(doc) < json_number_value(least))
		return say(w, at, "is too little");
	if (json_is_object(doc) && !object_holds(schema, doc, at, w))
		return false;
	if (json_is_array(doc) && !array_holds(schema, doc, at, w))
		return false;
	all = json_object_get(schema, "allOf");
	json_array_foreach(all, i, one) {
		struct wrong nobody = { };

		if (holds(json_object_get(one, "if"), doc, at, &nobody) &&
		    !holds(json_object_get(one, "then"), doc, at, w))
			return false;
	}
	return true;
}

/**
 * schema_refuses() - hold a document against the schema of results
 * @doc: the document
 * @why: what is wrong and where, "/results/3/status: is ..."; printable
 * @size: of @why in bytes
 *
 * Return: true if it is none that the schema describes
 */
bool schema_refuses(json_t *doc, char *why, size_t size)
{
	static json_t *schema;
	const struct place root = { };
	struct wrong w = { why, size };
	json_error_t e;

	if (!schema)
		schema = json_loadb(results_schema, results_schema_end - results_schema, 0, &e);
	if (!schema)
		abort();
	return !holds(schema, doc, &root, &w);
}
