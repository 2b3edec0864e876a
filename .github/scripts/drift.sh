#!/usr/bin/env bash
# Fails if anything is not as a stack left it: in a cloud, at GitHub, or on a host.
#
#   drift.sh STACK
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. .github/scripts/lib.sh

stack=$(qualified "$1")
if ! exists "$stack"; then
  echo "::notice::the stack $stack does not exist yet: nothing to compare"
  exit 0
fi
outputs=$(outputs "$stack")
if [[ $outputs == "{}" ]]; then
  echo "::notice::with the stack $stack nothing was deployed yet: nothing to compare"
  exit 0
fi
use_version "$stack" "" "$outputs"

failed=0
pulumi preview --stack "$stack" --non-interactive --refresh --expect-no-changes --diff || {
  echo "::error::$1 has drifted: see the preview above; pulumi up --refresh puts it back"
  failed=1
}
# A refresh asks clouds, and no cloud knows what runs on a machine.
bash .github/scripts/check-hosts.sh "$stack" "$outputs" || failed=1
exit "$failed"
