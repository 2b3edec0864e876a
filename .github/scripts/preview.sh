#!/usr/bin/env bash
# Previews every stack that has a file here, and writes what it found as Markdown.
#
#   preview.sh OUTPUT
#
# It fails if a stack's preview does, after all of them were tried.
set -euo pipefail
output=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. .github/scripts/lib.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
for file in Pulumi.*.yaml; do
  name=${file#Pulumi.} name=${name%.yaml}
  # The lab's stack exists on one machine only.
  if [[ $name == lab ]]; then continue; fi
  stack=$(qualified "$name")
  result=$work/$name.json
  if ! exists "$stack"; then
    echo '{"steps": [], "note": "this stack does not exist yet"}' >"$result"
    continue
  fi
  if ! { use_version "$stack" "" "$(outputs "$stack")" &&
    pulumi preview --stack "$stack" --non-interactive --json >"$result"; } 2>"$work/$name.log"; then
    failed=1
    cat "$work/$name.log" >&2
    # Without steps it ended before the engine could say anything.
    jq -e .steps "$result" >/dev/null 2>&1 ||
      jq -n --rawfile log "$work/$name.log" '{steps: [], diagnostics: [{severity: "error", message: $log}]}' >"$result"
  fi
done

{
  echo "## Preview"
  echo
  for result in "$work"/*.json; do
    jq -r --arg stack "$(basename "$result" .json)" -f .github/scripts/preview-warning.jq "$result"
  done
  for result in "$work"/*.json; do
    jq -r --arg stack "$(basename "$result" .json)" -f .github/scripts/preview.jq "$result"
  done
} >"$output"
cat "$output" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
exit "$failed"
