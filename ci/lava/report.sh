#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# report.sh - KTAP on standard input, each result told to LAVA
#
# LAVA knows pass, fail and skip; what is expected to fail passes, as kselftest's own tools
# have it.  What a program of the collection says of its tests is told behind its name.
# It fails if there was no result at all, or fewer than the plan says.
planned=0
seen=0
failed=0
program=
while IFS= read -r line; do
	[[ ! $line =~ ^1\.\.([0-9]+) ]] || planned=${BASH_REMATCH[1]}
	[[ ! $line =~ ^\#\ selftests:\ [^:]+:\ (.+)$ ]] || program=${BASH_REMATCH[1]}
	[[ $line =~ ^(\#\ )?(not\ )?ok\ [0-9]+\ (-\ )?([^#]*[^#\ ])(\ *\#\ *([A-Za-z]+).*)?$ ]] || continue
	name=${BASH_REMATCH[4]#selftests: }
	result=pass
	[ "${BASH_REMATCH[6]}" != SKIP ] || result=skip
	[ -z "${BASH_REMATCH[2]}" ] || result=fail
	if [ -n "${BASH_REMATCH[1]}" ]; then
		name=$program.$name
	else
		seen=$((seen + 1))
	fi
	[ $result != fail ] || failed=$((failed + 1))
	lava-test-case "${name//[^A-Za-z0-9_.-]/_}" --result "$result"
done
echo "$seen results, $planned planned, $failed failed"
if [ "$seen" = 0 ] || [ "$seen" -lt "$planned" ]; then
	lava-test-case kho_results_are_complete --result fail
	exit 1
fi
