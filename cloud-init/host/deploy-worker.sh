#!/bin/bash
# Managed by clawft-infra: changes are overwritten.
# Does the work of one deployment: deploy-worker ID. Its unit is clawft-deploy@ID.service.
#
# At every moment the host has either the old or the new release complete: a release is a directory,
# "current" names one, and for as long as that one is not verified "pending" names the one to go back
# to. Whoever finds "pending" without its deployment goes back: the unit's settle when this script is
# killed, the gateway's prestart after a reboot, the next deployment.
set -euo pipefail
. /usr/local/lib/clawft/common.sh
. /usr/local/lib/clawft/container.sh
. /usr/local/lib/clawft/images.sh
. /usr/local/lib/clawft/surroundings.sh

readonly ID=$1
readonly DIR=$RUN/deploy/$1
readonly REQUEST=$DIR/request.json
readonly LOG_LINES=30

swapped='' old='' new='' old_image=none held_at='' logged_since=''
pull_ms=0 preflight_ms=0 swap_ms=0 watch_ms=0 held_ms=0

# say reports to the journal and to whoever waits in the front end.
say() { printf '%s\n' "$*" | redact | tee -a "$DIR/log"; }

request() { jq -r ".$1" "$REQUEST"; }

# redact replaces the secrets of both releases in what it reads by their names.
redact() {
	awk '
		FILENAME == ARGV[1] { tab = index($0, "\t"); n++; name[n] = substr($0, 1, tab - 1); secret[n] = substr($0, tab + 1); next }
		{
			line = $0
			for (i = 1; i <= n; i++) {
				done = ""
				while ((at = index(line, secret[i])) > 0) {
					done = done substr(line, 1, at - 1) "[" name[i] "]"
					line = substr(line, at + length(secret[i]))
				}
				line = done line
			}
			print line
		}' "$DIR/secrets" -
}

# collect_secrets writes what redact looks for: each value as it is and as JSON, URL or base64 would
# write it, longest first. Values of one to three characters and the log level are no secrets and
# would hit other words.
collect_secrets() {
	local env=/dev/null
	if [ -n "$old" ]; then env=$ROOT/releases/$old/gateway.env; fi
	jq -r --rawfile before "$env" '
		[(.env | to_entries[]),
		 ($before | split("\n")[] | select(contains("=")) | {key: .[:index("=")], value: .[index("=") + 1:]}),
		 (.registry // empty | {key: "registry password", value: .password},
			{key: "registry password", value: ("\(.username):\(.password)" | @base64)})]
		| map(select(.key != "RUST_LOG") | .key as $key | .value | select(length > 3)
			| ., (tojson | .[1:-1]), @uri, (@base64 | rtrimstr("=") | rtrimstr("=")) | {key: $key, value: .})
		| unique_by(.value) | sort_by(-(.value | length))[] | "\(.key)\t\(.value)"' "$REQUEST" >"$DIR/secrets"
}

# finish RESULT ends the deployment; the front end waits for the result.
finish() {
	trap - EXIT
	rm -rf "$REQUEST" "$DIR/secrets" "$DIR/login" "$DIR/start"
	echo "$1" >"$DIR/result.new"
	mv "$DIR/result.new" "$DIR/result"
	exit "$1"
}

# refuse CAUSE ends a deployment that may not touch anything here.
refuse() {
	trap - EXIT
	printf '%s\n' "deploy failed: $1" "nothing was changed" >"$DIR/failure.new"
	mv "$DIR/failure.new" "$DIR/failure"
	cat "$DIR/failure"
	finish 1
}

# fail CAUSE [TITLE LINES] goes back to the old release if the new one was started, and reports.
fail() {
	trap - EXIT
	local cause=$1 title=${2:-} lines=${3:-} back=''
	if [ -n "$swapped" ]; then
		say "going back: $cause"
		if restore; then
			back="rolled back: $RESTORED is healthy"
			[ -n "$old" ] || back="$RESTORED"
		else
			back="ROLLBACK FAILED: $RESTORED is not healthy either: $CAUSE. The gateway is DOWN on this host."
		fi
	else
		open_gate
		back="nothing was changed"
		if [ -n "$old" ]; then back+=": release $(release_value "$old" VERSION) was not touched"; fi
	fi
	clear_preflight
	prune || true
	{
		echo "deploy failed: $cause"
		echo "$back"
		if [ -n "$lines" ]; then
			echo "$title:"
			printf '  | %s\n' "${lines//$'\n'/$'\n  | '}"
		fi
	} | redact >"$DIR/failure.new"
	mv "$DIR/failure.new" "$DIR/failure"
	cat "$DIR/failure"
	finish 1
}

# stage writes the release's directory, complete, under a name of its own.
stage() {
	local version dir
	version=$(request version)
	new=$version-$ID
	dir=$ROOT/releases/$new
	umask 077
	mkdir -p "$dir"
	# How it is started is part of it: a release that runs in an older unit is not the same.
	jq -r --arg unit "$(cat "$LIB"/{clawft.service,run,container.sh,launch} | sha256sum | cut -c 1-16)" '
		"IMAGE=\(.image)", "VERSION=\(.version)", "PORT=\(.port)", "MEMORY=\(.memoryMiB)m",
		"PIDS=\(.pids)", "UNIT=\($unit)"' "$REQUEST" >"$dir/release.env"
	jq -r '.owner | "OWNER=\(.id)", "GATEWAY=\(.gateway)", "STACK=\(.stack)"' "$REQUEST" >"$dir/owner"
	request config >"$dir/config.json"
	# Read by the gateway's own user; the directory around it keeps everybody else out.
	chmod 0644 "$dir/config.json"
	jq -r '.env | to_entries | sort_by(.key)[] | "\(.key)=\(.value)"' "$REQUEST" >"$dir/gateway.env"
	sync "$dir"/* "$dir" "$ROOT/releases"
}

same_content() {
	local file
	[ -n "$old" ] || return 1
	# Whoever takes a host over starts the gateway anew, so that the container says whose it is.
	[ "$(owner_value "$old" OWNER)" = "$(owner_value "$new" OWNER)" ] || return 1
	for file in release.env config.json gateway.env; do
		cmp -s "$ROOT/releases/$old/$file" "$ROOT/releases/$new/$file" || return 1
	done
}

running_and_healthy() {
	systemctl is-active --quiet clawft.service && systemctl is-enabled --quiet clawft.service &&
		systemctl is-active --quiet clawft-proxy.service &&
		gateway_health "$(request version)" "$GATEWAY_PORT"
}

# check_foreign lets nothing of ours meet what is somebody else's and has the same name.
check_foreign() {
	local name found
	found=$(foreign_units)
	for name in clawft "$PREFLIGHT"; do
		own_container "$name" || found+=${found:+$'\n'}$FOREIGN
	done
	[ -z "$found" ] || refuse "$found"
}

# container prints which container runs, and since when.
container() { engine inspect -f '{{.Id}} {{.State.StartedAt}}' clawft 2>/dev/null; }

# ensure_proxy starts the proxy before anything else: without it nobody reaches the new release.
ensure_proxy() {
	install_unit clawft-proxy.service || fail "the unit $UNITS/clawft-proxy.service is not ours"
	systemctl is-enabled --quiet clawft-proxy.service || systemctl enable --quiet clawft-proxy.service
	timeout 30 systemctl start clawft-proxy.service 2>/dev/null ||
		fail "the proxy does not start" "its log" "$(journalctl -t clawft-proxy -n "$LOG_LINES" -o cat)"
}

# check_signature lets nothing pass that none of the keys has signed, if the release has keys. The
# signature is cosign's: of a document that names the image by its digest.
check_signature() {
	local count n=0 digest said signed
	count=$(request 'signature.keys | length')
	[ "$count" -gt 0 ] || return 0
	# What is no base64 is no signature either, and fails below.
	request 'signature.payload // ""' | base64 -d >"$DIR/payload" 2>/dev/null || true
	request 'signature.signature // ""' | base64 -d >"$DIR/signature" 2>/dev/null || true
	[ -s "$DIR/signature" ] || fail "the image is not signed, and the release demands a signature"
	while :; do
		request "signature.keys[$n]" >"$DIR/key"
		if said=$(openssl dgst -sha256 -verify "$DIR/key" -signature "$DIR/signature" "$DIR/payload" 2>&1); then break; fi
		n=$((n + 1))
		[ $n -lt "$count" ] || fail "the image's signature is by none of the $count keys that are trusted: $(head -n 1 <<<"$said")"
	done
	digest=$(request image)
	digest=${digest#*@}
	signed=$(jq -r '.critical | select(.type == "cosign container image signature") | .image["docker-manifest-digest"]' "$DIR/payload") || true
	[ "$signed" = "$digest" ] || fail "the image's signature is for ${signed:-something else}, and not for $digest"
	rm -f "$DIR/payload" "$DIR/signature" "$DIR/key"
	say "the image's signature is valid"
}

# pull fetches the image by digest while the old release serves.
pull() {
	local image started attempt=1 said wait
	image=$(request image)
	started=$(now)
	if has_image "$image"; then return; fi
	say "pulling $image"
	remember_image "$image"
	# The login lives in memory and only for as long as the pull takes.
	mkdir -m 0700 "$DIR/login"
	jq '{auths: (if .registry then
			{(.registry.address | if . == "docker.io" then "https://index.docker.io/v1/" else . end):
				{auth: ("\(.registry.username):\(.registry.password)" | @base64)}}
		else {} end)}' "$REQUEST" >"$DIR/login/config.json"
	local deadline=$((started / 1000 + $(request pullTimeout)))
	while :; do
		wait=$((deadline - $(now) / 1000))
		if [ $wait -le 0 ]; then
			fail "cannot pull $image within $(request pullTimeout) s: ${said:-no answer}"
		fi
		if said=$(DOCKER_CONFIG=$DIR/login timeout "$wait" docker pull --quiet "$image" 2>&1 >/dev/null); then break; fi
		said=$(tail -n 1 <<<"$said" | redact)
		case ${said,,} in
		*"no matching manifest"* | *"no match for platform"*)
			fail "wrong architecture: $image is built for $(platforms "$image"), this host is $(host_platform)"
			;;
		*unauthorized* | *denied* | *forbidden* | *"authentication required"* | *"no basic auth"*)
			fail "cannot pull $image: the registry refuses the login: $said"
			;;
		*manifest?unknown* | *"not found"* | *name?unknown*)
			fail "cannot pull $image: the registry does not have it: $said"
			;;
		*x509*"not yet valid"* | *x509*expired*)
			fail "cannot pull $image: $said; this host's clock says $(date -u)"
			;;
		*x509* | *certificate* | *"http response to https client"* | *"no space left"* | *"invalid reference"* | *"failed to verify"*)
			fail "cannot pull $image: $said"
			;;
		esac
		if [ $attempt = 4 ]; then fail "cannot pull $image after $attempt attempts: $said"; fi
		say "pull failed, trying again: $said"
		sleep $((attempt * attempt))
		attempt=$((attempt + 1))
	done
	rm -rf "$DIR/login"
	pull_ms=$(($(now) - started))
}

host_platform() { engine version -f '{{.Server.Os}}/{{.Server.Arch}}'; }

# platforms prints what an image that does not fit is built for, if the registry tells.
platforms() {
	DOCKER_CONFIG=$DIR/login timeout 20 docker manifest inspect "$1" 2>/dev/null |
		jq -r '[.manifests[].platform | select(.os != "unknown") | "\(.os)/\(.architecture)"] | join(", ")' 2>/dev/null ||
		echo "other platforms"
}

check_platform() {
	local given right
	given=$(engine image inspect -f '{{.Os}}/{{.Architecture}}' "$(request image)")
	right=$(host_platform)
	[ "$given" = "$right" ] || fail "wrong architecture: the image is built for $given, this host is $right"
}

# machine_of prints the processor that a program is for, as its ELF header has it; nothing for what
# is no program.
machine_of() {
	case $(od -An -v -tx1 -N20 -w20 | awk '$1 $2 $3 $4 == "7f454c46" { print $20 $19 }') in
	'') ;;
	003e) echo linux/amd64 ;;
	00b7) echo linux/arm64 ;;
	*) echo "another processor" ;;
	esac
}

# check_binary looks into the image for a program that another machine would run: the platform that
# an image claims is only what its builder wrote.
check_binary() {
	local given right
	given=$(engine cp -L "$PREFLIGHT:/usr/local/bin/weft" - 2>/dev/null | tar -xO 2>/dev/null | machine_of) || true
	right=$(host_platform)
	[ -z "$given" ] || [ "$given" = "$right" ] ||
		fail "wrong architecture: the image's /usr/local/bin/weft is for $given, this host is $right"
}

# engine_error picks the error from what Docker's client says: newer ones add hints after it.
engine_error() { grep -m 1 -i 'error' || echo "no error given"; }

# preflight starts the new image once as production will, with its config, environment, limits and user,
# but apart from the network, where chats would be answered twice, and on an empty directory that is
# owned as the data are and lies on the same file system. The old release serves meanwhile.
preflight() {
	local image version port release=$ROOT/releases/$new started deadline state pid said health client
	image=$(request image) version=$(request version) port=$(request port)
	started=$(now)
	say "preflight of $version"
	clear_preflight
	# shellcheck disable=SC2046 # three words
	install -d $(stat -L -c '-m %a -o %u -g %g' "$ROOT/data") "$ROOT/preflight"
	container_of "$release" "$ROOT/preflight"
	if ! said=$(engine create --name "$PREFLIGHT" --log-driver json-file --log-opt max-size=1m --network none \
		"${FLAGS[@]}" "${COMMAND[@]}" 2>&1 >/dev/null); then
		fail "preflight: the container cannot be created: $(engine_error <<<"$said")"
	fi
	check_binary
	# The client carries the environment in, as the unit's does, and ends with the container.
	DOCKER_CONFIG=$RUN/no-login docker start --attach --interactive "$PREFLIGHT" \
		<"$release/gateway.env" >"$DIR/start" 2>&1 &
	client=$!
	deadline=$((started + $(request healthTimeout) * 1000))
	while :; do
		state=$(engine inspect -f '{{if eq .State.Status "created"}}created{{else}}{{.State.Running}}{{end}} {{.State.Pid}} {{.State.ExitCode}} {{.State.OOMKilled}}' "$PREFLIGHT")
		case $state in
		true*) ;;
		created*)
			if ! kill -0 "$client" 2>/dev/null; then
				fail "preflight: the container does not start: $(engine_error <"$DIR/start")"
			fi
			if [ "$(now)" -gt $deadline ]; then
				fail "preflight: the engine did not start the container within $(request healthTimeout) s"
			fi
			sleep 0.1
			continue
			;;
		*true) preflight_failed "the gateway ran out of its $(request memoryMiB) MiB of memory" ;;
		*) preflight_failed "the gateway exited with code $(cut -d ' ' -f 3 <<<"$state")" ended ;;
		esac
		pid=$(cut -d ' ' -f 2 <<<"$state")
		health=0
		gateway_health "$version" "$port" nsenter -t "$pid" -n || health=$?
		case $health in
		0) break ;;
		2) preflight_failed "/api/health reports version $REPORTED instead of $version" ;;
		esac
		if [ "$(now)" -gt $deadline ]; then
			preflight_failed "the gateway was not healthy within $(request healthTimeout) s: $ANSWER"
		fi
		sleep 0.2
	done
	clear_preflight
	check_network "$port"
	preflight_ms=$(($(now) - started))
}

# check_network reaches into a container by the network that the gateway will have, unless it has one:
# in the preflight it had none. FLAGS and COMMAND are the preflight's.
check_network() {
	local said address
	if systemctl is-active --quiet clawft.service; then
		# 2 is an answer, of whichever version.
		gateway_health any "$GATEWAY_PORT" || [ $? != 2 ] || return 0
	fi
	install -d "$ROOT/preflight"
	said=$(engine run --detach --name "$PREFLIGHT" --log-driver none --publish "127.0.0.1::$1" \
		"${FLAGS[@]}" "${COMMAND[0]}" httpd -f -p "$1" 2>&1 >/dev/null) ||
		fail "preflight: the container cannot be connected: $(engine_error <<<"$said")"
	api GET "/containers/$PREFLIGHT/json"
	address=127.0.0.1:$(jq -r --arg port "$1/tcp" '.NetworkSettings.Ports[$port][0].HostPort' <<<"$BODY")
	# Any answer will do.
	said=$(curl -sS --noproxy '*' --retry 5 --retry-delay 1 --retry-all-errors --max-time 5 -o "$DIR/answer" "http://$address/" 2>&1) ||
		fail "preflight: the container is not reached through the port that the engine publishes, $address: $said; look at iptables, userland-proxy and bridge in /etc/docker/daemon.json"
	clear_preflight
}

# report_failure CAUSE LOG [ENDED] fails with the new gateway's log. The last line of a gateway that
# ended usually says why, so it joins the cause.
report_failure() {
	local cause=$1
	if [ -n "${3:-}" ]; then
		cause+=": $(grep -v '^[[:space:]]*$' <<<"$2" | tail -n 1 | cut -c 1-300 || true)"
	fi
	fail "${cause%: }" "last log lines of the new gateway" "$2"
}

preflight_failed() {
	report_failure "preflight: $1" "$(engine logs --tail "$LOG_LINES" "$PREFLIGHT" 2>&1 || true)" "${2:-}"
}

# gateway_log prints the last lines of the new gateway since it was started.
gateway_log() {
	timeout 10 journalctl --sync 2>/dev/null || true
	timeout 10 journalctl -t clawft --since "@$logged_since" -o cat -n 1000 |
		awk -v start="starting release $new" '$0 == start { found = 1; next } found' | tail -n "$LOG_LINES" || true
}

swapped_failed() { report_failure "$1" "$(gateway_log)" "${2:-}"; }

swap() {
	local started
	say "swapping ${old:-nothing} for $new"
	ensure_proxy
	held_at=$(now)
	close_gate "$(request drain)" || say "requests still under way after $(request drain) s: the gateway finishes or cuts them as it stops"
	started=$(now)
	logged_since=$((started / 1000 - 1))
	install_unit clawft.service || fail "the unit $UNITS/clawft.service is not ours"
	echo "$old" >"$PENDING.new"
	sync "$PENDING.new"
	mv "$PENDING.new" "$PENDING"
	swapped=yes
	point current "$new"
	sync "$ROOT"
	start_gateway
	await_gateway "$(request version)" "$(request healthTimeout)" || swapped_failed "after the swap: $CAUSE" "$ENDED"
	open_gate
	swap_ms=$(($(now) - started)) held_ms=$(($(now) - held_at))
}

# watch catches a gateway that is healthy at first: same container, never restarted, healthy throughout.
watch() {
	local started deadline first state
	started=$(now)
	deadline=$((started + $(request watch) * 1000))
	first=$(container || true)
	say "watching for $(request watch) s"
	while :; do
		if gateway_down; then swapped_failed "while watched: $CAUSE" ended; fi
		[ "$(container || true)" = "$first" ] || swapped_failed "while watched: the gateway was started again"
		state=0
		gateway_health "$(request version)" "$GATEWAY_PORT" || state=$?
		case $state in
		1)
			# The unit notices a moment after the connection broke that the gateway ended, and how.
			sleep 1
			if gateway_down; then swapped_failed "while watched: $CAUSE" ended; fi
			swapped_failed "while watched: the gateway is not healthy any more: $ANSWER"
			;;
		2) swapped_failed "while watched: /api/health reports version $REPORTED" ;;
		esac
		[ "$(now)" -lt $deadline ] || break
		sleep 0.5
	done
	watch_ms=$(($(now) - started))
}

# commit makes the new release the one to keep.
commit() {
	systemctl is-enabled --quiet clawft.service || systemctl enable --quiet clawft.service
	rm -f "$PENDING"
	sync "$ROOT"
	swapped=''
	if [ -n "$old" ] && [ "$old" != "$new" ]; then point previous "$old"; fi
}

report() {
	local image
	image=$(request image)
	say "timing pull=$(seconds $pull_ms) preflight=$(seconds $preflight_ms) swap=$(seconds $swap_ms) watch=$(seconds $watch_ms) held=$(seconds $held_ms)"
	say "deployed $old_image -> $image version $(request version)"
}

main() {
	local owner
	# Whatever ends the script by surprise, a full disk for one, goes back like any other failure.
	trap 'fail "the deployment script stopped at: $BASH_COMMAND"' EXIT
	: >"$DIR/secrets"
	if ! lock 5; then
		say "another deployment is under way: waiting for it"
		lock 3600 || refuse "another deployment was still under way after an hour"
	fi
	mapfile -t owner < <(jq -r '.owner | .id, .gateway, .stack, .takes[]' "$REQUEST")
	check_owner "${owner[@]}" || refuse "$REFUSED"
	# shellcheck disable=SC2034 # read by known_owner
	OWNERS=$(printf '%s\n' "${owner[0]}" "${owner[@]:3}" | sed 's|/.*||')
	engine version >/dev/null 2>&1 || refuse "the Docker engine does not answer: $(engine version 2>&1 | tail -n 1)"
	check_foreign
	if [ -f "$PENDING" ]; then
		say "an earlier deployment did not finish: going back to what ran before it"
		restore || say "what ran before is not healthy: $CAUSE"
	fi
	open_gate
	[ -d "$ROOT/data" ] || fail "$ROOT/data is missing: prepare the host first"

	old=$(linked current)
	if [ -n "$old" ]; then old_image=$(release_value "$old" IMAGE); fi
	collect_secrets
	local found
	found=$(surroundings)
	[ -z "$found" ] || fail "this machine cannot run the gateway: ${found//$'\n'/; }"
	check_signature
	stage
	if same_content; then
		# A renamed gateway or stack is the same owner's.
		mv "$ROOT/releases/$new/owner" "$ROOT/releases/$old/owner"
		sync "$ROOT/releases/$old"
		rm -rf "${ROOT:?}/releases/$new"
		new=$old
		if running_and_healthy; then
			say "unchanged"
			report
			finish 0
		fi
	fi
	pull
	check_platform
	preflight
	swap
	watch
	commit
	prune || say "could not remove everything that is no longer used"
	report
	finish 0
}

main
