#!/bin/bash
# Prepares a host for the gateway: packages, directories, scripts, units, the proxy. It may run any
# number of times, over SSH; it changes only what differs and ends with one line that says what it
# changed. Its arguments are those of check_owner: whose host it shall be.
#
# It never upgrades or restarts a Docker engine, and leaves a Caddy that is already there alone.
set -euo pipefail

readonly LIB=/usr/local/lib/clawft
readonly ROOT=/opt/clawft
readonly RUN=/run/clawft
readonly UNITS=/etc/systemd/system
# The image's user. It is a number because the host need not know it.
readonly OWNER=10001:10001
# Of the key that signs Caddy's own package repository, used where the distribution has no caddy.
readonly CADDY_KEY=65760C51EDEA2017CEA2CA15155B6D79CA56EA34
readonly CADDY_REPOSITORY=https://dl.cloudsmith.io/public/caddy/stable

. /usr/local/lib/clawft/owner.sh

changed=()

die() {
	echo "bootstrap failed: $*" >&2
	exit 1
}

# quietly runs a command and shows its output only when it fails.
quietly() {
	local said
	if ! said=$("$@" 2>&1); then
		tail -n 20 <<<"$said" >&2
		return 1
	fi
}

check_host() {
	[ "$EUID" = 0 ] || die "it needs root: run it as root or with sudo"
	[ -d /run/systemd/system ] || die "systemd does not run here"
	case $(uname -m) in
	x86_64 | aarch64) ;;
	*) die "$(uname -m) is not supported; x86_64 (amd64) and aarch64 (arm64) are" ;;
	esac
	local ID='' VERSION_ID='' PRETTY_NAME=unknown
	. /etc/os-release
	case $ID in
	debian) [ "${VERSION_ID%%.*}" -ge 12 ] ;;
	ubuntu) [ "${VERSION_ID%%.*}" -ge 22 ] ;;
	*) false ;;
	esac || die "$PRETTY_NAME is not supported; Debian 12 and Ubuntu 22.04 or newer are"
}

# check_ours stops at what is somebody else's, before anything is changed.
check_ours() {
	local names=(HOST_FILE_NAMES) found
	[ $# -ge 3 ] || die "whose host is it? want OWNER GATEWAY STACK [TAKE…]"
	check_owner "$@" || die "$REFUSED"
	found=$(foreign_files "${names[@]}" && foreign_units)
	[ -z "$found" ] || die "$found"$'\n'"it would be overwritten: move it out of the way, or use another machine"
}

# apt_get waits for whoever else installs packages, as a fresh server does by itself.
apt_get() {
	local attempt said
	for attempt in 1 2 3 4 5 6; do
		# needrestart would restart services, a running engine among them.
		if said=$(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
			apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" 2>&1); then
			return
		fi
		echo "apt-get $1 failed, attempt $attempt: $(tail -n 1 <<<"$said")" >&2
		sleep $((attempt * 5))
	done
	tail -n 20 <<<"$said" >&2
	die "apt-get $* does not succeed"
}

available() { [ -n "$(apt-cache search --names-only "^$1\$")" ]; }

missing_packages() {
	command -v docker >/dev/null || echo docker.io
	command -v jq >/dev/null || echo jq
	command -v curl >/dev/null || echo curl
	command -v ss >/dev/null || echo iproute2
	command -v openssl >/dev/null || echo openssl
	[ -x /usr/bin/caddy ] || echo caddy
	[ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
	# The launcher's shell runs in every image, so it must be a static one.
	[ -x /usr/bin/busybox ] && ! ldd /usr/bin/busybox >/dev/null 2>&1 || echo busybox-static
	# Where the kernel has AppArmor, an engine without its parser starts no container.
	if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then
		[ -x /sbin/apparmor_parser ] || echo apparmor
	fi
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages)
	[ ${#missing[@]} -gt 0 ] || return 0
	# A run that was cut short may have left packages half installed.
	quietly env DEBIAN_FRONTEND=noninteractive dpkg --configure -a || die "dpkg --configure -a does not succeed"
	apt_get update
	if [[ " ${missing[*]} " == *" docker.io "* ]] && available docker-cli; then
		missing+=(docker-cli)
	fi
	if [[ " ${missing[*]} " == *" caddy "* ]]; then
		# The package would start a web server on port 80 at once. Our unit is another one.
		quietly systemctl mask caddy.service
		available caddy || add_caddy_repository
	fi
	apt_get install --no-install-recommends --no-upgrade "${missing[@]}"
	changed+=("packages ${missing[*]}")
}

add_caddy_repository() {
	apt_get install --no-install-recommends --no-upgrade curl ca-certificates gpg
	local work found
	work=$(mktemp -d)
	curl -fsSL --retry 3 -o "$work/key" "$CADDY_REPOSITORY/gpg.key" || die "cannot fetch $CADDY_REPOSITORY/gpg.key"
	found=$(gpg --batch --homedir "$work" --show-keys --with-colons "$work/key" 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
	[ "$found" = "$CADDY_KEY" ] || die "the key of $CADDY_REPOSITORY is ${found:-none}, not $CADDY_KEY"
	gpg --batch --homedir "$work" --yes --dearmor -o /usr/share/keyrings/caddy-stable.gpg "$work/key"
	chmod 0644 /usr/share/keyrings/caddy-stable.gpg
	rm -rf "$work"
	echo "deb [signed-by=/usr/share/keyrings/caddy-stable.gpg] $CADDY_REPOSITORY/deb/debian any-version main" \
		>/etc/apt/sources.list.d/caddy-stable.list
	apt_get update
}

check_tools() {
	[ -x /usr/bin/docker ] || die "docker is at $(command -v docker), the units need it at /usr/bin/docker"
	quietly timeout 120 docker version || {
		quietly systemctl start docker.service && quietly timeout 120 docker version
	} || die "the Docker engine does not answer"
}

# directory PATH MODE [OWNER] makes a directory; an existing one keeps its content.
directory() {
	if [ "$(stat -L -c '%a %u:%g' "$1" 2>/dev/null)" != "${2#0} ${3:-0:0}" ]; then
		install -d -m "$2" -o "${3%:*}" -g "${3#*:}" "$1"
		changed+=("$1")
	fi
}

# file PATH MODE puts standard input into place, in one step, if it differs.
file() {
	local new=$1.new
	cat >"$new"
	chmod "$2" "$new"
	if cmp -s "$new" "$1" && [ "$(stat -c %a "$1")" = "${2#0}" ]; then
		rm -f "$new"
	else
		mv "$new" "$1"
		changed+=("${1##*/}")
	fi
}

# host_files puts the scripts, units and the proxy's config into place.
host_files() {
	: HOST_FILES
}

# since UNIT PROPERTY prints since when, in seconds since 1970.
since() { date -d "$(systemctl show -p "$2" --value "$1")" +%s; }

start_proxy() {
	local unit=clawft-proxy.service what=''
	quietly caddy validate --config "$LIB/Caddyfile" --adapter caddyfile || die "caddy refuses $LIB/Caddyfile"
	systemctl is-enabled --quiet $unit || quietly systemctl enable $unit
	if ! systemctl is-active --quiet $unit; then
		what=start
	elif [ "$(stat -c %Y "$UNITS/$unit")" -gt "$(since $unit ActiveEnterTimestamp)" ]; then
		what=restart
	elif [ "$(stat -c %Y "$LIB/Caddyfile")" -gt "$(since $unit StateChangeTimestamp)" ]; then
		what=reload
	fi
	[ -n "$what" ] || return 0
	# Not in the middle of a deployment: requests that it holds would be lost.
	exec 9>>"$RUN/lock"
	flock -w 3600 9 || die "a deployment was still under way after an hour"
	quietly timeout 60 systemctl $what $unit || die "clawft-proxy.service does not $what; see: journalctl -u clawft-proxy"
	exec 9>&-
	changed+=("proxy ${what}ed")
}

main() {
	umask 022
	check_host
	check_ours "$@"
	install -d -m 0755 "$RUN"
	exec 8>>"$RUN/bootstrap.lock"
	flock -w 1800 8 || die "another bootstrap was still under way after half an hour"
	install_packages
	check_tools
	directory "$LIB" 0755 0:0
	directory "$ROOT" 0755 0:0
	directory "$ROOT/releases" 0700 0:0
	directory "$ROOT/data" 0750 "$OWNER"
	file "$ROOT/README" 0644 <<-END
		$MARK: changes are overwritten.
		data is the gateway's; everything else comes with a deployment and goes with it.
		current/owner says whose this host is.
	END
	host_files
	# The gateway's unit comes with the first deployment; a changed one is used from the next start on.
	local unit reload=''
	for unit in clawft.service clawft-proxy.service clawft-deploy@.service; do
		[ "$unit" != clawft.service ] || [ -e "$UNITS/$unit" ] || continue
		cmp -s "$LIB/$unit" "$UNITS/$unit" && continue
		install -m 0644 "$LIB/$unit" "$UNITS/$unit"
		reload=yes
	done
	[ -z "$reload" ] || systemctl daemon-reload
	start_proxy
	if [ ${#changed[@]} -eq 0 ]; then
		echo "bootstrap: nothing to change"
	else
		local list
		list=$(printf ', %s' "${changed[@]}")
		echo "bootstrap: changed ${list:2}"
	fi
}

# Nothing runs before all of it was read, and nothing that runs can read the rest from a pipe.
main "$@" </dev/null
