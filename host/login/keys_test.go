package login

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawft/infra/host/document"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaA"
	keyB = "ssh-ed25519 AAAAC3NzaB colleague@office"
	keyC = "ecdsa-sha2-nistp256 AAAAE2VjC"
	boot = "ssh-ed25519 AAAAC3NzaBOOT"
)

// host is a home directory, with a getent and an sshd that know it.
type host struct {
	t         *testing.T
	user      *user.User
	home, bin string
}

// newHost has an sshd that prints config, or fails if that is empty.
func newHost(t *testing.T, config string) *host {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, user: me, home: t.TempDir(), bin: t.TempDir()}
	h.program("getent", fmt.Sprintf("[ \"$1 $2\" = 'passwd %s' ] && echo '%s:x:%s:%s::%s:/bin/sh'", me.Username, me.Username, me.Uid, me.Gid, h.home))
	if config == "" {
		h.program("sshd", "exit 1")
	} else {
		h.program("sshd", "echo 'port 22'; echo '"+strings.ReplaceAll(config, "HOME", h.home)+"'")
	}
	t.Setenv("PATH", h.bin+":"+os.Getenv("PATH"))
	return h
}

func (h *host) program(name, script string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) write(name, content string) string {
	h.t.Helper()
	path := filepath.Join(h.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// run does what a word says, as the program's command line has it.
func (h *host) run(word string, keys document.Keys) (string, error) {
	keys.User = h.user.Username
	switch word {
	case "keep":
		return Keep(h.t.Context(), keys)
	case "admit":
		return Admit(h.t.Context(), keys)
	default:
		return Release(h.t.Context(), keys)
	}
}

func (h *host) must(word string, keys document.Keys) string {
	h.t.Helper()
	said, err := h.run(word, keys)
	if err != nil {
		h.t.Fatal(err)
	}
	return said
}

func block(name string, keys ...string) string {
	return "# BEGIN clawft " + name + ": written by every pulumi up, from ssh.authorizedKeys and sshPrivateKey\n" +
		strings.Join(keys, "\n") + "\n# END clawft\n"
}

func TestKeys(t *testing.T) {
	mine := document.Keys{Block: "gw-1", Login: keyA, More: []string{keyB}, FirstBoot: boot}
	for _, c := range []struct {
		name         string
		before, word string
		keys         document.Keys
		after        string
	}{
		{"nothing yet", "", "keep", mine, block("gw-1", keyA, keyB)},
		{"somebody else's lines stay", "# mine\n\n" + keyC + " me\n", "keep", mine, "# mine\n\n" + keyC + " me\n" + block("gw-1", keyA, keyB)},
		{"a last line without an end", keyC, "keep", mine, keyC + "\n" + block("gw-1", keyA, keyB)},
		{"a key that left", block("gw-1", keyC, keyB), "keep", mine, block("gw-1", keyA, keyB)},
		{"lines on both sides", keyB + "\n" + block("gw-1", keyC) + keyC + "\n", "keep", mine, keyB + "\n" + keyC + "\n" + block("gw-1", keyA, keyB)},
		{"what the first boot put there", boot + " clawft\n" + keyC + " clawft-until-kept\n", "keep", mine, block("gw-1", keyA, keyB)},
		{"the first boot's key with options", `no-pty,command="a b" ` + boot + "\n", "keep", mine, block("gw-1", keyA, keyB)},
		{"the first boot's key logs in", boot + "\n", "keep", document.Keys{Block: "gw-1", Login: boot, FirstBoot: boot}, block("gw-1", boot)},
		{"an existing machine's own key stays beside", keyA + " me\n", "keep", document.Keys{Block: "gw-1", Login: keyA}, keyA + " me\n" + block("gw-1", keyA)},
		{"a renamed host", block("gw-0", keyC), "keep", mine, block("gw-1", keyA, keyB)},
		{"a block whose end is lost", "# BEGIN clawft gw-1: x\n" + keyC + "\n", "keep", mine, keyC + "\n" + block("gw-1", keyA, keyB)},
		{"two blocks, the first without its end", "# BEGIN clawft gw-1: x\n" + keyC + "\n" + block("gw-1", keyB), "keep", mine, keyC + "\n" + block("gw-1", keyA, keyB)},
		{"admitting", keyB + "\n", "admit", mine, keyB + "\n" + keyA + " clawft-until-kept\n"},
		{"admitting after a line without an end", keyB, "admit", mine, keyB + "\n" + keyA + " clawft-until-kept\n"},
		{"admitting where there is nothing", "", "admit", mine, keyA + " clawft-until-kept\n"},
		{"admitting who is in", block("gw-1", keyA), "admit", mine, block("gw-1", keyA)},
		{"giving up leaves the key that logs in", keyC + "\n" + block("gw-1", keyA, keyB), "release", mine, keyC + "\n" + keyA + "\n"},
		{"giving up leaves it once", keyA + " me\n" + block("gw-1", keyA, keyB), "release", mine, keyA + " me\n"},
		{"giving up in the middle of a change of keys", block("gw-1", keyA, keyB) + keyC + " clawft-until-kept\n", "release", mine, keyC + " clawft-until-kept\n" + keyA + "\n"},
		{"giving up what another has", block("gw-2", keyA, keyB), "release", mine, block("gw-2", keyA, keyB)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2")
			path := filepath.Join(h.home, ".ssh", "authorized_keys")
			if c.before != "" {
				h.write(".ssh/authorized_keys", c.before)
			}
			h.must(c.word, c.keys)
			if got := read(t, path); got != c.after {
				t.Errorf("got\n%swant\n%s", got, c.after)
			}
			if said := h.must(c.word, c.keys); said != "login keys: nothing to change" {
				t.Errorf("once more, it says %q", said)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if left, _ := filepath.Glob(filepath.Join(h.home, ".ssh", ".keys*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// sshd looks where its own configuration says, and nowhere else.
func TestFile(t *testing.T) {
	keys := document.Keys{Block: "gw-1", Login: keyA}
	for _, c := range []struct{ name, config, file, said string }{
		{"the default", "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2", ".ssh/authorized_keys", ""},
		{"elsewhere in the home", "authorizedkeysfile %h/keys", "keys", ""},
		{"by user", "authorizedkeysfile HOME/etc/%u/100%%", "etc/USER/100%", ""},
		{"a sign before a letter", "authorizedkeysfile %%h", "%h", ""},
		{"sshd does not say", "", ".ssh/authorized_keys", "warning: sshd does not say where it looks for keys; taking ~/.ssh/authorized_keys\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, c.config)
			said := h.must("keep", keys)
			path := filepath.Join(h.home, strings.ReplaceAll(c.file, "USER", h.user.Username))
			if got := read(t, path); got != block("gw-1", keyA) {
				t.Errorf("%s holds %q", path, got)
			}
			if want := c.said + "login keys: changed " + path; said != want {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
	t.Run("a link", func(t *testing.T) {
		h := newHost(t, "authorizedkeysfile .ssh/authorized_keys")
		kept := h.write("kept/keys", keyC+"\n")
		h.write(".ssh/x", "")
		link := filepath.Join(h.home, ".ssh", "authorized_keys")
		if err := os.Symlink("../kept/keys", link); err != nil {
			t.Fatal(err)
		}
		h.must("keep", keys)
		if target, err := os.Readlink(link); err != nil || target != "../kept/keys" {
			t.Errorf("the link became %q, %v", target, err)
		}
		if got := read(t, kept); got != keyC+"\n"+block("gw-1", keyA) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no file", func(t *testing.T) {
		h := newHost(t, "authorizedkeysfile none")
		if said := h.must("keep", keys); said != "login keys: sshd reads none from a file" {
			t.Errorf("said %q", said)
		}
		more := keys
		more.More = []string{keyB}
		if _, err := h.run("keep", more); err == nil || !strings.Contains(err.Error(), "AuthorizedKeysFile none") {
			t.Errorf("keys that nobody reads were accepted: %v", err)
		}
	})
	t.Run("no such user", func(t *testing.T) {
		h := newHost(t, "authorizedkeysfile none")
		h.program("getent", "exit 2")
		if _, err := h.run("keep", keys); err == nil || !strings.Contains(err.Error(), "there is no user "+h.user.Username) {
			t.Errorf("got %v", err)
		}
	})
}

// A line break in a key would be a line of somebody's.
func TestKeysAreLines(t *testing.T) {
	for _, keys := range []document.Keys{
		{Block: "gw-1", Login: keyA + "\n" + keyC},
		{Block: "gw-1", Login: keyA, More: []string{keyB + "\n" + keyC}},
		{Block: "gw 1", Login: keyA},
		{Login: keyA},
		{Block: "gw-1"},
	} {
		h := newHost(t, "authorizedkeysfile .ssh/authorized_keys")
		if _, err := h.run("keep", keys); err == nil {
			t.Errorf("%+v was written", keys)
		}
	}
}
