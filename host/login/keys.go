package login

import (
	"strings"

	"github.com/clawft/infra/host/document"
)

// keys are what a file of keys is to hold.
type keys struct{ document.Keys }

// block is what the file holds for these keys.
func (k keys) block() []string {
	lines := []string{"# BEGIN clawft " + k.Block + ": written by every pulumi up, from ssh.authorizedKeys and sshPrivateKey", k.Login}
	for _, line := range k.More {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return append(lines, "# END clawft")
}

// others are the lines of a file that are neither in a block nor give way to one, with those that were let in
// until it is written or without them.
func (k keys) others(lines []string, admitted bool) []string {
	var kept, held []string
	inside := false
	boot := blob(k.FirstBoot)
	for _, line := range lines {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "# BEGIN clawft "):
			// A block without an end: what followed its beginning is not ours alone.
			kept, held, inside = append(kept, held...), nil, true
		case inside && strings.HasPrefix(line, "# END clawft"):
			held, inside = nil, false
		case inside:
			held = append(held, line)
		case !admitted && len(fields) > 0 && fields[len(fields)-1] == document.UntilKept:
		case boot != "" && has(line, boot):
		default:
			kept = append(kept, line)
		}
	}
	return append(kept, held...)
}

// kept is the file with the block.
func (k keys) kept(lines []string) []string { return append(k.others(lines, false), k.block()...) }

// admitted is the file with the login key, until the block is written.
func (k keys) admitted(lines []string) []string {
	if accepts(lines, k.Login) {
		return lines
	}
	return append(lines, k.Login+" "+document.UntilKept)
}

// released is the file without the block: the login key stays, as an ordinary line. So does one that was let
// in: after a change of keys that failed, it removes the gateway. A file of which somebody else has the block
// stays as it is.
func (k keys) released(lines []string) []string {
	for _, line := range lines {
		if strings.HasPrefix(line, "# BEGIN clawft "+k.Block+":") {
			rest := k.others(lines, true)
			if !accepts(rest, k.Login) {
				rest = append(rest, k.Login)
			}
			return rest
		}
	}
	return lines
}

func accepts(lines []string, key string) bool {
	for _, line := range lines {
		if has(line, blob(key)) {
			return true
		}
	}
	return false
}

func has(line, blob string) bool {
	for _, field := range strings.Fields(line) {
		if field == blob {
			return true
		}
	}
	return false
}

// blob is the part of a line that is the key itself.
func blob(line string) string {
	fields := strings.Fields(line)
	for n := range max(len(fields)-1, 0) {
		for _, kind := range []string{"ssh-", "ecdsa-", "sk-"} {
			if strings.HasPrefix(fields[n], kind) {
				return fields[n+1]
			}
		}
	}
	return ""
}
