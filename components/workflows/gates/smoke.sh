#!/usr/bin/env bash
# Starts an image of the gateway with the smallest configuration that works, and
# fails unless it becomes healthy, is the version that it should be, does not run
# as root, and stops by itself when told to.
#
#   smoke.sh IMAGE VERSION SECONDS
#
# SECONDS is how long the gateway has to become healthy.
set -euo pipefail

if (($# != 3)); then
  echo "usage: smoke.sh IMAGE VERSION SECONDS" >&2
  exit 2
fi
image=$1 version=$2 patience=$3
# The gateway gives itself 10 s to stop.
stop_timeout=15

work=$(mktemp -d)
chmod 755 "$work"
cat >"$work/config.json" <<'JSON'
{"agents":{"defaults":{"workspace":"~/.clawft/workspace"}},
 "gateway":{"host":"0.0.0.0","apiPort":8080,"apiEnabled":true}}
JSON
chmod 644 "$work/config.json"

container=""
cleanup() {
  if [[ -n $container ]]; then docker rm --force --volumes "$container" >/dev/null; fi
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  echo "::error::$1"
  echo "--- the container's log"
  docker logs --tail 100 "$container" 2>&1 || true
  exit 1
}

# Created before it is started, so that there is a container to show and to
# remove whatever happens. The configuration is copied in: a mount would need
# the engine on this machine's file system.
container=$(docker create --publish 127.0.0.1::8080 --env WEFTOS_NO_UPDATE_CHECK=1 \
  "$image" gateway --config /etc/clawft.json)
docker cp --quiet "$work/config.json" "$container:/etc/clawft.json" 2>/dev/null ||
  docker cp "$work/config.json" "$container:/etc/clawft.json" >/dev/null
docker start "$container" >/dev/null || fail "$image does not start"

address=""
health=""
deadline=$((SECONDS + patience))
until [[ $(jq -r .status 2>/dev/null <<<"$health") == ok ]]; do
  if [[ $(docker inspect --format '{{.State.Running}}' "$container") != true ]]; then
    fail "$image exited with code $(docker inspect --format '{{.State.ExitCode}}' "$container") instead of serving"
  fi
  if ((SECONDS >= deadline)); then
    fail "$image is not healthy after $patience s; /api/health last answered: ${health:-nothing}"
  fi
  sleep 0.5
  address=$(docker port "$container" 8080/tcp | head -n 1)
  health=$(curl --silent --fail --max-time 2 "http://$address/api/health" || true)
done
echo "healthy: $health"

answered=$(jq -r .version <<<"$health")
if [[ $answered != "$version" ]]; then
  fail "$image reports version $answered, and the workspace is at $version"
fi

if docker top "$container" -eo pid,uid | awk 'NR > 1 && $2 == 0 { found = 1 } END { exit !found }'; then
  fail "$image runs as root; its Dockerfile needs a USER"
fi

docker stop --time "$stop_timeout" "$container" >/dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
if [[ $code != 0 ]]; then
  fail "$image did not stop cleanly: exit code $code (137 means killed after $stop_timeout s: is STOPSIGNAL SIGINT set?)"
fi
echo "$image $version: healthy, not root, stopped cleanly"
