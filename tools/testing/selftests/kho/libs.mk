# SPDX-License-Identifier: GPL-2.0-only
#
# Which libraries this machine can link, and what is left out without them.
# That is said once, on stderr, with the Debian package that would help.

ifeq ($(origin CC),command line)
kho_cc := $(CC)
else ifneq ($(LLVM),)
kho_cc := $(if $(filter %/,$(LLVM)),$(LLVM))clang$(if $(filter -%,$(LLVM)),$(LLVM))
else
kho_cc := $(CROSS_COMPILE)gcc
endif
kho_hash := \#
kho_comma := ,

# $(call kho_links,headers,libraries): y if a program with them links
kho_links = $(shell { for h in stdio.h stdint.h $(1); do echo "$(kho_hash)include <$$h>"; done; \
	echo 'int main(void) { return 0; }'; } | \
	$(kho_cc) $(USERCFLAGS) -x c - $(USERLDFLAGS) $(2) -o /dev/null 2>/dev/null && echo y)
# $(call kho_without,what is missing,programs,package)
kho_without = $(if $(filter clean emit_tests install run_tests,$(MAKECMDGOALS)),,$(shell \
	echo "kho: $(1) not found: leaving out $(2) (Debian: $(3))" >&2))

# Guests have no C library: what runs there is linked statically where that can be.
KHO_STATIC := $(if $(call kho_links,,-static),-static)
# libnuma resolves names of hosts, which we never ask it to; the linker warns
KHO_QUIET := $(if $(call kho_links,,-Wl$(kho_comma)--no-warnings),-Wl$(kho_comma)--no-warnings)

ifeq ($(call kho_links,libfdt.h,$(KHO_STATIC) -lfdt),y)
KHO_FDT := y
else
$(call kho_without,libfdt,kho_fdt kho_chain kho_kexec_tools kho_reserve kho_faults kho_map kho_nodes kho_api kho_api_faults kho_api_off kho_model kho_payload kho_hotplug kho_edges kho_cost kho_restore,libfdt-dev)
endif

ifeq ($(call kho_links,numa.h,$(KHO_STATIC) -lnuma),y)
KHO_NUMA := y
else
$(call kho_without,libnuma,kho_fill kho_edges,libnuma-dev)
endif

# a program of guests, too; and as those it may be all that can be linked
KHO_JANSSON_STATIC := $(if $(call kho_links,jansson.h,$(KHO_STATIC) -ljansson),$(KHO_STATIC))
ifneq ($(KHO_JANSSON_STATIC)$(call kho_links,jansson.h,-ljansson),)
KHO_JANSSON := y
else
$(call kho_without,jansson,khotest,libjansson-dev)
endif
