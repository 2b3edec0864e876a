#!/bin/bash
# Waits until a host can be worked on, checks what the gateway needs, prints one line of facts.
set -euo pipefail

fail() {
	echo "host is not ready: $*" >&2
	exit 1
}

# wait_for_cloud_init sets FIRST_BOOT to how the first boot ended. An error in it is shown, not fatal:
# the bootstrap that follows does the same work again, and fails with the cause if it persists.
wait_for_cloud_init() {
	FIRST_BOOT=none
	command -v cloud-init >/dev/null || return 0
	local status=0
	timeout 900 cloud-init status --wait >/dev/null 2>&1 || status=$?
	case $status in
	0) FIRST_BOOT="done" ;;
	2) FIRST_BOOT=degraded ;;
	124) fail "cloud-init is still running after 15 minutes; see /var/log/cloud-init-output.log" ;;
	*) FIRST_BOOT=error ;;
	esac
	if [ $status != 0 ]; then
		echo "warning: cloud-init ended with status $FIRST_BOOT:" >&2
		cloud-init status --long 2>&1 | sed 's/^/  | /' >&2 || true
		tail -n 5 /var/log/cloud-init-output.log 2>/dev/null | sed 's/^/  | /' >&2 || true
	fi
}

main() {
	local ID='' VERSION_ID='' PRETTY_NAME=unknown arch engine
	. /etc/os-release
	[ "$EUID" = 0 ] || fail "user $(id -un) is not root; connect as root or as a user with passwordless sudo"
	[ -d /run/systemd/system ] || fail "systemd does not run here"
	case $(uname -m) in
	x86_64) arch=amd64 ;;
	aarch64) arch=arm64 ;;
	*) fail "$(uname -m) is not supported; x86_64 (amd64) and aarch64 (arm64) are" ;;
	esac
	case $ID in
	debian) [ "${VERSION_ID%%.*}" -ge 12 ] ;;
	ubuntu) [ "${VERSION_ID%%.*}" -ge 22 ] ;;
	*) false ;;
	esac || fail "$PRETTY_NAME is not supported; Debian 12 and Ubuntu 22.04 or newer are"
	wait_for_cloud_init
	engine=$(timeout 30 docker version -f '{{.Server.Version}}' 2>/dev/null || echo none)
	echo "ready os=$ID-$VERSION_ID arch=$arch cloud-init=$FIRST_BOOT docker=$engine"
}

main </dev/null
