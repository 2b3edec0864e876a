#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# Runs before every start of the gateway's unit.
set -eu
. /usr/local/lib/clawft/common.sh

# A release that is not verified and has no deployment watching over it, as after a reboot in the
# middle of one, must not run: go back to the release before it.
if [ -f "$PENDING" ] && lock 0; then
	old=$(cat "$PENDING")
	if [ -z "$old" ]; then
		rm -f "$ROOT/current" "$PENDING"
		echo "the deployment of the first release did not finish: nothing to start" >&2
		exit 1
	fi
	point current "$old"
	rm -f "$PENDING"
	echo "a deployment did not finish: back to release $old"
fi
exec 9>&-

# What a killed client or engine left behind: stopped in the gateway's own way if it still runs.
if ! own_container clawft; then
	echo "the gateway does not start: $FOREIGN" >&2
	exit 1
fi
if [ -n "$CONTAINER" ]; then
	engine stop "$CONTAINER" >/dev/null || true
	engine rm -f "$CONTAINER" >/dev/null 2>&1 || true
fi
echo "starting release $(linked current)"
