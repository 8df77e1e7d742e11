# SPDX-License-Identifier: GPL-2.0-only
#
# The front door of a stand-alone checkout.
#
#   make run_tests   provide a kernel and packages, run the suite, leave results
#   make check       prove the suite itself
#   make mutants     put defects into the kernel and see that each is noticed
#   make debug       the in-kernel API on a kernel with KASAN, lockdep, kmemleak and more
#   make kind        a kernel of another kind: KIND=rt, clang, nodebugfs, default, deferred, debug
#   make matrix      which kernels hand over to which: the release before and the newest of
#                    Debian's experimental, to the one under test and back
#   make bench       what the suite costs, against a bare boot
#   make             build the programs: build/khotest
#
# LINUX_OLD="package ..."  sources of old kernels of the matrix; LINUX_NEW= of new ones
#                        (package/suite: of that suite)
# KSRC=/path/to/linux    kernel source, instead of Debian's
# LINUX_SOURCE=package   Debian's package of it (linux-source-7.3)
# KERNEL=/path/bzImage   test this kernel and build none; KCONFIG=its .config
# MODULE=/path/kho_producer.ko   the test producer, built for KERNEL
# RESULTS=dir            where results go
# SCENARIOS="name ..."   only these
# MUTANT=name            only that one
# ARCH=arm64             kernels, machines and programs of that: cross-built, without KVM
# PROFILE=quick          only what a developer runs before each commit
# PROFILE=full           all, and the kernels built that some scenarios need beside
#                        the one under test; without them these are skipped

PACKAGES := gcc libc6-dev make flex bison bc libelf-dev libssl-dev perl xz-utils lz4 rsync kmod cpio \
	libfdt-dev libnuma-dev libjansson-dev stress-ng kexec-tools qemu-system-x86 seabios
CHECK_PACKAGES := clang libclang-rt-dev shellcheck jq procps debootstrap e2fsprogs python3 python3-jsonschema python3-yaml chromium libjs-chart.js

# programs of guests are built beside the host's where they are not the host's
guest := $(filter-out x86 x86_64,$(ARCH:aarch64=arm64))
B := build$(if $(guest),/$(guest))
ifneq ($(guest),)
PACKAGES += gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm qemu-efi-aarch64
endif
provide := ARCH=$(ARCH) scripts/provide
foreign := $(if $(guest),--programs $(B)/kselftest/kho --sysroot "$$($(provide) sysroot)")
# what is for guests is said where it is for guests
MAKEOVERRIDES :=
unexport ARCH

export KSRC KERNEL KCONFIG LINUX_SOURCE LINUX_PREVIOUS LINUX_OLD LINUX_NEW
ALSO := $(filter full,$(PROFILE))
RESULTS ?= results/$(shell date +%Y%m%d-%H%M%S)
selftests := tools/testing/selftests
say = @echo "[$$(date +%H:%M:%S)] $(1)" >&2

all: ksrc
	@$(MAKE) --no-print-directory -C $(selftests) all KSRC="$$(cat build/ksrc)"
	@ln -sfn kselftest/kho/khotest build/khotest
ifneq ($(guest),)
	@root=$$($(provide) sysroot) && $(MAKE) --no-print-directory -C $(selftests) all KSRC="$$(cat build/ksrc)" \
		O=$(CURDIR)/$(B) ARCH=$(guest) CROSS_COMPILE=aarch64-linux-gnu- \
		USERCFLAGS="-isystem $$root/usr/include -isystem $$root/usr/include/aarch64-linux-gnu" \
		USERLDFLAGS="-L$$root/usr/lib/aarch64-linux-gnu"
endif

packages:
	@scripts/provide packages $(PACKAGES)

ksrc: packages
	@mkdir -p build
	@new=$$(mktemp build/ksrc.XXXXXX) && scripts/provide source > $$new && mv $$new build/ksrc

kernel: packages
	@mkdir -p $(B)
	@new=$$(mktemp $(B)/kernel.XXXXXX) && \
		if [ -n "$(KERNEL)" ]; then echo "$(KERNEL)"; else $(provide) kernel; fi > $$new && \
		mv $$new $(B)/kernel
	@new=$$(mktemp $(B)/module.XXXXXX) && \
		if [ -n "$(KERNEL)" ]; then echo "$(MODULE)"; else $(provide) module || true; fi > $$new && \
		mv $$new $(B)/module

also: packages
	@mkdir -p $(B)
	@new=$$(mktemp $(B)/also.XXXXXX) && $(provide) also > $$new && mv $$new $(B)/also

run_tests:
	$(call say,1 of 3: packages and kernels)
	@$(MAKE) --no-print-directory kernel $(if $(ALSO),also)
	$(call say,2 of 3: the suite)
	@$(MAKE) --no-print-directory all
	$(call say,3 of 3: machines; results in $(RESULTS))
	@mkdir -p $(RESULTS)
	@set --; $(if $(ALSO),while read -r option value; do set -- "$$@" "--$$option" "$$value"; done < $(B)/also;) \
	build/khotest run "$$@" --kernel "$$(cat $(B)/kernel)" $(if $(KCONFIG),--kconfig "$(KCONFIG)") \
		$(foreign) $(if $(PROFILE),--profile $(PROFILE)) \
		$$(sed -n 's/^./--module &/p' $(B)/module) \
		--results $(RESULTS) $(SCENARIOS) > $(RESULTS)/ktap.log

debug: kernel all
	@new=$$(mktemp $(B)/debug.XXXXXX) && $(provide) debug > $$new && mv $$new $(B)/debug
	@mkdir -p $(RESULTS)
	@set --; while read -r option value; do set -- "$$@" "--$$option" "$$value"; done < $(B)/debug; \
	build/khotest run "$$@" --kernel "$$(cat $(B)/kernel)" $(foreign) --results $(RESULTS) \
		conformance.debug conformance.api.faults_debug conformance.model.debug stress.chains.debug \
		> $(RESULTS)/ktap.log

# it has scenarios of its own: what it keeps beside memory does not fit into others' scratch
ifeq ($(KIND),debug)
kind: debug
else
kind: all
	@new=$$(mktemp $(B)/kind.XXXXXX) && $(provide) kind $(KIND) > $$new && mv $$new $(B)/kind
	@mkdir -p $(RESULTS)
	@build/khotest run --kernel "$$(sed -n 1p $(B)/kind)" --module "$$(sed -n 2p $(B)/kind)" $(foreign) \
		--profile $(or $(PROFILE),quick) --results $(RESULTS) $(SCENARIOS) > $(RESULTS)/ktap.log
endif

matrix: kernel all
	@new=$$(mktemp $(B)/matrix.XXXXXX) && $(provide) matrix > $$new && mv $$new $(B)/matrix
	@mkdir -p $(dir $(RESULTS))
	@build/khotest matrix --results $(RESULTS) $(foreign) $$(sed -n 's/^old //p' $(B)/matrix) -- \
		"$$(cat $(B)/kernel)$$(sed -n 's/^./,&/p' $(B)/module)" $$(sed -n 's/^new //p' $(B)/matrix)

check:
	@scripts/provide packages $(PACKAGES) $(CHECK_PACKAGES)
	@tests/check

bench: kernel all
	@scripts/provide packages jq
	@tests/bench "$$(cat build/kernel)"

mutants: all kernel
	@tests/mutants $(MUTANT)

clean:
	rm -rf build

.PHONY: all packages ksrc kernel also run_tests debug kind matrix check bench mutants clean
