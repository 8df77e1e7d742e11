# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced.  overlay DIR: changes in DIR go elsewhere and end with overlay_end, or
# with this process's mount namespace, which it enters first: overlay_enter "$@".

overlay_enter() {
	[ "$(id -u)" = 0 ] || { echo "$0: overlays are for root only" >&2; exit 4; }
	unshare -m true 2>/dev/null || { echo "$0: no mount namespaces here" >&2; exit 4; }
	[ -n "${KHO_OVERLAY:-}" ] || KHO_OVERLAY=1 exec unshare -m "$0" "$@"
	overlays=()
	overlay_tmp=$(mktemp -d)
	trap 'overlay_end; rm -rf "$overlay_tmp"' EXIT
}

overlay() {
	local at=$overlay_tmp/${#overlays[@]}
	mkdir -p "$at/upper" "$at/work"
	mount -t overlay overlay -o "lowerdir=$1,upperdir=$at/upper,workdir=$at/work" "$1"
	overlays+=("$1")
}

overlay_end() {
	for at in "${overlays[@]}"; do umount -l "$at"; done
	overlays=()
	rm -rf "${overlay_tmp:?}"/*
}
