#!/bin/bash
# Stops and removes the gateway, its releases and images, and the proxy. The data directory stays,
# and so do the scripts: a later deployment installs everything again.
set -euo pipefail
. /usr/local/lib/clawft/common.sh
. /usr/local/lib/clawft/images.sh

main() {
	# A client that has something to say, as pulumi-command has, fails when nobody reads it.
	[ -t 0 ] || cat >/dev/null
	[ "$EUID" = 0 ] || { echo "remove failed: it needs root: run it as root or with sudo" >&2 && exit 1; }
	lock 3600 || { echo "remove failed: a deployment was still under way after an hour" >&2 && exit 1; }
	local unit
	for unit in clawft.service clawft-proxy.service; do
		if [ -f "$UNITS/$unit" ]; then
			timeout 120 systemctl disable --now "$unit" 2>/dev/null ||
				{ echo "remove failed: $unit does not stop" >&2 && exit 1; }
			rm -f "$UNITS/$unit"
		fi
	done
	systemctl daemon-reload
	engine rm -f clawft >/dev/null 2>&1 || true
	clear_preflight
	rm -rf "$ROOT/current" "$ROOT/previous" "$PENDING" "${ROOT:?}"/releases/* "$HOLD"
	prune_images
	echo "removed the gateway; its data is kept in $ROOT/data"
}

main
