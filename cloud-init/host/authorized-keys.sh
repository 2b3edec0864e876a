#!/bin/bash
# Keeps the keys that log in to a host, in a block of its own among the login user's. Other lines stay
# as they are, but for those that it or the first boot has put there until the block is written.
#
#   keep      makes the block hold exactly the given keys, the one that logs in among them
#   admit     lets the key that logs in in, until the block is written
#   release   gives the block up: the key that logs in stays, as an ordinary line, and so does one that was
#             let in: after a change of keys that failed, it removes the gateway
#
# The arguments stand in the place of the next line: LOGIN_USER; BLOCK, whose keys these are; LOGIN, the
# key that logs in; KEYS, further ones; FIRST_BOOT, the key that a server was created with, or nothing.
# shellcheck disable=SC2154
set -euo pipefail
: ARGUMENTS

# The comment of lines that give way to the block.
readonly UNTIL='clawft-until-kept'

fail() {
	echo "keeping the login keys failed: $*" >&2
	exit 1
}

# find_home sets HOME_DIRECTORY and GROUP, also of users that are not in /etc/passwd.
find_home() {
	local entry
	entry=$(getent passwd "$LOGIN_USER") || fail "there is no user $LOGIN_USER"
	GROUP=$(cut -d: -f4 <<<"$entry")
	HOME_DIRECTORY=$(cut -d: -f6 <<<"$entry")
	[ -d "$HOME_DIRECTORY" ] || fail "the home directory of $LOGIN_USER, $HOME_DIRECTORY, is not there"
}

# find_file sets FILE to where sshd looks for the user's keys first. It is empty where sshd reads no file.
find_file() {
	local said first
	if ! said=$(PATH=$PATH:/usr/sbin:/usr/local/sbin sshd -T -C "user=$LOGIN_USER,host=localhost,addr=127.0.0.1" 2>/dev/null); then
		echo "warning: sshd does not say where it looks for keys; taking ~/.ssh/authorized_keys" >&2
		said='authorizedkeysfile .ssh/authorized_keys'
	fi
	first=$(awk '$1 == "authorizedkeysfile" { print $2; exit }' <<<"$said")
	FILE=''
	[ -n "$first" ] && [ "$first" != none ] || return 0
	first=${first//%%/$'\001'}
	first=${first//%h/$HOME_DIRECTORY}
	first=${first//%u/$LOGIN_USER}
	first=${first//%U/$(id -u "$LOGIN_USER")}
	first=${first//$'\001'/%}
	case $first in
	/*) FILE=$first ;;
	*) FILE=$HOME_DIRECTORY/$first ;;
	esac
	# What a link points to is replaced, not the link.
	if [ -L "$FILE" ]; then FILE=$(readlink -m "$FILE"); fi
}

# blob prints the part of a line that is the key itself.
blob() { awk '{ for (i = 1; i < NF; i++) if ($i ~ /^(ssh-|ecdsa-|sk-)/) { print $(i + 1); exit } }' <<<"$1"; }

# others prints the lines of the file that are neither in a block nor give way to one.
others() {
	[ -e "$FILE" ] || return 0
	awk -v word="$1" -v until="$UNTIL" -v boot="$(blob "$FIRST_BOOT")" '
		/^# BEGIN clawft / { inside = 1; next }
		/^# END clawft/ && inside { inside = 0; next }
		inside { held = held $0 "\n"; next }
		$NF == until && word != "release" { next }
		boot != "" && index(" " $0 " ", " " boot " ") { next }
		{ print }
		# A block without an end: what follows its beginning is not ours alone.
		END { if (inside) printf "%s", held }' "$FILE"
}

block() {
	echo "# BEGIN clawft $BLOCK: written by every pulumi up, from ssh.authorizedKeys and sshPrivateKey"
	printf '%s\n' "$LOGIN" "$KEYS" | sed '/^$/d'
	echo "# END clawft"
}

# in_file tells whether a key is among the lines on standard input.
in_file() { awk -v key="$(blob "$1")" 'index(" " $0 " ", " " key " ") { found = 1 } END { exit !found }'; }

# put makes standard input the file, in one step.
put() {
	local directory owner=root group=root mode=0644 new
	directory=$(dirname "$FILE")
	case $FILE in
	"$HOME_DIRECTORY"/*) owner=$LOGIN_USER group=$GROUP mode=0600 ;;
	esac
	if [ ! -d "$directory" ]; then
		install -d -m "$([ $mode = 0600 ] && echo 0700 || echo 0755)" -o "$owner" -g "$group" "$directory" || fail "$directory cannot be made"
	fi
	new=$(mktemp "$directory/.keys.XXXXXXXX") || fail "$directory cannot be written"
	# shellcheck disable=SC2064
	trap "rm -f '$new'" EXIT
	cat >"$new"
	if cmp -s "$new" "$FILE" && [ "$(stat -c '%U %#a' "$FILE")" = "$owner $mode" ]; then
		echo "login keys: nothing to change"
		return 0
	fi
	chown "$owner:$group" "$new"
	chmod "$mode" "$new"
	mv -T "$new" "$FILE" || fail "$FILE cannot be replaced"
	echo "login keys: changed $FILE"
}

main() {
	find_home
	find_file
	if [ -z "$FILE" ]; then
		[ -z "$KEYS" ] || fail "sshd reads keys from no file (AuthorizedKeysFile none); add them where it gets them from, and take them out of ssh.authorizedKeys"
		echo "login keys: sshd reads none from a file"
		return 0
	fi
	local found
	found=$(others "$1")
	case $1 in
	keep) { [ -z "$found" ] || printf '%s\n' "$found"; block; } | put ;;
	admit)
		[ ! -e "$FILE" ] || ! in_file "$LOGIN" <"$FILE" || return 0
		{ [ ! -e "$FILE" ] || awk 1 "$FILE"; echo "$LOGIN $UNTIL"; } | put
		;;
	release)
		# Who has the host now, keeps the keys.
		if ! grep -qsF "# BEGIN clawft $BLOCK:" "$FILE"; then return 0; fi
		{ [ -z "$found" ] || printf '%s\n' "$found"; in_file "$LOGIN" <<<"$found" || echo "$LOGIN"; } | put
		;;
	esac
}

main "$@" </dev/null
