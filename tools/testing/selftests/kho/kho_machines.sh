#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The suite in machines of its own: KHO_KERNEL=<image> says with which kernel,
# KHO_MODULE=<kho_producer.ko> with which test producer if not the one beside this.
# Nothing here touches the machine it runs on.

dir=$(dirname "$0")
if [ -z "$KHO_KERNEL" ]; then
	echo "TAP version 13"
	echo "1..0 # SKIP no kernel to test: KHO_KERNEL=<bzImage> names one"
	exit 4
fi
if [ ! -x "$dir/khotest" ]; then
	echo "TAP version 13"
	echo "1..0 # SKIP khotest was not built (libjansson is missing)"
	exit 4
fi
results=${KHO_RESULTS:-$(mktemp -d)}
echo "# results: $results"
if [ -z "$KHO_MODULE" ] && [ -f "$dir/kmod/kho_producer.ko" ]; then
	KHO_MODULE=$dir/kmod/kho_producer.ko
fi
exec "$dir/khotest" run --kernel "$KHO_KERNEL" ${KHO_MODULE:+--module "$KHO_MODULE"} --results "$results" ${KHO_SCENARIOS:+$KHO_SCENARIOS}
