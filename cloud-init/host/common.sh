# shellcheck shell=bash
# Managed by clawft-infra: changes are overwritten.
# What the host's scripts share. It is sourced, never run.
# Functions answer in variables of capital letters, which their callers read.
# shellcheck disable=SC2034

readonly LIB=/usr/local/lib/clawft
readonly ROOT=/opt/clawft
readonly RUN=/run/clawft
readonly UNITS=/etc/systemd/system
readonly SOCKET=/run/docker.sock
# Gone after a reboot, like every deployment that was under way.
readonly HOLD=$RUN/hold
# Names the release to go back to for as long as the current one is not verified. It outlasts a reboot.
readonly PENDING=$ROOT/pending
readonly PROXY_PORT=8080
readonly GATE_PORT=18081
readonly GATEWAY_PORT=18080
# The image's user, in its image a name of its own. On the host it is reserved under this one.
readonly GATEWAY_ID=10001
readonly RESERVED=clawft-gateway
# Below so many MiB of free space, nothing is deployed.
readonly LEAST_ROOM=64
readonly PREFLIGHT=clawft-preflight
# The proxy's health_interval and some more: by then, a check has seen the hold file.
readonly CHECKED=0.4
# How long a release that was healthy before may take to be healthy again, in seconds.
readonly ROLLBACK_TIMEOUT=180

. /usr/local/lib/clawft/owner.sh

# Docker's client without anybody's login, bounded in time.
engine() { DOCKER_CONFIG=$RUN/no-login timeout 60 docker "$@"; }

# api METHOD PATH asks the engine. STATUS is HTTP's, 000 when it does not answer; BODY is the answer.
# Without a version in the path, engines old and new take the request.
api() {
	BODY=$(curl -s --noproxy '*' --max-time 60 --unix-socket "$SOCKET" -X "$1" -w '\n%{http_code}' "http://docker$2") || true
	STATUS=${BODY##*$'\n'} BODY=${BODY%$'\n'*}
}

# Owners, one a line, whose containers may be stopped beside those of the releases on this host.
OWNERS=''

# known_owner ID tells whether a release on this host is that owner's, or OWNERS names it. Where a
# record was lost, every owner is known.
known_owner() {
	local release
	[ -n "$1" ] || return 1
	for release in "$ROOT"/releases/*/release.env; do
		[ ! -f "$release" ] || [ -f "${release%/*}/owner" ] || return 0
	done
	grep -qsFx -e "OWNER=$1" "$ROOT"/releases/*/owner || grep -qFx -e "$1" <<<"$OWNERS"
}

# own_container NAME looks for a container. CONTAINER is its ID if it is ours, and empty if there is
# none. It returns 1 if it is somebody else's; FOREIGN says what it is. What is done to it is done by
# ID: the name may be another one's a moment later.
own_container() {
	local image owner
	CONTAINER='' FOREIGN=''
	read -r CONTAINER image owner < <(engine container inspect \
		-f '{{.Id}} {{.Config.Image}} {{with index .Config.Labels "clawft.owner"}}{{.}}{{end}}' "$1" 2>/dev/null) || true
	if [ -z "$CONTAINER" ] || known_owner "$owner"; then return 0; fi
	FOREIGN="the container $1 is not ours (image $image, label clawft.owner: ${owner:-none}); rename it, as with: docker rename $1 OTHER"
	CONTAINER=''
	return 1
}

# remove_container NAME removes a container if it is ours.
remove_container() {
	if own_container "$1" && [ -n "$CONTAINER" ]; then
		engine rm -f "$CONTAINER" >/dev/null 2>&1 || true
	fi
}

# lock SECONDS waits for the one lock that deploying, settling and removing share.
lock() {
	install -d -m 0755 "$RUN"
	exec 9>>"$RUN/lock"
	flock -w "$1" 9
}

# now prints the time in milliseconds.
now() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# seconds MILLISECONDS prints them as seconds with one decimal.
seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# release_value RELEASE NAME reads one line of a release's release.env.
release_value() { sed -n "s/^$2=//p" "$ROOT/releases/$1/release.env"; }

# linked NAME prints the release that a link names, or nothing.
linked() {
	local path
	path=$(readlink "$ROOT/$1") || return 0
	if [ -f "$ROOT/$path/release.env" ]; then basename "$path"; fi
}

# point NAME RELEASE turns a link in one step: "ln -sf" would remove it first.
point() {
	ln -sfn "releases/$2" "$ROOT/.$1.new"
	mv -T "$ROOT/.$1.new" "$ROOT/$1"
}

# install_unit UNIT puts a unit into place if it is not there or differs.
# It returns 1 when somebody else's is in its place.
install_unit() {
	cmp -s "$LIB/$1" "$UNITS/$1" && return
	own_file "$UNITS/$1" || return 1
	install -m 0644 "$LIB/$1" "$UNITS/$1"
	systemctl daemon-reload
}

requests_under_way() { [ -n "$(ss -Htn state established "dport = :$GATEWAY_PORT")" ]; }

# close_gate SECONDS holds new requests in the proxy and waits until those under way are done.
# It returns 1 when some were not within SECONDS.
close_gate() {
	local deadline=$(($(now) + $1 * 1000))
	install -d -m 0755 "$RUN"
	: >"$HOLD"
	# What does not run, works on nothing.
	systemctl is-active --quiet clawft.service || return 0
	# Twice: a check that began before the hold may still call the gateway healthy, but it is itself
	# a connection to the gateway; once that is gone, the next check has the last word.
	for _ in 1 2; do
		sleep "$CHECKED"
		while requests_under_way; do
			[ "$(now)" -lt $deadline ] || return 1
			sleep 0.05
		done
	done
}

open_gate() { rm -f "$HOLD"; }

# gateway_health VERSION PORT [COMMAND…] asks /api/health once, through COMMAND if one is given.
# It returns 0 when healthy, 1 when not, 2 when another version answers; ANSWER says what was seen.
gateway_health() {
	local version=$1 port=$2 body status
	shift 2
	if ! body=$("$@" curl -sS --noproxy '*' --max-time 5 -w '\n%{http_code}' "http://127.0.0.1:$port/api/health" 2>&1); then
		ANSWER=$(head -n 1 <<<"$body")
		return 1
	fi
	status=${body##*$'\n'} body=${body%$'\n'*}
	ANSWER="HTTP $status ${body:0:200}"
	[ "$status" = 200 ] && [ "$(jq -r '.status' <<<"$body" 2>/dev/null)" = ok ] || return 1
	REPORTED=$(jq -r '.version' <<<"$body")
	[ "$REPORTED" = "$version" ] || return 2
}

# start_gateway starts the unit, anew if it runs, and notes how often systemd has restarted it so far:
# the count of a unit that was crashing goes on.
start_gateway() {
	timeout 120 systemctl restart clawft.service 2>/dev/null || true
	RESTARTS=$(systemctl show -p NRestarts --value clawft.service)
}

# gateway_down returns 0 when the unit's gateway ended since start_gateway; CAUSE says how.
gateway_down() {
	local name value sub='' code='' status='' restarts='' result=''
	while IFS='=' read -r name value; do
		case $name in
		SubState) sub=$value ;;
		ExecMainCode) code=$value ;;
		ExecMainStatus) status=$value ;;
		NRestarts) restarts=$value ;;
		Result) result=$value ;;
		esac
	done < <(systemctl show -p SubState,ExecMainCode,ExecMainStatus,NRestarts,Result clawft.service)
	[ "$sub" = running ] && [ "$restarts" = "$RESTARTS" ] && return 1
	# 1 is the kernel's CLD_EXITED; docker run ends with the gateway's own exit code.
	if [ "$code" = 1 ] && [ "$status" != 0 ]; then
		CAUSE="the gateway exited with code $status"
		[ "$status" != 137 ] || CAUSE+=" (killed; perhaps out of memory)"
	elif [ "$restarts" != "$RESTARTS" ] || [ "$sub" = auto-restart ]; then
		CAUSE="the gateway exited and was restarted"
	else
		CAUSE="the gateway's unit is $sub ($result)"
	fi
}

# await_gateway VERSION SECONDS waits until the unit's gateway is healthy. It returns 1 as soon as it
# ended or another version answers, and after SECONDS; CAUSE says why, ENDED whether it ended.
await_gateway() {
	local deadline=$(($(now) + $2 * 1000)) state
	ENDED=''
	while :; do
		if gateway_down; then
			ENDED=yes
			return 1
		fi
		state=0
		gateway_health "$1" "$GATEWAY_PORT" || state=$?
		case $state in
		0) return ;;
		2)
			CAUSE="/api/health reports version $REPORTED instead of $1"
			return 1
			;;
		esac
		if [ "$(now)" -gt $deadline ]; then
			CAUSE="the gateway was not healthy within $2 s: $ANSWER"
			return 1
		fi
		sleep 0.2
	done
}

# restore puts back what ran before an unverified release: the previous release, or nothing.
# It needs the lock. It returns 1 when what it put back is not healthy; CAUSE says why, RESTORED what.
restore() {
	local old state=0
	old=$(cat "$PENDING")
	# A gateway that is closed already, or ends, has nothing to finish.
	[ -f "$HOLD" ] || close_gate 10 || true
	if [ -n "$old" ] && [ -f "$ROOT/releases/$old/release.env" ]; then
		RESTORED="release $(release_value "$old" VERSION)"
		point current "$old"
		start_gateway
		await_gateway "$(release_value "$old" VERSION)" "$ROLLBACK_TIMEOUT" || state=1
	else
		RESTORED="nothing ran before, nothing runs now"
		if own_file "$UNITS/clawft.service"; then
			systemctl disable --now clawft.service 2>/dev/null || true
			rm -f "$UNITS/clawft.service"
		fi
		rm -f "$ROOT/current"
		systemctl daemon-reload
	fi
	rm -f "$PENDING"
	open_gate
	return $state
}

# clear_preflight removes what a preflight leaves.
clear_preflight() {
	remove_container "$PREFLIGHT"
	rm -rf "$ROOT/preflight"
}

# prune removes every release but the current and the previous one, and the images that only those
# used. It needs the lock, and images.sh.
prune() {
	local release kept
	kept=" $(linked current) $(linked previous) "
	for release in "$ROOT"/releases/*; do
		[[ $kept == *" ${release##*/} "* ]] || rm -rf "$release"
	done
	prune_images
}
