/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * types.h - the kernel's names for things that user space names otherwise
 */
#ifndef KHO_TYPES_H
#define KHO_TYPES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#endif
#ifndef __used
#define __used			__attribute((used))
#endif
#ifndef __packed
#define __packed		__attribute((packed))
#endif
#ifndef __aligned
#define __aligned(x)		__attribute((aligned(x)))
#endif
#ifndef __section
#define __section(x)		__attribute((section(x)))
#endif
#ifndef __printf
#define __printf(a, b)		__attribute((format(printf, a, b)))
#endif
#ifndef __maybe_unused
#define __maybe_unused		__attribute((unused))
#endif
#ifndef __noreturn
#define __noreturn		__attribute((noreturn))
#endif

#endif /* KHO_TYPES_H */
