#!/usr/bin/env bash
# Writes a file as the one comment that previews of a stack have on a pull
# request: the first time it is created, then edited.
#
#   comment.sh NUMBER STACK FILE
set -euo pipefail
number=$1 stack=$2 file=$3
marker="<!-- preview of $stack -->"
# GitHub refuses comments of more than 65536 characters.
limit=60000

if [[ ! -s $file ]]; then
  echo "## Preview of $stack" >"$file"
  echo "It failed before it began. See the run's log." >>"$file"
fi
body=$(mktemp)
trap 'rm -f "$body"' EXIT
jq -n --rawfile text "$file" --arg marker "$marker" --argjson limit "$limit" \
  '{body: ($marker + "\n" + ($text | if length > $limit then .[0:$limit] + "\n\n… the rest is in the run'\''s summary." else . end))}' >"$body"

comments=repos/$GITHUB_REPOSITORY/issues/$number/comments
id=$(gh api --paginate "$comments" --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id" | head -n 1)
if [[ -n $id ]]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" --input "$body"
else
  gh api --silent --method POST "$comments" --input "$body"
fi
