/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * checks.h - where a program notes what it checks
 *
 * The section holds strings "<requirement> <check>", each ended by NULs.
 */
#ifndef KHO_CHECKS_H
#define KHO_CHECKS_H

#define KHO_CHECKS_SECTION	"kho_checks"

#endif /* KHO_CHECKS_H */
