package cloudinit

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed host/authorized-keys.sh
var authorizedKeysScript string

// The words that follow "bash -s --" for the script of AuthorizedKeys.
const (
	// KeepKeys makes the host accept the keys.
	KeepKeys = "keep"
	// AdmitKey makes the host accept Login until its keys are kept.
	AdmitKey = "admit"
	// ReleaseKeys leaves of the keys the one that logs in.
	ReleaseKeys = "release"
)

// untilKept is the comment of a key that is accepted until the host's keys are kept, as in the script.
const untilKept = "clawft-until-kept"

// AuthorizedKeysArgs says who logs in to a host. Keys are in OpenSSH's format, one line each.
type AuthorizedKeysArgs struct {
	// User is the login user, in whose authorized keys the script writes.
	User string
	// Block names whose keys these are, in a few characters without a space.
	Block string
	// Login is the public key with which the pipeline itself logs in.
	Login string
	// Keys are further public keys.
	Keys []string
	// FirstBoot is a public key that the host accepts because it was created with it; it is accepted no
	// longer, unless it is among the others. Empty for none.
	FirstBoot string
}

// AuthorizedKeys returns the script that keeps the keys of a host. It runs as root, as the standard input
// of bash, with a word that says what to do, and says in one line what it changed.
func AuthorizedKeys(a AuthorizedKeysArgs) string {
	var arguments strings.Builder
	for _, argument := range []struct{ name, value string }{
		{"LOGIN_USER", a.User},
		{"BLOCK", a.Block},
		{"LOGIN", strings.TrimSpace(a.Login)},
		{"KEYS", strings.Join(a.Keys, "\n")},
		{"FIRST_BOOT", strings.TrimSpace(a.FirstBoot)},
	} {
		fmt.Fprintf(&arguments, "readonly %s='%s'\n", argument.name, strings.ReplaceAll(argument.value, "'", `'\''`))
	}
	return strings.Replace(authorizedKeysScript, ": ARGUMENTS\n", arguments.String(), 1)
}
