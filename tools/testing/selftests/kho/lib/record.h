/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * record.h - the lines that leave a guest
 *
 * A record is one line on a channel of its own (a second serial port):
 *
 *	@kho <seq> <generation> <crc32> <kind> <payload>\n
 *
 * seq counts from 0 in each generation; crc32 (8 hex digits, IEEE 802.3) is
 * over the bytes "<seq> <generation> <kind> <payload>" as sent; in the payload
 * every byte that is not printable ASCII, and the backslash, is \xHH.  A line
 * that is cut, garbled or missing is thereby seen as that: what is not a whole
 * record is reported as torn and never guessed at.
 */
#ifndef KHO_RECORD_H
#define KHO_RECORD_H

#include "types.h"

/* longest line with its newline; what is longer is cut by the sender, with "..." */
#define KHO_RECORD_MAX	4096

/**
 * enum kho_record_kind - what a record says
 * @KHO_REC_BOOT: init runs; payload "release=<uname -r> uptime_ns=<n> cmdline=<...>"
 * @KHO_REC_BEGIN: a program starts; payload its name
 * @KHO_REC_LINE: one line of the program's output (KTAP)
 * @KHO_REC_END: the program ended; payload "exit <status>" or "signal <number>"
 * @KHO_REC_KLOG: a line of the kernel log that must not be there
 * @KHO_REC_KEXEC: the next thing is the jump into the next kernel
 * @KHO_REC_DONE: the last generation is finished; the guest powers off
 * @KHO_REC_FAIL: init could not go on; payload the reason
 */
enum kho_record_kind {
	KHO_REC_BOOT,
	KHO_REC_BEGIN,
	KHO_REC_LINE,
	KHO_REC_END,
	KHO_REC_KLOG,
	KHO_REC_KEXEC,
	KHO_REC_DONE,
	KHO_REC_FAIL,
	KHO_REC_KINDS,
};

/**
 * struct kho_record - one record, decoded
 * @seq: running number within the generation
 * @generation: 0 is the cold boot
 * @kind: what it says
 * @payload: decoded payload, NUL terminated; it may hold any byte
 * @len: its length without the NUL
 */
struct kho_record {
	u32 seq;
	u32 generation;
	enum kho_record_kind kind;
	char payload[KHO_RECORD_MAX];
	size_t len;
};

const char *kho_record_kind_name(enum kho_record_kind kind);
/* what init says on the console when a generation ends, with its number */
#define KHO_LEAVES	"kho_init: end of generation %u"

size_t kho_record_format(char *buf, size_t size, u32 seq,
			 u32 generation, enum kho_record_kind kind,
			 const char *payload, size_t len);
int kho_record_parse(const char *line, size_t len, struct kho_record *rec,
		     const char **why);

#endif /* KHO_RECORD_H */
