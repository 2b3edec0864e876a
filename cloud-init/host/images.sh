# shellcheck shell=bash
# Managed by clawft-infra: changes are overwritten.
# The images that deployments brought here. It is sourced, after common.sh.
#
# Each is listed by its digest before it is pulled, so that none is forgotten, however the pull ends.
# What was there before is somebody else's, and so is what somebody gave a tag or runs.

readonly IMAGES=$ROOT/images

# has_image IMAGE returns 1 when the engine does not have it.
has_image() {
	api GET "/images/$1/json"
	[ "$STATUS" = 200 ]
}

# remember_image IMAGE lists it, before it is pulled.
remember_image() {
	grep -qsFx "$1" "$IMAGES" && return
	printf '%s\n' "$1" >>"$IMAGES"
	sync "$IMAGES"
}

# prune_images removes the listed images that no release uses. It needs the lock.
prune_images() {
	local image
	[ -f "$IMAGES" ] || return 0
	while IFS= read -r image; do
		if grep -qsFx "IMAGE=$image" "$ROOT"/releases/*/release.env || ! remove_image "$image"; then
			printf '%s\n' "$image"
		fi
	done <"$IMAGES" >"$IMAGES.new"
	mv "$IMAGES.new" "$IMAGES"
	[ -s "$IMAGES" ] || rm "$IMAGES"
}

# remove_image IMAGE returns 1 when it has to be tried again.
remove_image() {
	local id
	case $1 in *@sha256:*) ;; *) return 0 ;; esac
	api GET "/images/$1/json"
	case $STATUS in
	200) ;;
	404) return 0 ;;
	*) return 1 ;;
	esac
	if [ "$(jq '[.RepoTags[]? | select(. != "<none>:<none>" and (contains("@") | not))] | length' <<<"$BODY")" != 0 ]; then return 0; fi
	id=$(jq -r .Id <<<"$BODY")
	api GET '/containers/json?all=1'
	[ "$STATUS" = 200 ] && jq -e --arg id "$id" 'all(.ImageID != $id)' <<<"$BODY" >/dev/null || return 1
	# The engine has the last word, about a container that was created meanwhile.
	api DELETE "/images/$1"
	[ "$STATUS" = 200 ] || [ "$STATUS" = 404 ]
}
