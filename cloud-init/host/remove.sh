#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# Stops and removes a gateway, its releases and images, and the proxy: remove OWNER GATEWAY. The data
# directory stays, and so do the scripts: a later deployment installs everything again.
#
# What is another's by now stays: a stack that deletes what it once deployed must not stop what runs here
# since. That is no failure, since what it wanted to be gone is gone.
set -euo pipefail
. /usr/local/lib/clawft/common.sh
. /usr/local/lib/clawft/images.sh

refuse() {
	echo "remove failed: $1" >&2
	exit 1
}

main() {
	# A client that has something to say, as pulumi-command has, fails when nobody reads it.
	[ -t 0 ] || cat >/dev/null
	[ "$EUID" = 0 ] || refuse "it needs root: run it as root or with sudo"
	[ $# = 2 ] || refuse "whose gateway? remove OWNER GATEWAY; both stand in $ROOT/current/owner"
	lock 3600 || refuse "a deployment was still under way after an hour"
	local unit release
	release=$(owned_release)
	if [ -z "$release" ]; then
		echo "no gateway is installed here, nothing was removed; data is kept in $ROOT/data"
		return
	fi
	if ! check_owner "$1" "$2" ''; then
		echo "nothing was removed: this machine runs gateway $(owner_value "$release" GATEWAY) of stack $(owner_value "$release" STACK) (owner $(owner_value "$release" OWNER)), and not gateway $2 of owner $1"
		return
	fi
	for unit in clawft.service clawft-proxy.service; do
		if [ -f "$UNITS/$unit" ] && own_file "$UNITS/$unit"; then
			timeout 120 systemctl disable --now "$unit" 2>/dev/null || refuse "$unit does not stop"
			rm -f "$UNITS/$unit"
		fi
	done
	systemctl daemon-reload
	remove_container clawft
	clear_preflight
	# What says whose this host is goes with the link, last: a removal that is cut short before can be run again.
	rm -rf "$ROOT/previous" "$PENDING" "$HOLD"
	rm -rf "$ROOT/current" "${ROOT:?}"/releases/*
	prune_images
	echo "removed the gateway; its data is kept in $ROOT/data"
}

main "$@"
