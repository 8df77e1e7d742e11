/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tell.h - what whoever runs the programs of a generation tells of them
 */
#ifndef KHO_TELL_H
#define KHO_TELL_H

#include <sys/types.h>

#include "record.h"

/**
 * struct kho_teller - who tells, and to whom
 * @record: takes a record
 * @klog: from kho_klog_open(), or negative
 * @known: a line of the kernel log that would be told of need not be; or NULL
 */
struct kho_teller {
	void (*record)(enum kho_record_kind kind, const char *payload, size_t len);
	int klog;
	bool (*known)(const char *line);
};

void kho_tell_begin(void);
void kho_tell_boot(const struct kho_teller *t);
void kho_tell_klog(const struct kho_teller *t);
int kho_tell_program(const struct kho_teller *t, int fd, pid_t pid);

#endif /* KHO_TELL_H */
