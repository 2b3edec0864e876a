#!/bin/bash
# Waits until a host can be worked on, checks what the gateway needs, prints one line of facts.
set -euo pipefail

fail() {
	echo "host is not ready: $*" >&2
	exit 1
}

readonly CLOUD=/run/cloud-init
# How long, in seconds, a first boot may take.
readonly PATIENCE=900
# Of cloud-init's versions old and new, in the order in which they run.
readonly UNITS=(cloud-init-main cloud-init-local cloud-init cloud-init-network cloud-config cloud-final)

# under_way prints the units of cloud-init that run or wait for their turn.
under_way() {
	local line unit=''
	while read -r line; do
		case $line in
		Id=*) unit=${line#Id=} ;;
		# What waits for its turn has a job, and is inactive all the same.
		ActiveState=*activating | Job=[1-9]*) echo "$unit" ;;
		esac
	done < <(systemctl show -p Id,ActiveState,Job "${UNITS[@]/%/.service}")
}

# failed_units prints those of cloud-init that failed.
failed_units() {
	systemctl show -p Id,ActiveState "${UNITS[@]/%/.service}" |
		awk -F= '$1 == "Id" { unit = $2 } $1 == "ActiveState" && $2 == "failed" { print unit }'
}

# wait_for_cloud_init sets FIRST_BOOT to how the first boot ended. An error in it is shown, not fatal: the
# bootstrap that follows fails with the cause if it persists. What is switched off or masked is not waited
# for: it never ends. All this is read from cloud-init's files and systemd, for "cloud-init status" says it
# in words that differ from version to version, and waits for ever for what never starts.
wait_for_cloud_init() {
	local left told=-30 failed=''
	while [ ! -e $CLOUD/result.json ]; do
		left=$(under_way | sort -u | paste -sd ' ')
		if [ -z "$left" ]; then
			# It may have ended between the two looks.
			[ ! -e $CLOUD/result.json ] || break
			failed=$(failed_units | paste -sd ' ')
			if [ -n "$failed" ]; then
				FIRST_BOOT=error
				echo "warning: cloud-init did not end well: $failed failed; see: journalctl -u ${failed%% *}" >&2
			elif [ "$(systemctl show -p LoadState --value cloud-final.service)" = not-found ]; then
				FIRST_BOOT=none
			else
				FIRST_BOOT=not-run
				echo "cloud-init does not run on this machine (disabled or masked): not waiting for it" >&2
			fi
			return
		fi
		[ $SECONDS -lt $PATIENCE ] || fail "cloud-init is still running after $((PATIENCE / 60)) minutes: $left; see /var/log/cloud-init-output.log"
		if [ $SECONDS -ge $((told + 30)) ]; then
			echo "waiting for cloud-init, up to $((PATIENCE / 60)) minutes: $left" >&2
			told=$SECONDS
		fi
		sleep 1
	done
	FIRST_BOOT="done"
	# Neither jq nor python need be here yet: a list that is not empty has a quote after its bracket.
	if tr -d ' \n' <$CLOUD/result.json | grep '"errors":\["' >/dev/null; then
		FIRST_BOOT=error
	elif tr -d ' \n' <$CLOUD/status.json 2>/dev/null | grep '"recoverable_errors":{"' >/dev/null; then
		FIRST_BOOT=degraded
	fi
	if [ "$FIRST_BOOT" != "done" ]; then
		echo "warning: cloud-init ended with status $FIRST_BOOT:" >&2
		sed 's/^/  | /' $CLOUD/result.json >&2
		tail -n 5 /var/log/cloud-init-output.log 2>/dev/null | sed 's/^/  | /' >&2 || true
	fi
}

main() {
	local ID='' VERSION_ID='' PRETTY_NAME=unknown arch engine
	. /etc/os-release
	[ "$EUID" = 0 ] || fail "user $(id -un) is not root; connect as root or as a user with passwordless sudo"
	[ -d /run/systemd/system ] || fail "systemd does not run here"
	case $(uname -m) in
	x86_64) arch=amd64 ;;
	aarch64) arch=arm64 ;;
	*) fail "$(uname -m) is not supported; x86_64 (amd64) and aarch64 (arm64) are" ;;
	esac
	case $ID in
	debian) [ "${VERSION_ID%%.*}" -ge 12 ] ;;
	ubuntu) [ "${VERSION_ID%%.*}" -ge 22 ] ;;
	*) false ;;
	esac || fail "$PRETTY_NAME is not supported; Debian 12 and Ubuntu 22.04 or newer are"
	wait_for_cloud_init
	engine=$(timeout 30 docker version -f '{{.Server.Version}}' 2>/dev/null || echo none)
	echo "ready os=$ID-$VERSION_ID arch=$arch cloud-init=$FIRST_BOOT docker=$engine"
}

main </dev/null
