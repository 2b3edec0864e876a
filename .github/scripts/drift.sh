#!/usr/bin/env bash
# Fails if anything is not as a stack's last update left it: in a cloud, at
# GitHub, or on a host.
#
#   drift.sh STACK
#
# What should be there is what the commit says that was deployed; this checkout
# may be ahead of it. Credentials are those of now.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. .github/scripts/lib.sh

here=$PWD
work=$(mktemp -d)
trap 'git -C "$here" worktree remove --force "$work/deployed" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

name=$1 stack=$(qualified "$1")
if ! exists "$stack"; then
  echo "::notice::the stack $stack does not exist yet: nothing to compare"
  exit 0
fi

# check_out UPDATE has $work/deployed be what was deployed, with the tokens of
# now, and $registry tell whether one of the registry's is another. It ends the
# subshell if it cannot.
check_out() {
  local commit key value before
  commit=$(jq -r .commit <<<"$1")
  if [[ -z $commit ]]; then
    echo "::error::$name was not deployed from a git checkout, so nobody knows what should be there: release it from one"
    exit 1
  fi
  if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "::error::$name was deployed from $commit, which no branch and no tag of this repository has: release a commit that one has"
    exit 1
  fi
  if [[ $(jq -r .dirty <<<"$1") == true ]]; then
    echo "::warning::$name was deployed from $commit with changes that were not committed; they show as drift"
  fi
  git worktree remove --force "$work/deployed" >/dev/null 2>&1 || true
  git worktree add --quiet --detach "$work/deployed" "$commit"
  for key in hcloud:token github:token github:appAuth; do
    if value=$(pulumi config get --stack "$stack" "$key" 2>/dev/null); then
      pulumi config set --cwd "$work/deployed" --stack "$stack" --secret "$key" <<<"$value"
    else
      pulumi config rm --cwd "$work/deployed" --stack "$stack" "$key" 2>/dev/null || true
    fi
  done
  # Where there was none, there is nobody whose it would be.
  registry=false
  for key in clawft:registryPassword clawft:registryPullToken clawft:sourceToken; do
    value=$(pulumi config get --stack "$stack" "$key" 2>/dev/null) || continue
    before=$(pulumi config get --cwd "$work/deployed" --stack "$stack" "$key" 2>/dev/null) || continue
    if [[ $value != "$before" ]]; then
      pulumi config set --cwd "$work/deployed" --stack "$stack" --secret "$key" <<<"$value"
      registry=true
    fi
  done
  echo "$name was deployed from $commit"
}

# compare UPDATE OUTPUTS ends the subshell with 1 if something differs.
compare() {
  local failed=0 kind text
  check_out "$1"
  cd "$work/deployed"
  use_version "$stack" "" "$2"
  if ! pulumi preview --stack "$stack" --non-interactive --refresh --json >"$work/preview.json"; then
    jq -r '.diagnostics[]? | select(.severity == "error") | .message' "$work/preview.json" || true
    echo "::error::$name could not be compared: its preview failed"
    failed=1
  elif ! jq --null-input -r --argjson registry "$registry" -f "$here/.github/scripts/drift.jq" "$work/preview.json" >"$work/judged"; then
    echo "::error::$name could not be compared: its preview is not understood"
    failed=1
  else
    while IFS=$'\t' read -r kind text; do
      if [[ $kind == credential ]]; then
        echo "::notice::$name: $text. A rotated token is no drift; the next release records it"
      else
        echo "::error::$name has drifted: $text"
        failed=1
      fi
    done <"$work/judged"
    if ((failed)); then
      pulumi preview --stack "$stack" --non-interactive --refresh --diff || true
      echo "::error::pulumi up --refresh, from the commit above, puts it back"
    fi
  fi
  # A refresh asks clouds, and no cloud knows what runs on a machine.
  bash .github/scripts/check-hosts.sh "$stack" "$2" || failed=1
  exit "$failed"
}

# A release takes the stack's lock and this does not, so one can run meanwhile:
# what was found is then about a state that is gone.
for _ in 1 2 3; do
  update=$(last_update "$stack")
  outputs=$(outputs "$stack")
  case $(jq -r 'if . == null then "none" else "\(.kind) \(.result)" end' <<<"$update") in
  none)
    if [[ $outputs != "{}" ]]; then
      echo "::error::the stack $name has outputs, and its history has no update: release it, so that it is known what should be there"
      exit 1
    fi
    echo "::notice::with the stack $name nothing was deployed yet: nothing to compare"
    exit 0
    ;;
  "destroy succeeded")
    echo "::notice::the stack $name was destroyed: nothing to compare"
    exit 0
    ;;
  *" in-progress" | *" not-started")
    echo "::error::$name is being updated: nothing was compared; run this again when that has ended"
    exit 1
    ;;
  "update succeeded")
    # In a condition, errexit would not count in there.
    set +e
    (
      set -e
      compare "$update" "$outputs"
    )
    result=$?
    set -e
    ;;
  *)
    echo "::error::the last change of $name failed ($(jq -r '"\(.kind) of \(.startTime), from \(.commit)"' <<<"$update")), so it is not as anybody wants it: release it again"
    result=1
    ;;
  esac
  if [[ $(last_update "$stack") == "$update" ]]; then exit "$result"; fi
  echo "::notice::$name was updated meanwhile; comparing again"
done
echo "::error::$name was updated three times while it was compared; run this again"
exit 1
