/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * requirements.h - the requirements' names for the compiler
 */
#ifndef KHO_REQUIREMENTS_H
#define KHO_REQUIREMENTS_H

#define KHO_REQ(id, ...)	KHO_REQ_##id,

enum kho_requirement {
#include "requirements.def"
	KHO_REQ_COUNT
};

#undef KHO_REQ

#endif /* KHO_REQUIREMENTS_H */
