#!/usr/bin/env bash
# Fails if a file is larger than it may be.
#
#   size.sh FILE raw=300KiB [gzip=120KiB]
#
# raw is the file as it is, gzip what gzip -9 makes of it. Limits are whole KiB
# or MiB and are compared byte by byte: a file of exactly the limit passes.
set -euo pipefail

if (($# < 2)); then
  echo "usage: size.sh FILE raw=LIMIT [gzip=LIMIT]; a LIMIT is a number of KiB or MiB, such as 300KiB" >&2
  exit 2
fi
file=$1
shift
if [[ ! -f $file ]]; then
  echo "::error::$file does not exist: was it built?"
  exit 1
fi

failed=0
for gate in "$@"; do
  if [[ ! $gate =~ ^(raw|gzip)=([1-9][0-9]*)(KiB|MiB)$ ]]; then
    echo "size.sh: $gate is no limit; give raw= or gzip= and a number of KiB or MiB, such as raw=300KiB" >&2
    exit 2
  fi
  form=${BASH_REMATCH[1]} limit=$((BASH_REMATCH[2] * 1024))
  if [[ ${BASH_REMATCH[3]} == MiB ]]; then limit=$((limit * 1024)); fi
  if [[ $form == raw ]]; then
    size=$(wc -c <"$file")
  else
    size=$(gzip -9 --no-name --stdout "$file" | wc -c)
  fi
  measured=$(awk -v bytes="$size" 'BEGIN { printf "%.1f KiB (%d bytes)", bytes / 1024, bytes }')
  if ((size > limit)); then
    echo "::error::$file ($form) has $measured, $((size - limit)) bytes more than the limit of ${gate#*=}"
    failed=1
  else
    echo "$file ($form) has $measured, within the limit of ${gate#*=}"
  fi
done
exit "$failed"
