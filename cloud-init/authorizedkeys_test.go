package cloudinit

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaA"
	keyB = "ssh-ed25519 AAAAC3NzaB colleague@office"
	keyC = "ecdsa-sha2-nistp256 AAAAE2VjC"
	boot = "ssh-ed25519 AAAAC3NzaBOOT"
)

// keysHost is a home directory, with a getent and an sshd that know it.
type keysHost struct {
	t         *testing.T
	user      *user.User
	home, bin string
}

// newKeysHost has an sshd that prints config, or fails if that is empty.
func newKeysHost(t *testing.T, config string) *keysHost {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	h := &keysHost{t: t, user: me, home: t.TempDir(), bin: t.TempDir()}
	h.program("getent", fmt.Sprintf("[ \"$1 $2\" = 'passwd %s' ] && echo '%s:x:%s:%s::%s:/bin/sh'", me.Username, me.Username, me.Uid, me.Gid, h.home))
	if config == "" {
		h.program("sshd", "exit 1")
	} else {
		h.program("sshd", "echo 'port 22'; echo '"+strings.ReplaceAll(config, "HOME", h.home)+"'")
	}
	return h
}

func (h *keysHost) program(name, script string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

// run returns what the script says, and the error if it fails.
func (h *keysHost) run(word string, args AuthorizedKeysArgs) (string, error) {
	h.t.Helper()
	args.User = h.user.Username
	command := exec.Command("bash", "-s", "--", word)
	command.Env = append(os.Environ(), "PATH="+h.bin+":"+os.Getenv("PATH"))
	command.Stdin = strings.NewReader(AuthorizedKeys(args))
	out, err := command.CombinedOutput()
	return string(out), err
}

func (h *keysHost) must(word string, args AuthorizedKeysArgs) string {
	h.t.Helper()
	out, err := h.run(word, args)
	if err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	return out
}

func block(name string, keys ...string) string {
	return "# BEGIN clawft " + name + ": written by every pulumi up, from ssh.authorizedKeys and sshPrivateKey\n" +
		strings.Join(keys, "\n") + "\n# END clawft\n"
}

func TestAuthorizedKeys(t *testing.T) {
	mine := AuthorizedKeysArgs{Block: "gw-1", Login: keyA, Keys: []string{keyB}, FirstBoot: boot}
	for _, c := range []struct {
		name         string
		before, word string
		args         AuthorizedKeysArgs
		after        string
	}{
		{"nothing yet", "", KeepKeys, mine, block("gw-1", keyA, keyB)},
		{"somebody else's lines stay", "# mine\n\n" + keyC + " me\n", KeepKeys, mine, "# mine\n\n" + keyC + " me\n" + block("gw-1", keyA, keyB)},
		{"a last line without an end", keyC, KeepKeys, mine, keyC + "\n" + block("gw-1", keyA, keyB)},
		{"a key that left", block("gw-1", keyC, keyB), KeepKeys, mine, block("gw-1", keyA, keyB)},
		{"lines on both sides", keyB + "\n" + block("gw-1", keyC) + keyC + "\n", KeepKeys, mine, keyB + "\n" + keyC + "\n" + block("gw-1", keyA, keyB)},
		{"what the first boot put there", boot + " clawft\n" + keyC + " clawft-until-kept\n", KeepKeys, mine, block("gw-1", keyA, keyB)},
		{"the first boot's key with options", `no-pty,command="a b" ` + boot + "\n", KeepKeys, mine, block("gw-1", keyA, keyB)},
		{"the first boot's key logs in", boot + "\n", KeepKeys, AuthorizedKeysArgs{Block: "gw-1", Login: boot, FirstBoot: boot}, block("gw-1", boot)},
		{"an existing machine's own key stays beside", keyA + " me\n", KeepKeys, AuthorizedKeysArgs{Block: "gw-1", Login: keyA}, keyA + " me\n" + block("gw-1", keyA)},
		{"a renamed host", block("gw-0", keyC), KeepKeys, mine, block("gw-1", keyA, keyB)},
		{"a block whose end is lost", "# BEGIN clawft gw-1: x\n" + keyC + "\n", KeepKeys, mine, keyC + "\n" + block("gw-1", keyA, keyB)},
		{"admitting", keyB + "\n", AdmitKey, mine, keyB + "\n" + keyA + " clawft-until-kept\n"},
		{"admitting after a line without an end", keyB, AdmitKey, mine, keyB + "\n" + keyA + " clawft-until-kept\n"},
		{"admitting where there is nothing", "", AdmitKey, mine, keyA + " clawft-until-kept\n"},
		{"admitting who is in", block("gw-1", keyA), AdmitKey, mine, block("gw-1", keyA)},
		{"giving up leaves the key that logs in", keyC + "\n" + block("gw-1", keyA, keyB), ReleaseKeys, mine, keyC + "\n" + keyA + "\n"},
		{"giving up leaves it once", keyA + " me\n" + block("gw-1", keyA, keyB), ReleaseKeys, mine, keyA + " me\n"},
		{"giving up in the middle of a change of keys", block("gw-1", keyA, keyB) + keyC + " clawft-until-kept\n", ReleaseKeys, mine, keyC + " clawft-until-kept\n" + keyA + "\n"},
		{"giving up what another has", block("gw-2", keyA, keyB), ReleaseKeys, mine, block("gw-2", keyA, keyB)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newKeysHost(t, "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2")
			path := filepath.Join(h.home, ".ssh", "authorized_keys")
			if c.before != "" {
				write(t, path, c.before)
			}
			h.must(c.word, c.args)
			if got := run(t, "", "cat", path); got != c.after {
				t.Errorf("got\n%swant\n%s", got, c.after)
			}
			if c.word == KeepKeys {
				if said := h.must(c.word, c.args); said != "login keys: nothing to change\n" {
					t.Errorf("once more, it says %q", said)
				}
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
func TestAuthorizedKeysFile(t *testing.T) {
	args := AuthorizedKeysArgs{Block: "gw-1", Login: keyA}
	for _, c := range []struct{ name, config, file, said string }{
		{"the default", "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2", ".ssh/authorized_keys", ""},
		{"elsewhere in the home", "authorizedkeysfile %h/keys", "keys", ""},
		{"by user", "authorizedkeysfile HOME/etc/%u/100%%", "etc/USER/100%", ""},
		{"sshd does not say", "", ".ssh/authorized_keys", "warning: sshd does not say where it looks for keys; taking ~/.ssh/authorized_keys\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newKeysHost(t, c.config)
			said := h.must(KeepKeys, args)
			path := filepath.Join(h.home, strings.ReplaceAll(c.file, "USER", h.user.Username))
			if got := run(t, "", "cat", path); got != block("gw-1", keyA) {
				t.Errorf("%s holds %q", path, got)
			}
			if want := c.said + "login keys: changed " + path + "\n"; said != want {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
	t.Run("a link", func(t *testing.T) {
		h := newKeysHost(t, "authorizedkeysfile .ssh/authorized_keys")
		write(t, filepath.Join(h.home, "kept", "keys"), keyC+"\n")
		write(t, filepath.Join(h.home, ".ssh", "x"), "")
		link := filepath.Join(h.home, ".ssh", "authorized_keys")
		if err := os.Symlink("../kept/keys", link); err != nil {
			t.Fatal(err)
		}
		h.must(KeepKeys, args)
		if target, err := os.Readlink(link); err != nil || target != "../kept/keys" {
			t.Errorf("the link became %q, %v", target, err)
		}
		if got := run(t, "", "cat", filepath.Join(h.home, "kept", "keys")); got != keyC+"\n"+block("gw-1", keyA) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no file", func(t *testing.T) {
		h := newKeysHost(t, "authorizedkeysfile none")
		if said := h.must(KeepKeys, args); said != "login keys: sshd reads none from a file\n" {
			t.Errorf("said %q", said)
		}
		more := args
		more.Keys = []string{keyB}
		if said, err := h.run(KeepKeys, more); err == nil || !strings.Contains(said, "AuthorizedKeysFile none") {
			t.Errorf("keys that nobody reads were accepted: %q", said)
		}
	})
	t.Run("no such user", func(t *testing.T) {
		h := newKeysHost(t, "authorizedkeysfile none")
		h.program("getent", "exit 2")
		if said, err := h.run(KeepKeys, args); err == nil || !strings.Contains(said, "there is no user "+h.user.Username) {
			t.Errorf("said %q", said)
		}
	})
}
