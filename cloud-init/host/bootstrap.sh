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
# How long, in seconds, the work on packages may take, waiting for others included.
readonly PATIENCE=900
# What keeps others from working on packages at the same time.
readonly LOCKS=(/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock)
# In MiB, what the packages take.
readonly PACKAGES_ROOM=600
# 2026-01-01: a clock before it is wrong, and no certificate is valid yet.
readonly EPOCH=1767225600
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
	[ "$(date +%s)" -gt $EPOCH ] || die "the clock says $(date -u): set it (timedatectl set-ntp true)"
	local directory
	for directory in /usr/local/lib /etc/systemd/system /opt; do
		[ -w $directory ] || die "$directory cannot be written: it is on $(findmnt -no FSTYPE,OPTIONS -T $directory); mount it writable"
	done
}

# check_ours stops at what is somebody else's, before anything is changed.
check_ours() {
	local names=(HOST_FILE_NAMES) found
	[ $# -ge 3 ] || die "whose host is it? want OWNER GATEWAY STACK [TAKE…]"
	check_owner "$@" || die "$REFUSED"
	found=$(foreign_files "${names[@]}"; foreign_units)
	[ -z "$found" ] || die "$found"$'\n'"it would be overwritten: move it out of the way, or use another machine"
}

# lock_holders prints who has the locks of the package system open.
lock_holders() {
	local lock directory pid match=()
	for lock in "${LOCKS[@]}"; do match+=(-o -lname "$lock"); done
	# Processes come and go meanwhile.
	{ find /proc/[0-9]*/fd -maxdepth 1 \( "${match[@]:1}" \) -printf '%h\n' 2>/dev/null || true; } | sort -u | while read -r directory; do
		pid=${directory//[^0-9]/}
		echo "process $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-80))"
	done
}

# patiently ATTEMPTS COMMAND… repeats what works on packages: for as long as somebody else does so, within
# PATIENCE, and otherwise up to ATTEMPTS times. SAID is what the last attempt printed.
patiently() {
	local attempts=$1 attempt=1 waited=0 holders told=-60
	shift
	# needrestart would restart services, a running engine among them.
	until SAID=$(LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 "$@" 2>&1); do
		holders=$(lock_holders | paste -sd ',' | sed 's/,/, /g')
		if [ -n "$holders" ]; then
			[ $SECONDS -lt $PATIENCE ] || die "$1 $2 could not begin within $((PATIENCE / 60)) minutes: packages are being changed by $holders"
			if [ $SECONDS -ge $((told + 30)) ]; then
				echo "waiting for $holders, up to $((PATIENCE / 60)) minutes in all: $((SECONDS / 60)) are over" >&2
				told=$SECONDS
			fi
			# One may end between the attempt and the look at who it is.
			waited=1
			sleep 2
			continue
		fi
		if [ $attempt -ge $((attempts + waited)) ] || [ $SECONDS -ge $PATIENCE ]; then return 1; fi
		echo "$1 $2 failed, attempt $attempt: $(tail -n 1 <<<"$SAID")" >&2
		sleep $((attempt * 5))
		attempt=$((attempt + 1))
	done
}

readonly APT=(apt-get -q -y -o DPkg::Lock::Timeout=5 -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
# Nothing is upgraded, and nothing of somebody's is removed.
readonly INSTALL=(install --no-install-recommends --no-upgrade --no-remove)

# refresh PACKAGE… reads the sources anew. One that is dead, of which nothing is needed, is only named.
refresh() {
	local attempt update simulated
	for attempt in 1 2 3 4 5; do
		patiently 1 "${APT[@]}" update || true
		update=$(grep -E '^(E|W):' <<<"$SAID") || true
		if patiently 1 "${APT[@]}" --simulate "${INSTALL[@]}" "$@"; then
			[ -z "$update" ] || printf 'warning: not every source of packages can be read; what is needed can be had all the same:\n%s\n' "$update" >&2
			return
		fi
		simulated=$SAID
		# Where every source was read, another attempt finds nothing else.
		if [ -z "$update" ] || [ $SECONDS -ge $PATIENCE ]; then break; fi
		echo "packages are missing, attempt $attempt: $(head -n 1 <<<"$update")" >&2
		sleep $((attempt * 5))
	done
	printf '%s\n' "$update" "$simulated" | tail -n 30 >&2
	die "apt-get cannot install $*$(held "$@")$([ -z "$update" ] || echo "; sources that cannot be read are named above")"
}

# held PACKAGE… says which of them somebody keeps as they are.
held() {
	local found
	found=$(apt-mark showhold "$@" 2>/dev/null | paste -sd ' ') || true
	[ -z "$found" ] || echo "; on hold: $found (apt-mark unhold $found)"
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

# half_installed prints the packages that a run which was cut short has left unfinished.
half_installed() {
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' docker.io jq curl iproute2 openssl caddy ca-certificates busybox-static apparmor 2>/dev/null |
		sed -n 's/^\(unpacked\|half-installed\|half-configured\|triggers-awaited\) //p'
}

# check_docker refuses what calls itself docker and is not the engine, before another one is put beside it.
check_docker() {
	local path owner
	path=$(command -v docker || ls /snap/bin/docker 2>/dev/null) || return 0
	case $(readlink -f "$path") in
	/snap/* | /usr/bin/snap) die "docker is a snap here, which sees nothing of /opt: remove it (snap remove docker), and the bootstrap installs the distribution's" ;;
	esac
	owner=$(dpkg-query -S "$(readlink -f "$path")" 2>/dev/null) || true
	case $owner in podman*) die "docker is Podman's here (package ${owner%%:*}): remove it (apt-get remove ${owner%%:*}), and the bootstrap installs Docker" ;; esac
	[ -x /usr/bin/docker ] || die "docker is at $path, the units need it at /usr/bin/docker"
}

# check_room names what keeps packages from being installed.
check_room() {
	local directory free
	for directory in /usr /var/lib/dpkg /var/cache/apt /etc; do
		[ -w $directory ] || die "$directory cannot be written, and packages are missing ($*): it is on $(findmnt -no FSTYPE,OPTIONS -T $directory); mount it writable, or install them another way"
		free=$(df --output=avail -BM $directory | tail -n 1)
		free=${free//[^0-9]/}
		[ "$free" -ge $PACKAGES_ROOM ] || [[ $directory != /usr && $directory != /var/* ]] ||
			die "the file system of $directory has $free MiB left, and packages are missing ($*): free some, $PACKAGES_ROOM MiB at least"
	done
}

install_packages() {
	local missing half
	check_docker
	mapfile -t missing < <(missing_packages)
	mapfile -t half < <(half_installed)
	[ $((${#missing[@]} + ${#half[@]})) -gt 0 ] || return 0
	check_room "${missing[@]}" "${half[@]}"
	patiently 3 dpkg --configure -a || printf 'warning: dpkg --configure -a does not succeed; going on:\n%s\n' "$(tail -n 10 <<<"$SAID")" >&2
	if [ ${#missing[@]} -gt 0 ]; then
		local wanted=() package
		for package in "${missing[@]}"; do [ "$package" = caddy ] || wanted+=("$package"); done
		refresh "${wanted[@]}"
		if [[ " ${missing[*]} " == *" docker.io "* ]] && available docker-cli; then wanted+=(docker-cli); fi
		if [[ " ${missing[*]} " == *" caddy "* ]]; then
			# The package would start a web server on port 80 at once. Our unit is another one.
			quietly systemctl mask caddy.service
			available caddy || add_caddy_repository
			wanted+=(caddy)
		fi
		patiently 5 "${APT[@]}" "${INSTALL[@]}" "${wanted[@]}" || {
			tail -n 30 <<<"$SAID" >&2
			# Somebody else's package that cannot be configured fails every run, and hurts nobody here.
			[ -z "$(missing_packages)" ] || die "apt-get cannot install ${wanted[*]}$(held "${wanted[@]}")"
			echo "warning: apt-get did not succeed, but what is needed is there; going on" >&2
		}
	fi
	local unfinished
	unfinished=$(half_installed | paste -sd ' ')
	[ -z "$unfinished" ] || die "packages are unfinished: $unfinished; see: dpkg --configure -a"
	changed+=("packages $(printf '%s\n' "${missing[@]}" "${half[@]}" | sort -u | xargs)")
}

add_caddy_repository() {
	patiently 5 "${APT[@]}" "${INSTALL[@]}" curl ca-certificates gpg || die "apt-get cannot install gpg: $(tail -n 1 <<<"$SAID")"
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
	refresh caddy
}

check_engine() {
	quietly timeout 120 docker version || {
		quietly systemctl start docker.service && quietly timeout 120 docker version
	} || die "the Docker engine does not answer, and docker.service does not start; see: journalctl -u docker"
}

# check_surroundings comes before anything but the scripts themselves is in place.
check_surroundings() {
	local found
	# In a shell of its own, for both name the same things.
	# shellcheck disable=SC2016
	found=$(bash -c 'set -euo pipefail; . "$0/common.sh"; . "$0/surroundings.sh"; surroundings' "$LIB") || die "looking at the machine did not succeed"
	[ -z "$found" ] || die "this machine cannot run the gateway:"$'\n'"  ${found//$'\n'/$'\n'  }"
}

# reserve_id keeps the id of the gateway's files from being given to somebody later.
reserve_id() {
	if ! getent group 10001 >/dev/null; then
		quietly groupadd --system --gid 10001 clawft-gateway || die "group clawft-gateway (10001) cannot be made"
		changed+=("group clawft-gateway")
	fi
	if ! getent passwd 10001 >/dev/null; then
		quietly useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin clawft-gateway ||
			die "user clawft-gateway (10001) cannot be made"
		changed+=("user clawft-gateway")
	fi
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
	quietly /usr/bin/caddy validate --config "$LIB/Caddyfile" --adapter caddyfile ||
		die "/usr/bin/caddy, version $(/usr/bin/caddy version 2>/dev/null | cut -d ' ' -f 1), refuses $LIB/Caddyfile: 2.6 or newer is needed"
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
	if ! flock -n 9; then
		echo "a deployment is under way: waiting for it, up to an hour, before the proxy is ${what}ed" >&2
		flock -w 3600 9 || die "a deployment was still under way after an hour"
	fi
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
	if ! flock -n 8; then
		echo "another bootstrap is under way: waiting for it, up to $((PATIENCE / 60)) minutes" >&2
		flock -w $PATIENCE 8 || die "another bootstrap was still under way after $((PATIENCE / 60)) minutes"
	fi
	install_packages
	check_engine
	directory "$LIB" 0755 0:0
	host_files
	# Empty, it may be anybody's; what holds something is looked at below.
	if [ -d "$ROOT/data" ] && [ -z "$(ls -A -I lost+found "$ROOT/data")" ]; then directory "$ROOT/data" 0750 10001:10001; fi
	check_surroundings
	reserve_id
	directory "$ROOT" 0755 0:0
	directory "$ROOT/releases" 0700 0:0
	directory "$ROOT/data" 0750 10001:10001
	file "$ROOT/README" 0644 <<-END
		$MARK: changes are overwritten.
		data is the gateway's; everything else comes with a deployment and goes with it.
		current/owner says whose this host is.
	END
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
