#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# The main process of the gateway's unit: runs the current release in the foreground. The secrets come on
# standard input, which nothing here may read; they are no part of the container.
set -eu
. /usr/local/lib/clawft/common.sh
. /usr/local/lib/clawft/container.sh

# The journal has the output already; a second copy by the engine would only fill the disk.
container_of "$ROOT/$(readlink "$ROOT/current")" "$ROOT/data"
exec docker run --rm --name clawft --log-driver none --publish "127.0.0.1:$GATEWAY_PORT:$CONTAINER_PORT" \
	"${FLAGS[@]}" "${COMMAND[@]}"
