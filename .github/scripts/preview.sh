#!/usr/bin/env bash
# Previews a stack, and writes what it found as Markdown.
#
#   preview.sh STACK OUTPUT
#
# It fails if the preview does.
set -euo pipefail
output=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. .github/scripts/lib.sh

name=$1 stack=$(qualified "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
result=$work/result.json

failed=0
if ! exists "$stack"; then
  echo '{"steps": [], "note": "this stack does not exist yet"}' >"$result"
elif ! { use_version "$stack" "" "$(outputs "$stack")" &&
  pulumi preview --stack "$stack" --non-interactive --json >"$result"; } 2>"$work/log"; then
  failed=1
  cat "$work/log" >&2
  # Without steps it ended before the engine could say anything.
  jq -e .steps "$result" >/dev/null 2>&1 ||
    jq -n --rawfile log "$work/log" '{steps: [], diagnostics: [{severity: "error", message: $log}]}' >"$result"
fi

{
  echo "## Preview of $name"
  echo
  jq -r --arg stack "$name" -f .github/scripts/preview-warning.jq "$result"
  jq -r --arg stack "$name" -f .github/scripts/preview.jq "$result"
} >"$output"
cat "$output" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
exit "$failed"
