# shellcheck shell=bash
# Managed by clawft-infra: changes are overwritten.
# How the gateway's container is made: once, for production and for the preflight. It is sourced, after
# common.sh. What the callers add is a name, a network and where the log goes.

# container_of RELEASE_DIRECTORY DATA sets FLAGS and COMMAND, what follows "docker run" or "docker create".
# shellcheck disable=SC2034,SC2054
container_of() {
	local name value IMAGE='' PORT='' MEMORY='' PIDS='' OWNER='' GATEWAY=''
	while IFS='=' read -r name value; do
		case $name in
		IMAGE | PORT | MEMORY | PIDS | OWNER | GATEWAY) printf -v "$name" %s "$value" ;;
		esac
	done < <(cat "$1/release.env" "$1/owner")
	FLAGS=(
		--label "clawft.owner=$OWNER" --label "clawft.gateway=$GATEWAY"
		--interactive --pull never
		--user 10001:10001
		# The ids on the data are the host's, also where the engine maps those of other containers.
		--userns host
		--read-only --tmpfs /tmp:rw,nosuid,nodev,size=64m,mode=1777
		--cap-drop ALL --security-opt no-new-privileges
		--memory "$MEMORY" --memory-swap "$MEMORY" --pids-limit "$PIDS"
		--stop-signal SIGINT --stop-timeout 15
		--mount "type=bind,source=$2,target=/home/weft/.clawft"
		--mount "type=bind,source=$1/config.json,target=/etc/clawft/config.json,readonly"
		--mount type=bind,source=/usr/bin/busybox,target=/run/clawft/busybox,readonly
		--mount "type=bind,source=$LIB/launch,target=/run/clawft/launch,readonly"
		--env HOME=/home/weft --env "PORT=$PORT" --env WEFTOS_NO_UPDATE_CHECK=1
		--entrypoint /run/clawft/busybox
	)
	COMMAND=("$IMAGE" sh /run/clawft/launch gateway --config /etc/clawft/config.json)
	# Where the gateway listens in its container.
	CONTAINER_PORT=$PORT
}
