#!/usr/bin/env bash
# Fails unless every host runs what the stack says, from the files that this
# repository puts there.
#
#   check-hosts.sh STACK OUTPUTS
#
# OUTPUTS are the stack's, as JSON.
set -euo pipefail
stack=$1 outputs=$2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The key that the stack made or was given.
pulumi stack output --stack "$stack" --show-secrets sshPrivateKey >"$work/key" 2>/dev/null ||
  pulumi config get --stack "$stack" clawft:sshPrivateKey >"$work/key"
echo >>"$work/key"
chmod 600 "$work/key"

# What the bootstrap installs says so; it installs scripts that are run without their extension.
for file in cloud-init/host/*; do
  head -n 3 "$file" | grep -qF 'Managed by clawft-infra' || continue
  name=$(basename "$file")
  if [[ $(head -n 1 "$file") == '#!'* ]]; then name=${name%.sh}; fi
  sum=$(sha256sum <"$file")
  printf '%s  /usr/local/lib/clawft/%s\n' "${sum%% *}" "$name"
  if [[ $name == *.service ]]; then printf '%s  /etc/systemd/system/%s\n' "${sum%% *}" "$name"; fi
done >"$work/sums"

failed=0
version=$(jq -r .version <<<"$outputs")
while IFS=$'\t' read -r -u 3 name address port user key image; do
  printf '[%s]:%s %s\n' "$address" "$port" "$key" >"$work/known_hosts"
  # Privileges as the deployment has them.
  shell=bash
  if [[ $user != root ]]; then shell="sudo -n bash"; fi
  if {
    printf 'image=%q version=%q\n' "$image" "$version"
    printf 'sums() {\ncat <<"END"\n%s\nEND\n}\n' "$(cat "$work/sums")"
    cat .github/scripts/check-host.sh
  } | ssh -i "$work/key" -p "$port" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=20 \
    -o StrictHostKeyChecking=yes -o HostKeyAlias="[$address]:$port" \
    -o UserKnownHostsFile="$work/known_hosts" -o GlobalKnownHostsFile=/dev/null \
    "$user@$address" "$shell" >"$work/said" 2>&1; then
    echo "$name: $(tail -n 1 "$work/said")"
  else
    failed=1
    while IFS= read -r line; do echo "::error::$name: $line"; done <"$work/said"
  fi
done 3< <(jq -r '.gateways // {} | to_entries[] |
  [.key, .value.address, (.value.port // 22), .value.user, .value.hostKey, .value.image] | @tsv' <<<"$outputs")
exit "$failed"
