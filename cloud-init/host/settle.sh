#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# Runs after a deployment, however it ended: settle ID. After one that ended by itself there is
# nothing to do; after one that was killed it goes back to the previous release and opens the gate.
set -eu
. /usr/local/lib/clawft/common.sh
. /usr/local/lib/clawft/images.sh

readonly DIR=$RUN/deploy/$1

# A machine that shuts down leaves it to the gateway's prestart.
if [ "$(systemctl is-system-running)" = stopping ]; then exit; fi

back="nothing was changed"
# A deployment that has waited for this one goes back itself before it begins.
if lock 30; then
	clear_preflight
	if [ -f "$PENDING" ]; then
		if restore; then
			back="rolled back: $RESTORED is healthy"
		else
			back="ROLLBACK FAILED: $RESTORED is not healthy either: $CAUSE. The gateway is DOWN on this host."
		fi
	fi
	# Killed between keeping the new release and saying so.
	if [[ $(linked current) == *-"$1" ]]; then back="release $(linked current) was verified before, and stays"; fi
	open_gate
	prune || true
fi
[ -d "$DIR" ] || exit 0
rm -rf "$DIR/request.json" "$DIR/secrets" "$DIR/login" "$DIR/start"
if [ ! -f "$DIR/result" ]; then
	printf '%s\n' "deploy failed: the deployment was stopped (${SERVICE_RESULT:-unknown})" "$back" | tee "$DIR/failure"
	echo 1 >"$DIR/result"
fi
