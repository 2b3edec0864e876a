#!/bin/sh
# Managed by clawft-infra: changes are overwritten.
# Runs in the gateway's container, as its own user: reads the gateway's environment from standard
# input and becomes the gateway. The engine would keep an environment that it is given in files that
# every user of the host can read; what comes in this way exists in the gateway alone.
#
# It is run by the host's static busybox, so the image needs no shell.
while IFS= read -r line; do
	# shellcheck disable=SC2163 # the line is the assignment
	export "$line"
done
exec /usr/local/bin/weft "$@" </dev/null
