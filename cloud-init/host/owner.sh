# shellcheck shell=bash
# Managed by clawft-infra: changes are overwritten.
# Whose what is on this host. It is sourced by common.sh, and a part of the bootstrap, which runs where
# nothing is installed yet: it needs LIB, ROOT and UNITS, and no program that a fresh host lacks.
# Nothing that is not ours is stopped, removed or overwritten: whatever does such a thing asks here first.
# Functions answer in variables of capital letters, which their callers read.
# shellcheck disable=SC2034

# In every file that the bootstrap installs.
readonly MARK='Managed by clawft-infra'

# owned_release prints the release that says whose this host is: the one that runs or, for as long as
# that one is not verified, the one before it.
owned_release() {
	local release
	if [ -f "$ROOT/pending" ]; then
		release=$(cat "$ROOT/pending")
	else
		release=$(readlink "$ROOT/current") || return 0
	fi
	release=${release##*/}
	if [ -n "$release" ] && [ -f "$ROOT/releases/$release/release.env" ]; then echo "$release"; fi
}

# owner_value RELEASE NAME reads one line of a release's owner record: OWNER, GATEWAY or STACK.
owner_value() {
	local value
	value=$(sed -n "s/^$2=//p" "$ROOT/releases/$1/owner" 2>/dev/null) || true
	echo "${value:-unknown}"
}

# check_owner ID GATEWAY STACK [TAKE…] lets pass the owner of this host, everybody where there is none,
# and who may take it: TAKE is the ID and gateway of who has it. Otherwise it returns 1; REFUSED says
# whose the host is, and what to do.
check_owner() {
	local id=$1 gateway=$2 stack=$3 release has runs of take
	shift 3
	release=$(owned_release)
	[ -n "$release" ] || return 0
	has=$(owner_value "$release" OWNER) runs=$(owner_value "$release" GATEWAY) of=$(owner_value "$release" STACK)
	for take in "$id/$gateway" "$@"; do
		[ "$take" != "$has/$runs" ] || return 0
	done
	REFUSED="this machine runs gateway $runs of stack $of (owner $has), and is not for gateway $gateway of stack $stack (owner $id)"
	if [ "$has" = "$id" ]; then
		REFUSED+=$'\n'"if $gateway is the new name of $runs, say so in clawft:hosts, at $gateway:"$'\n'"  was: $runs"
	fi
	REFUSED+=$'\n'"to take the machine over, with the gateway's data, say so in clawft:hosts, at $gateway:"$'\n'"  takeOver: $has/$runs"
	return 1
}

# own_file PATH tells whether a file is ours, or not there.
own_file() {
	[ -e "$1" ] || [ -L "$1" ] || return 0
	[ -f "$1" ] && [ ! -L "$1" ] && head -n 3 "$1" | grep -qF "$MARK"
}

# foreign_units prints what is not ours among the units that we install and start.
foreign_units() {
	local unit directory
	for unit in clawft.service clawft-proxy.service clawft-deploy@.service; do
		own_file "$UNITS/$unit" || echo "the unit $UNITS/$unit is not ours"
		for directory in /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system; do
			if [ -e "$directory/$unit" ] || [ -L "$directory/$unit" ]; then echo "the unit $directory/$unit is not ours"; fi
		done
	done
}

# foreign_files FILE… prints what is not ours where we put files: FILE are the names below LIB.
foreign_files() {
	local name found
	for name in "$@"; do
		own_file "$LIB/$name" || echo "$LIB/$name is not ours"
	done
	# What a gateway shall find may lie there before: the data.
	if [ ! -f "$ROOT/README" ] || ! own_file "$ROOT/README"; then
		found=$(find "$ROOT" -mindepth 1 -path "$ROOT/data" -prune -o -not -type d -print -quit 2>/dev/null) || true
		[ -z "$found" ] || echo "$ROOT is not ours: there is $found"
	fi
}
