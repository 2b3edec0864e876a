#!/usr/bin/env bash
# Fails if an image is larger, as it travels to and from a registry, than it may be.
#
#   image-size.sh ARCHIVE 50MiB
#
# ARCHIVE is what `docker image save` writes. What counts is the configuration
# plus every layer, compressed; `docker image inspect` tells the size unpacked.
# Engines save layers either as the registry has them or unpacked. The latter are
# compressed here, as a push would.
set -euo pipefail

if (($# != 2)) || [[ ! $2 =~ ^([1-9][0-9]*)(KiB|MiB)$ ]]; then
  echo "usage: image-size.sh ARCHIVE LIMIT; a LIMIT is a number of KiB or MiB, such as 50MiB" >&2
  exit 2
fi
archive=$1 limit=$((BASH_REMATCH[1] * 1024))
if [[ ${BASH_REMATCH[2]} == MiB ]]; then limit=$((limit * 1024)); fi

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
tar -C "$unpacked" -xf "$archive"
count=$(jq length "$unpacked/manifest.json")
if ((count != 1)); then
  echo "::error::$archive holds $count images; save exactly one"
  exit 1
fi
config=$(jq -er '.[0].Config' "$unpacked/manifest.json")

size=$(wc -c <"$unpacked/$config")
while read -r layer; do
  # gzip's and zstd's first bytes
  case $(head -c 4 "$unpacked/$layer" | od -An -tx1 | tr -d ' \n') in
    1f8b* | 28b52ffd) bytes=$(wc -c <"$unpacked/$layer") ;;
    *) bytes=$(gzip --no-name --stdout "$unpacked/$layer" | wc -c) ;;
  esac
  awk -v bytes="$bytes" -v name="$layer" 'BEGIN { printf "%10.2f MiB  %s\n", bytes / 1048576, name }'
  size=$((size + bytes))
done < <(jq -er '.[0].Layers[]' "$unpacked/manifest.json")

measured=$(awk -v bytes="$size" 'BEGIN { printf "%.2f MiB (%d bytes)", bytes / 1048576, bytes }')
if ((size > limit)); then
  echo "::error::the image has $measured compressed, $((size - limit)) bytes more than the limit of $2"
  exit 1
fi
echo "the image has $measured compressed, within the limit of $2"
