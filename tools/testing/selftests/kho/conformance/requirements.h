/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * requirements.h - the requirements' names for the compiler, and what each
 * program checks of them for khotest
 */
#ifndef KHO_REQUIREMENTS_H
#define KHO_REQUIREMENTS_H

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "checks.h"
#include "types.h"

#define KHO_REQ(id, ...)	KHO_REQ_##id,

enum kho_requirement {
#include "requirements.def"
	KHO_REQ_COUNT
};

#undef KHO_REQ

#define KHO_REQ(id, ...)	{ #id, __VA_ARGS__ },

static const struct {
	const char *id;
	const char *name;
	const char *kind;
	const char *since;
	const char *statement;
	const char *source;
	const char *unchecked;
} kho_reqs[] = {
#include "requirements.def"
};

#undef KHO_REQ

/**
 * KHO_CHECKS() - note that a check is about a requirement
 * @id: the requirement, in lower case; an unknown one does not compile
 * @name: the check
 */
#define KHO_CHECKS(id, name)						\
	static_assert(KHO_REQ_##id < KHO_REQ_COUNT, "requirement");	\
	static const char id##__##name##_checks[]			\
	__used __section(KHO_CHECKS_SECTION) = #id " " #name

/* why a requirement does not hold for the running kernel; NULL if it does */
static inline const char *kho_req_why_not(enum kho_requirement req)
{
	unsigned int since[2], is[2];
	static char why[80];
	char arch[16] = "";
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%u.%u", &is[0], &is[1]) != 2 ||
	    sscanf(kho_reqs[req].since, "%u.%u %15s", &since[0], &since[1], arch) < 2)
		return NULL;
	if (*arch && strcmp(arch, u.machine)) {
		snprintf(why, sizeof(why), "%s is of %s alone", kho_reqs[req].name, arch);
		return why;
	}
	if (is[0] > since[0] || (is[0] == since[0] && is[1] >= since[1]))
		return NULL;
	snprintf(why, sizeof(why), "%s holds from Linux %u.%u on", kho_reqs[req].name,
		 since[0], since[1]);
	return why;
}

#endif /* KHO_REQUIREMENTS_H */
