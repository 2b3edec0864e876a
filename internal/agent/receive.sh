#!/bin/bash
# Takes clawft-host over SSH: all that runs on a host and is not part of it.
#
#   have SOURCE             says yes where it is there, and else for which architecture it is needed
#   copy SOURCE SHA256      says yes where another source made the same program, which it takes
#   receive SOURCE SHA256   takes it from what follows this script on standard input, compressed
set -euo pipefail

readonly LIB=/usr/local/lib/clawft

fail() {
	echo "$*" >&2
	exit 1
}

have() {
	if [ -x "$PROGRAM" ]; then
		echo yes
		return
	fi
	case $(uname -m) in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) uname -m ;;
	esac
}

copy() {
	local other
	for other in "$LIB"/*/clawft-host; do
		if is "$1" "$other"; then
			beside
			cp "$other" "$new"
			put
			echo yes
			return
		fi
	done
	echo no
}

receive() {
	beside
	gzip -d >"$new" || fail "clawft-host did not arrive whole; $LIB: $(df -h --output=source,avail "$LIB" | tail -n 1) left"
	is "$1" "$new" || fail "what arrived as clawft-host is something else"
	put
}

is() { sha256sum --check --status <<<"$1  $2" 2>/dev/null; }

beside() {
	if ! mkdir -p "$DIRECTORY" || ! new=$(mktemp "$DIRECTORY/.new.XXXXXXXX"); then
		fail "$DIRECTORY cannot be written: free some space, or mount it writable ($(findmnt -no TARGET,OPTIONS -T /usr/local/lib))"
	fi
	trap 'rm -f "$new"' EXIT
}

# put gives what is in $new the program's name, in one step, once all of it is on the disk.
put() {
	chmod 0755 "$new"
	sync "$new"
	mv -f "$new" "$PROGRAM"
	sync "$DIRECTORY"
}

readonly DIRECTORY=$LIB/$2
readonly PROGRAM=$DIRECTORY/clawft-host
"$1" "${3:-}"; exit
