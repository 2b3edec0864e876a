# shellcheck shell=bash
# Managed by clawft-infra: changes are overwritten.
# What a machine may have that a gateway cannot live with. It is sourced, after common.sh, by the bootstrap
# and by every deployment before it changes anything.

# surroundings prints what is in the way, a line each: the cause, who it is, what to do.
surroundings() {
	id_problems
	engine_problems
	port_problems
	data_problems
}

# id_problems: a file of the gateway must not be somebody's by chance.
id_problems() {
	local found file name start count
	found=$(getent passwd "$GATEWAY_ID") && [ "${found%%:*}" != "$RESERVED" ] &&
		echo "user id $GATEWAY_ID, which the gateway's files have, belongs to user ${found%%:*}: give that user another id (usermod --uid)"
	found=$(getent group "$GATEWAY_ID") && [ "${found%%:*}" != "$RESERVED" ] &&
		echo "group id $GATEWAY_ID, which the gateway's files have, belongs to group ${found%%:*}: give that group another id (groupmod --gid)"
	for file in /etc/subuid /etc/subgid; do
		[ -r "$file" ] || continue
		while IFS=: read -r name start count; do
			[[ $start$count =~ ^[0-9]+$ ]] || continue
			if [ "$start" -le "$GATEWAY_ID" ] && [ "$GATEWAY_ID" -lt $((start + count)) ]; then
				echo "id $GATEWAY_ID, which the gateway's files have, is in the range of $name in $file: give $name another range"
			fi
		done <"$file"
	done
	return 0
}

engine_problems() {
	local right="the gateway needs Docker 20.10 or newer, run by root, at $SOCKET"
	api GET /version
	if [ "$STATUS" != 200 ]; then
		echo "no Docker engine answers at $SOCKET: start it (systemctl start docker), or let it listen there (hosts in /etc/docker/daemon.json)"
		return
	fi
	if jq -e 'any(.Components[]?; .Name == "Podman Engine")' <<<"$BODY" >/dev/null; then
		echo "what answers at $SOCKET is Podman: $right"
		return
	fi
	if jq -e '.ApiVersion | split(".") | map(tonumber) < [1, 41]' <<<"$BODY" >/dev/null; then
		echo "the Docker engine is version $(jq -r .Version <<<"$BODY"): $right"
	fi
	api GET /info
	if jq -e 'any(.SecurityOptions[]?; startswith("name=rootless"))' <<<"$BODY" >/dev/null; then
		echo "the Docker engine runs without root (rootless mode): $right"
	fi
}

# port_problems names who listens where the proxy and the gateway have to.
port_problems() {
	local port holder
	for port in "$PROXY_PORT" "$GATE_PORT" "$GATEWAY_PORT"; do
		holder=$(port_holder "$port")
		[ -z "$holder" ] || echo "port 127.0.0.1:$port, which the gateway needs, is taken by $holder: let it listen elsewhere, or stop it"
	done
}

# port_holder PORT prints who keeps 127.0.0.1:PORT from us, if anybody does.
port_holder() {
	local found line address pid unit
	api GET /containers/json
	# Also where the engine forwards without listening (userland-proxy off).
	found=$(jq -r --argjson port "$1" '.[] | select(any(.Ports[]?; .PublicPort == $port and .Type == "tcp" and
		(.IP == null or .IP == "" or .IP == "0.0.0.0" or .IP == "127.0.0.1"))) | .Names[0][1:]' <<<"$BODY" 2>/dev/null) || true
	found=${found%%$'\n'*}
	case $found in
	'') ;;
	clawft) return ;;
	*)
		echo "container $found"
		return
		;;
	esac
	while read -r line; do
		address=$(awk '{ print $4 }' <<<"$line")
		case ${address%:*} in
		# "*" is a socket for IPv6 that takes IPv4 as well.
		127.0.0.1 | 0.0.0.0 | '*' | '[::ffff:127.0.0.1]') ;;
		*) continue ;;
		esac
		pid=$(sed -n 's/.*pid=\([0-9]*\).*/\1/p' <<<"$line")
		if [ -z "$pid" ]; then
			echo "an unknown process"
			return
		fi
		unit=$(unit_of "$pid" "$1")
		[ "$unit" != clawft-proxy.service ] || continue
		echo "$(cat "/proc/$pid/comm" 2>/dev/null || echo "a process"), pid $pid${unit:+, of $unit}"
		return
	done < <(ss -Hltnp "sport = :$1")
}

# unit_of PID PORT prints the unit of a process; of systemd itself, the socket unit that it listens for.
unit_of() {
	if [ "$1" != 1 ]; then
		grep -m 1 -oE '[^/]+\.(service|scope)$' "/proc/$1/cgroup" 2>/dev/null || true
		return
	fi
	# A paragraph for each, with its properties in no order that is promised.
	systemctl show -p Id,Listen '*.socket' | awk -v port=":$2 (" -v RS='' -F'\n' 'index($0, port) {
		for (n = 1; n <= NF; n++) if (sub(/^Id=/, "", $n)) { print $n; exit }
	}'
}

data_problems() {
	local data=$ROOT/data found
	if [ ! -d "$data" ]; then
		if [ -L "$data" ]; then
			echo "$data leads to $(readlink "$data"), which is not there: mount what holds the data, or remove the link"
		elif [ -e "$data" ]; then
			echo "$data is not a directory: move it away"
		fi
		return 0
	fi
	if [ ! -w "$data" ]; then
		echo "$data is on a file system that is read-only: mount it writable ($(findmnt -no SOURCE,TARGET,OPTIONS -T "$data"))"
		return
	fi
	# From within, since only the data are seen in the container. A file may well be read-only; a directory is not.
	found=$(cd -P "$data" && timeout 60 setpriv --reuid "$GATEWAY_ID" --regid "$GATEWAY_ID" --clear-groups \
		find . -name lost+found -prune -o \( -type d \( ! -readable -o ! -writable -o ! -executable \) -o -type f ! -readable \) -print -quit 2>/dev/null) || true
	if [ -n "$found" ]; then
		found=$data${found#.}
		echo "$found belongs to $(stat -c '%U:%G (%u:%g), mode %a' "$found"), so that the gateway's user $GATEWAY_ID cannot use it: chown -R $GATEWAY_ID:$GATEWAY_ID $data"
	fi
	found=$(df --output=avail -BM "$data" | tail -n 1)
	if [ "${found//[^0-9]/}" -lt "$LEAST_ROOM" ]; then
		echo "the file system of $data has${found%M} MiB left: free some, $LEAST_ROOM MiB at least"
	fi
	read -r found _ < <(df --output=iavail,itotal "$data" | awk 'NR == 2 && $2 > 0 && $1 < 100') || true
	[ -z "$found" ] || echo "the file system of $data has room for $found files: remove some"
}
