#!/bin/bash
# What a change needs that cuts the power: off ends the gateway in good order before it, on awaits it after.
set -euo pipefail
if [ ! -f /usr/local/lib/clawft/common.sh ]; then
	echo "no gateway is installed"
	exit 0
fi
. /usr/local/lib/clawft/common.sh

fail() {
	echo "$*" >&2
	exit 1
}

off() {
	if ! systemctl is-active --quiet clawft.service; then
		echo "no gateway runs"
		return 0
	fi
	# Requests wait in the proxy for as long as the gateway works on those it has.
	close_gate 30 || echo "requests were still under way after 30 s" >&2
	timeout 120 systemctl stop clawft.service || fail "clawft.service does not stop; see: journalctl -u clawft"
	sync
	echo "the gateway ended in good order"
}

on() {
	local release version
	release=$(linked current)
	if [ -z "$release" ]; then
		echo "no gateway is installed"
		return 0
	fi
	version=$(release_value "$release" VERSION)
	systemctl is-active --quiet clawft.service || start_gateway
	RESTARTS=$(systemctl show -p NRestarts --value clawft.service)
	await_gateway "$version" "$ROLLBACK_TIMEOUT" || fail "$CAUSE; see: journalctl -u clawft"
	open_gate
	echo "the gateway answers as version $version"
}

main() {
	lock 3600 || fail "a deployment was still under way after an hour"
	"$1"
}

main "$@" </dev/null
