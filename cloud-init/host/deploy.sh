#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# Deploys one release: deploy <release.json
#
# The work is done by a unit of its own, which ends in good order however it ends; this script hands
# the release over, prints what the unit reports and ends as it ended. When the client goes away, the
# deployment is undone: nobody would learn of a success, and whoever asked has seen it fail.
# Progress goes to standard output; what failed goes to standard error, beginning with
# "deploy failed: <cause>".
set -euo pipefail
. /usr/local/lib/clawft/common.sh

readonly MAX_REQUEST=$((4 << 20))

refuse() {
	echo "deploy failed: $1" >&2
	exit 1
}

# problems prints what is wrong with a request, a line each. It never prints a value of env.
problems() {
	jq -r '
		def number(name; least; most):
			if (.[name] | type) == "number" and .[name] >= least and .[name] <= most and .[name] == (.[name] | floor)
			then empty else "\(name): \(.[name]) is not a whole number between \(least) and \(most)" end;
		def string(name; pattern; right):
			if (.[name] | type) == "string" and (.[name] | test(pattern)) then empty
			else "\(name): \(.[name] | tojson) is not \(right)" end;
		if type != "object" then "the release is not a JSON object" else
			((keys - ["image", "version", "config", "env", "registry", "port", "memoryMiB", "pids",
				"healthTimeout", "watch", "drain", "pullTimeout", "signature", "owner"])[] | "\(.): unknown field"),
			string("image"; "^[a-z0-9][a-z0-9._:/_-]*@sha256:[0-9a-f]{64}$"; "repository@sha256:<64 hex digits>"),
			string("version"; "^[0-9]+\\.[0-9]+\\.[0-9]+([-+][0-9A-Za-z.+-]+)?$"; "a version such as 0.6.19"),
			(if (.config | type) == "string" and (.config | try (fromjson | type) catch "") == "object"
				then empty else "config: it is not a string with a JSON object" end),
			number("port"; 1; 65535), number("memoryMiB"; 16; 1048576), number("pids"; 8; 4194304),
			number("healthTimeout"; 1; 180), number("watch"; 0; 600), number("drain"; 0; 60),
			number("pullTimeout"; 1; 3600),
			(if (.env | type) != "object" then "env: it is not an object" else
				(.env | to_entries[] |
					if (.key | test("^[A-Za-z_][A-Za-z0-9_]*$") | not) then "env: \(.key | tojson) is not a name"
					elif (.value | type) != "string" then "env.\(.key): its value is not a string"
					elif (.value | test("[\\x00-\\x08\\x0a-\\x1f\\x7f]")) then "env.\(.key): its value has a line break or control character"
					else empty end) end),
			(if (.owner | type) == "object" and
				(.owner.id | type == "string" and test("^[0-9a-f]{16}$")) and
				(.owner.gateway | type == "string" and test("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")) and
				(.owner.stack | type == "string" and test("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){2}$")) and
				(.owner.takes | type == "array" and all(type == "string"))
				then empty else "owner: it needs id, stack, gateway and takes" end),
			(if .registry == null or ((.registry | type) == "object" and
				([.registry.address, .registry.username, .registry.password] | all(type == "string" and . != "")))
				then empty else "registry: it needs address, username and password" end),
			(if .signature == null or ((.signature | type) == "object" and (.signature.keys | type) == "array" and
				(.signature.keys | length > 0 and all(type == "string" and . != "")) and
				([.signature.payload, .signature.signature] | all(. == null or type == "string")))
				then empty else "signature: it needs keys, payload and signature" end)
		end' "$1" 2>/dev/null || echo "the release is not JSON"
}

# follow prints the log as it grows until the deployment has a result, or its unit is gone without one.
follow() {
	local line ended='' client
	# It ends when nobody reads this script's output any more; a write would be needed to see it here.
	tail -f /dev/null &
	client=$!
	exec 3<"$1/log"
	while :; do
		while IFS= read -r line <&3; do printf '%s\n' "$line" || true; done
		if [ -n "$ended" ]; then
			kill "$client" 2>/dev/null || true
			return 0
		fi
		if ! kill -0 "$client" 2>/dev/null; then
			logger -t clawft-deploy "the client of $2 went away: undoing the deployment"
			systemctl stop "$2" || true
			rm -rf "$1"
			exit 1
		fi
		if [ -f "$1/result" ]; then
			ended=yes
		else
			# A unit that waits for its start has a job and is inactive all the same.
			case $(systemctl show -p ActiveState,Job "$2") in
			*=activating* | *=deactivating* | *Job=[1-9]*) sleep 0.2 ;;
			*) sleep 1 && ended=yes ;;
			esac
		fi
	done
}

main() {
	[ "$EUID" = 0 ] || refuse "it needs root: run it as root or with sudo"
	umask 077
	install -d -m 0755 "$RUN"
	install -d -m 0700 "$RUN/deploy"
	# What clients left behind that went away.
	find "$RUN/deploy" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +

	local dir unit found
	dir=$(mktemp -d "$RUN/deploy/$(date -u +%Y%m%dT%H%M%SZ)-XXXX")
	unit=clawft-deploy@${dir##*/}.service
	head -c $((MAX_REQUEST + 1)) >"$dir/request.json"
	if [ "$(stat -c %s "$dir/request.json")" -gt $MAX_REQUEST ]; then
		rm -rf "$dir"
		refuse "the release is larger than 4 MiB"
	fi
	found=$(problems "$dir/request.json")
	if [ -n "$found" ]; then
		rm -rf "$dir"
		refuse "the release is not valid: nothing was changed"$'\n'"$found"
	fi
	: >"$dir/log"
	if ! found=$(systemctl start --no-block "$unit" 2>&1); then
		rm -rf "$dir"
		refuse "cannot start $unit: $found"
	fi
	# A client that went away must not end this script before it has undone the deployment.
	trap '' PIPE HUP
	follow "$dir" "$unit"

	local result=1
	if [ -f "$dir/result" ]; then result=$(cat "$dir/result"); fi
	if [ "$result" != 0 ]; then
		if [ -f "$dir/failure" ]; then
			cat "$dir/failure" >&2
		else
			echo "deploy failed: the deployment was killed; see: journalctl -u $unit" >&2
		fi
	fi
	rm -rf "$dir"
	exit "$result"
}

main
