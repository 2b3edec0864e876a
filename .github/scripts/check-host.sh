# shellcheck shell=bash disable=SC2154
# The part of check-hosts.sh that runs on a host. image, version and sums come
# before it on the same standard input.
wrong=0
differs() {
  echo "$1"
  wrong=1
}

for unit in clawft clawft-proxy; do
  state=$(systemctl is-active "$unit" || true)
  [[ $state == active ]] || differs "$unit.service is $state"
  state=$(systemctl is-enabled "$unit" || true)
  [[ $state == enabled ]] || differs "$unit.service is $state and would not start after a reboot"
done

runs=$(docker inspect --format '{{.Config.Image}}' clawft 2>/dev/null || echo nothing)
[[ $runs == "$image" ]] || differs "$runs runs, and the stack deployed $image"
next=$(sed -n 's/^IMAGE=//p' /opt/clawft/current/release.env 2>/dev/null)
[[ $next == "$image" ]] || differs "${next:-nothing} would run after a restart, and the stack deployed $image"

health=$(curl --silent --max-time 10 http://127.0.0.1:8080/api/health || echo nothing)
[[ $(jq -r .status 2>/dev/null <<<"$health") == ok ]] || differs "/api/health answers: $health"
[[ $(jq -r .version 2>/dev/null <<<"$health") == "$version" ]] || differs "version $version was deployed, and /api/health answers: $health"

[[ ! -e /run/clawft/hold && ! -e /opt/clawft/pending ]] || differs "a deployment is under way, or ended halfway"
changed=$(sums | sha256sum --check --quiet 2>/dev/null | sed 's/: FAILED.*//' || true)
for file in $changed; do differs "$file is not what this repository puts there"; done

[[ $wrong == 0 ]] || exit 1
echo "$image, healthy, as deployed"
