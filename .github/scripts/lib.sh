# shellcheck shell=bash
# What the workflows' scripts share. It is sourced, never run.

# qualified STACK names a stack in the organization that the repository variable
# PULUMI_ORGANIZATION names; self-managed backends have none.
qualified() { printf '%s' "${PULUMI_ORGANIZATION:+$PULUMI_ORGANIZATION/}$1"; }

# exists STACK tells whether a stack was ever made. It ends the script if the
# backend gives no answer.
exists() {
  local said
  if said=$(pulumi stack select --non-interactive "$1" 2>&1); then return 0; fi
  if [[ $said == *"no stack named"* ]]; then return 1; fi
  echo "$said" >&2
  exit 1
}

# outputs STACK prints a stack's outputs as JSON.
outputs() { pulumi stack output --stack "$1" --json; }

# last_update STACK prints how the stack became what it is, as JSON: its last
# update or destruction, with the commit that it was done from. Prints null if
# there was none.
last_update() {
  pulumi stack history --stack "$1" --json --page-size 100 --page 1 |
    jq -c '[.[] | select(.kind == "update" or .kind == "destroy")][0] // null
      | if . == null then . else {kind, result, startTime,
          commit: (.environment["git.head"] // ""),
          dirty: (.environment["git.dirty"] == "true" and (.environment["ci.system"] // "") == "")} end'
}

# use_version STACK VERSION OUTPUTS [REVISION] sets the release that the program
# deploys. An empty version is the one that runs, with its revision, whatever the
# stack file says: a release does not commit to this repository.
use_version() {
  local version=$2 revision=${4:-0}
  if [[ -z $version ]]; then
    version=$(jq -r '.version // empty' <<<"$3")
    revision=${4:-$(jq -r '.revision // 0' <<<"$3")}
  fi
  if [[ -z $version ]]; then return 0; fi
  pulumi config set --stack "$1" clawft:version "$version"
  # Left alone where there is none and none is wanted.
  if [[ $revision != 0 ]] || pulumi config get --stack "$1" --path clawft:image.revision >/dev/null 2>&1; then
    pulumi config set --stack "$1" --path clawft:image.revision "$revision"
  fi
}
