package login

import (
	"errors"
	"strings"
)

// untilKept is the comment of lines that give way to the block. Cloud-config uses it as well.
const untilKept = "clawft-until-kept"

// Keys says who logs in to a host. Keys are in OpenSSH's format, one line each.
type Keys struct {
	// User is the login user, whose keys these are.
	User string `json:"user"`
	// Block names whose keys these are, in a few characters without a space.
	Block string `json:"block"`
	// Login is the public key with which the pipeline itself logs in.
	Login string `json:"login"`
	// More are further public keys.
	More []string `json:"more,omitempty"`
	// FirstBoot is a public key that the host accepts because it was created with it; it is accepted no
	// longer, unless it is among the others. Empty for none.
	FirstBoot string `json:"firstBoot,omitempty"`
}

func (k Keys) check() error {
	if k.User == "" || k.Block == "" || strings.ContainsAny(k.Block, " \n") || k.Login == "" {
		return errors.New("the document needs user, block and login")
	}
	for _, line := range append([]string{k.Login, k.FirstBoot}, k.More...) {
		if strings.ContainsAny(line, "\r\n") {
			return errors.New("a key is more than one line")
		}
	}
	return nil
}

// block is what the file holds for these keys.
func (k Keys) block() []string {
	lines := []string{"# BEGIN clawft " + k.Block + ": written by every pulumi up, from ssh.authorizedKeys and sshPrivateKey", k.Login}
	for _, line := range k.More {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return append(lines, "# END clawft")
}

// others are the lines of a file that are neither in a block nor give way to one.
func (k Keys) others(lines []string) []string {
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
		case len(fields) > 0 && fields[len(fields)-1] == untilKept:
		case boot != "" && has(line, boot):
		default:
			kept = append(kept, line)
		}
	}
	return append(kept, held...)
}

// kept is the file with the block.
func (k Keys) kept(lines []string) []string { return append(k.others(lines), k.block()...) }

// admitted is the file with the login key, until the block is written.
func (k Keys) admitted(lines []string) []string {
	if accepts(lines, k.Login) {
		return lines
	}
	return append(lines, k.Login+" "+untilKept)
}

// released is the file without the block: the login key stays, as an ordinary line. A file of which somebody
// else has the block stays as it is.
func (k Keys) released(lines []string) []string {
	for _, line := range lines {
		if strings.HasPrefix(line, "# BEGIN clawft "+k.Block+":") {
			rest := k.others(lines)
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
