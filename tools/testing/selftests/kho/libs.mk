# SPDX-License-Identifier: GPL-2.0-only
#
# Which libraries this machine can link, and what is left out without them.
# Said once, on stderr (emit_tests owns stdout), with the package to install.

ifneq ($(LLVM),)
kho_cc := $(if $(filter-out 1,$(LLVM)),$(if $(filter %/,$(LLVM)),$(LLVM)clang,clang$(LLVM)),clang)
else
kho_cc := $(CROSS_COMPILE)gcc
endif

# $(call kho_links,header,libraries): y if a program with them links
kho_links = $(shell printf '\#include <stddef.h>\n\#include <stdint.h>\n\#include <stdio.h>\n$(foreach h,$(1),\#include <$(h)>\n)int main(void) { return 0; }\n' | \
	$(kho_cc) -x c - $(2) -o /dev/null 2>/dev/null && echo y)
kho_quiet := $(filter clean emit_tests,$(MAKECMDGOALS))
# $(call kho_without,what,program,package)
kho_without = $(if $(kho_quiet),,$(shell echo "kho: $(1) not found, leaving out $(2) (Debian: apt-get install $(3))" >&2))

KHO_STATIC := $(if $(call kho_links,stdlib.h,-static),-static)

KHO_FDT_LIBS := -lfdt
KHO_NUMA_LIBS := -lnuma
KHO_JSON_LIBS := -ljansson
