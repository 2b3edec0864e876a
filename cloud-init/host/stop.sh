#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# Stops the gateway's container, as the gateway's unit ends. It runs after a start that failed, too, when
# the name may be somebody else's.
set -eu
. /usr/local/lib/clawft/common.sh

own_container clawft || exit 0
[ -z "$CONTAINER" ] || engine stop "$CONTAINER" >/dev/null
