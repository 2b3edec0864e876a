#!/usr/bin/env bash
# Updates a stack and writes what it did to the run's summary.
#
#   release.sh STACK [VERSION [REVISION]]
#
# VERSION is the gateway's, with or without "v"; without it the one that runs stays.
# REVISION is that of a release that is built again on purpose.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. .github/scripts/lib.sh

stack=$(qualified "$1") version=${2:-}
version=${version#v} revision=${3:-}
number='(0|[1-9][0-9]*)'
if [[ -n $version && ! $version =~ ^$number\.$number\.$number(-[0-9A-Za-z.-]+)?$ ]]; then
  echo "::error::$version is no version of the gateway; give one such as 0.6.19 or 0.7.0-rc.1"
  exit 1
fi

if [[ ! $revision =~ ^([0-9]{1,4})?$ ]]; then
  echo "::error::$revision is no revision; give 1 for the first rebuild of a release, or nothing"
  exit 1
fi

if ! exists "$stack"; then
  echo "::error::there is no stack $stack; make it once by hand, with its secrets: README.md tells how"
  exit 1
fi
before=$(outputs "$stack")
use_version "$stack" "$version" "$before" "$revision"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! pulumi up --stack "$stack" --yes --non-interactive 2>&1 | tee "$log"; then
  # A file backend and Pulumi Cloud, in this order.
  if grep -qE 'the stack is currently locked|Another update is currently in progress' "$log"; then
    echo "::error::another update of $1 is under way, from another repository or machine; nothing was changed. Run this again when it has ended; if whoever ran it is dead: pulumi cancel --stack $stack"
  fi
  exit 1
fi
after=$(outputs "$stack")

# sizes REF prints the platforms of an image and what each has to be pulled.
sizes() {
  local repository=${1%@*} platform digest
  docker buildx imagetools inspect --raw "$1" |
    jq -r '.manifests[] | select(.platform.os != "unknown") | "\(.platform.os)/\(.platform.architecture) \(.digest)"' |
    while read -r platform digest; do
      docker buildx imagetools inspect --raw "$repository@$digest" |
        jq -r --arg platform "$platform" \
          '"| \($platform) | \([.config.size, .layers[].size] | add / 1048576 * 100 | round / 100) MiB compressed |"'
    done
}

{
  echo "## $1: $(jq -r .version <<<"$after")"
  echo
  echo "| | |"
  echo "| --- | --- |"
  echo "| version | $(jq -r '.version // "none"' <<<"$before") → $(jq -r .version <<<"$after") |"
  echo "| digest | \`$(jq -r .digest <<<"$after")\` |"
  # A table without sizes is no reason to call a deployment failed.
  sizes "$(jq -r .image <<<"$after")" || echo "| sizes | not to be had from the registry |"
  echo
  echo "| host | address | before | now |"
  echo "| --- | --- | --- | --- |"
  jq -r --argjson before "$before" '
    def short: if . == null then "nothing" else "`" + (split("@")[1] // .)[0:19] + "`" end;
    .gateways // {} | to_entries[] |
    "| \(.key) | \(.value.address) | \($before.gateways[.key].image | short) | \(.value.image | short) |"' <<<"$after"
} >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
