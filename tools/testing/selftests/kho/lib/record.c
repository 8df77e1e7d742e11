// SPDX-License-Identifier: GPL-2.0-only
/*
 * record.c - format and parse the lines that leave a guest
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

static const char * const kind_names[KHO_REC_KINDS] = {
	[KHO_REC_BOOT] = "boot",
	[KHO_REC_BEGIN] = "begin",
	[KHO_REC_LINE] = "line",
	[KHO_REC_END] = "end",
	[KHO_REC_KLOG] = "klog",
	[KHO_REC_KEXEC] = "kexec",
	[KHO_REC_DONE] = "done",
	[KHO_REC_FAIL] = "fail",
};

static const char hex[] = "0123456789abcdef";

/**
 * kho_record_kind_name() - the word that stands for a kind on the channel
 * @kind: the kind
 *
 * Return: the word, or "?" for a kind that does not exist
 */
const char *kho_record_kind_name(enum kho_record_kind kind)
{
	return (unsigned int)kind < KHO_REC_KINDS ? kind_names[kind] : "?";
}

/* IEEE 802.3, bit by bit: lines are short and few, a table would be longer */
static u32 crc32_update(u32 crc, const char *p, size_t len)
{
	crc = ~crc;
	while (len--) {
		crc ^= (unsigned char)*p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

/**
 * kho_record_format() - write a record as a line
 * @buf: where to
 * @size: size of @buf in bytes; KHO_RECORD_MAX + 1 is always enough
 * @seq: running number within the generation
 * @generation: 0 is the cold boot
 * @kind: what it says
 * @payload: any bytes; what does not fit is cut and marked with "..."
 * @len: their number
 *
 * Return: length of the line with its newline, 0 if @buf is too small for a
 * record of any payload
 */
size_t kho_record_format(char *buf, size_t size, u32 seq,
			 u32 generation, enum kho_record_kind kind,
			 const char *payload, size_t len)
{
	static const char cut[] = "...";
	char head[80], out[KHO_RECORD_MAX];
	size_t room, n = 0;
	u32 crc;
	int hl, fl;

	hl = snprintf(head, sizeof(head), "%u %u ", seq,
		      generation);
	if (size > KHO_RECORD_MAX)
		size = KHO_RECORD_MAX;
	fl = strlen("@kho ") + hl + strlen("00000000 ") +
	     strlen(kho_record_kind_name(kind)) + strlen(" ") + strlen("\n");
	if (size < (size_t)fl + sizeof(cut) + 1)
		return 0;
	room = size - fl - 1;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = payload[i];
		size_t need = plain(c) ? 1 : 4;
		/* keep room for the mark unless this byte is the last */
		size_t spare = i + 1 < len ? strlen(cut) : 0;

		if (n + need + spare > room) {
			memcpy(out + n, cut, strlen(cut));
			n += strlen(cut);
			break;
		}
		if (plain(c)) {
			out[n++] = c;
		} else {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}

	crc = crc32_update(0, head, hl);
	crc = crc32_update(crc, kho_record_kind_name(kind),
			   strlen(kho_record_kind_name(kind)));
	crc = crc32_update(crc, " ", 1);
	crc = crc32_update(crc, out, n);
	return snprintf(buf, size, "@kho %s%08x %s %.*s\n", head, crc,
			kho_record_kind_name(kind), (int)n, out);
}

static int hexval(char c)
{
	const char *p = c ? strchr(hex, c) : NULL;

	return p ? (int)(p - hex) : -1;
}

/* a decimal number without sign or leading zeros, and the blank behind it */
static const char *number(const char *p, const char *end, u32 *val)
{
	u64 v = 0;
	const char *s = p;

	while (p < end && *p >= '0' && *p <= '9' && p - s < 10)
		v = v * 10 + (*p++ - '0');
	if (p == s || p == end || *p != ' ' || v > 0xffffffffu ||
	    (*s == '0' && p - s > 1))
		return NULL;
	*val = v;
	return p + 1;
}

/**
 * kho_record_parse() - read a line as a record
 * @line: the line, with or without its newline; not trusted
 * @len: its length in bytes
 * @rec: the record; only valid on success
 * @why: what is wrong with the line, on failure
 *
 * Return: 0; -ENOENT for a line that does not claim to be a record; -EBADMSG
 * for one that does and is not whole
 */
int kho_record_parse(const char *line, size_t len, struct kho_record *rec,
		     const char **why)
{
	static const char tag[] = "@kho ";
	const char *end, *p, *body;
	u32 crc = 0, want = 0;
	size_t kl = 0;
	int k;

	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	end = line + len;
	*why = "not a record";
	if (len < strlen(tag) || memcmp(line, tag, strlen(tag)))
		return -ENOENT;

	*why = "longer than a record may be";
	if (len > KHO_RECORD_MAX)
		return -EBADMSG;
	body = line + strlen(tag);
	*why = "no sequence number";
	p = number(body, end, &rec->seq);
	if (!p)
		return -EBADMSG;
	*why = "no generation";
	p = number(p, end, &rec->generation);
	if (!p)
		return -EBADMSG;
	*why = "no checksum";
	if (end - p < 9 || p[8] != ' ')
		return -EBADMSG;
	for (int i = 0; i < 8; i++) {
		int v = hexval(p[i]);

		if (v < 0)
			return -EBADMSG;
		want = want << 4 | v;
	}
	crc = crc32_update(crc, body, p - body);
	p += 9;
	crc = crc32_update(crc, p, end - p);
	*why = "checksum does not match: torn";
	if (crc != want)
		return -EBADMSG;

	for (k = 0; k < KHO_REC_KINDS; k++) {
		kl = strlen(kind_names[k]);
		if ((size_t)(end - p) > kl && !memcmp(p, kind_names[k], kl) &&
		    p[kl] == ' ')
			break;
	}
	*why = "unknown kind";
	if (k == KHO_REC_KINDS)
		return -EBADMSG;
	rec->kind = k;
	p += kl + 1;

	*why = "bad escape";
	rec->len = 0;
	while (p < end) {
		if (plain(*p)) {
			rec->payload[rec->len++] = *p++;
			continue;
		}
		if (end - p < 4 || p[0] != '\\' || p[1] != 'x' ||
		    hexval(p[2]) < 0 || hexval(p[3]) < 0)
			return -EBADMSG;
		rec->payload[rec->len++] = hexval(p[2]) << 4 | hexval(p[3]);
		p += 4;
	}
	rec->payload[rec->len] = '\0';
	*why = NULL;
	return 0;
}
