#!/bin/sh
# Leaves the emulator $1 of Debian's packages in the working directory, under
# that name.
set -eu

# Absent or stale lists name no package, or one that the mirror has no more.
download() {
	apt-get download "$1" || { apt-get update && apt-get download "$1"; }
}

unpack() {
	dpkg-deb --fsys-tarfile "$1"_*.deb | tar --extract "./usr/bin/$2"
}

download qemu-user-static
unpack qemu-user-static "$1-static"
# From Debian 13 on that is a link to what another package has.
if [ ! -e "usr/bin/$1-static" ]; then
	download qemu-user
	unpack qemu-user "$1"
fi
cp "usr/bin/$1-static" "$1"
