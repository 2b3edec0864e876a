package components

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// gitWaitDelay is how long after its time limit git may take to end.
const gitWaitDelay = 2 * time.Second

// Source is a git repository, and what reads it.
type Source struct {
	// URL has no login in it.
	URL string
	// Username and Token log in to a repository that is reached with HTTP. Without
	// a token it is public.
	Username, Token string
}

var (
	sshURL = regexp.MustCompile(`^ssh://|^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:`)
	// refused is what git and the hosters say to somebody without access; some say
	// that there is no such repository.
	refused = regexp.MustCompile(`(?i)could not read (Username|Password)|Authentication failed|Permission denied|access denied|` +
		`returned error: 40[13]|repository .* not found|Repository not found|have permission`)
	errNoAccess = errors.New("it is private, or does not exist")
)

// otherWays is what to do about a repository that cannot be read.
const otherWays = "or give an https address and a token that may read it, with `pulumi config set --secret clawft:sourceToken`"

// SSH is true of a repository that is reached with SSH: the keys of the agent log
// in to it.
func (s Source) SSH() bool { return sshURL.MatchString(s.URL) }

// Header is the value of the header Authorization that logs in, or "".
func (s Source) Header() string {
	if s.Token == "" {
		return ""
	}
	return "basic " + base64.StdEncoding.EncodeToString([]byte(s.Username+":"+s.Token))
}

// Host is the host with its port, if the URL has one, as BuildKit names the secret
// that is for it alone.
func (s Source) Host() string {
	parsed, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return parsed.Host
}

// git returns what a git command prints. It never asks for a password.
func (s Source) git(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "git", args...)
	// The repository that the project is in may have logins in its configuration.
	command.Dir = os.TempDir()
	command.Env = s.environment(command.Environ())
	command.Stdout, command.Stderr = &stdout, &stderr
	// Git's helper for the transport outlives it, and holds the pipes.
	command.WaitDelay = gitWaitDelay
	err := command.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("no answer: %w", ctx.Err())
	}
	said := s.hide(strings.TrimSpace(stderr.String()))
	if refused.MatchString(said) {
		return "", fmt.Errorf("%w (git says: %s); %s", errNoAccess, said, s.advice())
	}
	return "", fmt.Errorf("%w: %s", err, said)
}

func (s Source) advice() string {
	switch {
	case s.SSH():
		return "add a key that may read it to the SSH agent, with `ssh-add`; " + otherWays
	case s.Token != "":
		return "check clawft:sourceToken, and whether clawft:image.sourceUsername is whose it is"
	}
	return "give a token that may read it, with `pulumi config set --secret clawft:sourceToken`, " +
		"or an address for SSH, such as git@github.com:OWNER/NAME.git, and a key in the SSH agent of the machine that runs Pulumi"
}

// environment is that of git: nothing of what the user or the machine could log in
// with, since the build has none of it. The login is not on the command line.
func (s Source) environment(inherited []string) []string {
	count := 0
	environment := slices.DeleteFunc(inherited, func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		if name == "GIT_CONFIG_COUNT" {
			count, _ = strconv.Atoi(value)
		}
		// These show headers.
		return strings.HasPrefix(name, "GIT_TRACE_CURL") || name == "GIT_TRACE_REDACT" || name == "GIT_CURL_VERBOSE"
	})
	configure := func(key, value string) {
		environment = append(environment, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count, value))
		count++
	}
	configure("credential.helper", "")
	if header := s.Header(); header != "" {
		scheme, _, _ := strings.Cut(s.URL, "://")
		configure("http."+scheme+"://"+s.Host()+"/.extraHeader", "Authorization: "+header)
	}
	environment = append(environment, fmt.Sprintf("GIT_CONFIG_COUNT=%d", count),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=",
		// What git says is read here.
		"LC_ALL=C",
		// There may be a .netrc.
		"HOME="+os.DevNull)
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		environment = append(environment, "GIT_SSH_COMMAND=ssh -F none -o IdentityFile=none -o BatchMode=yes")
	}
	return environment
}

// hide leaves the login out of what git says.
func (s Source) hide(said string) string {
	if s.Token == "" {
		return said
	}
	_, encoded, _ := strings.Cut(s.Header(), " ")
	return strings.NewReplacer(s.Token, "[secret]", encoded, "[secret]").Replace(said)
}
