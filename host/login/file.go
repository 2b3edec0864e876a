package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/clawft/infra/host/document"
)

// account is what passwd(5) has of a user.
type account struct {
	name, home string
	uid, gid   int
}

// Keep makes the file that sshd reads hold exactly the keys, beside what is others'. It says what it changed.
func Keep(ctx context.Context, k document.Keys) (string, error) { return edit(ctx, k, keys{k}.kept) }

// Admit lets the login key in until the keys are kept.
func Admit(ctx context.Context, k document.Keys) (string, error) {
	return edit(ctx, k, keys{k}.admitted)
}

// Release gives the block up.
func Release(ctx context.Context, k document.Keys) (string, error) {
	return edit(ctx, k, keys{k}.released)
}

func edit(ctx context.Context, k document.Keys, change func([]string) []string) (string, error) {
	if err := k.Check(); err != nil {
		return "", err
	}
	user, err := find(ctx, k.User)
	if err != nil {
		return "", err
	}
	path, warning := keysFile(ctx, user)
	if path == "" {
		if len(k.More) > 0 {
			return "", errors.New("sshd reads keys from no file (AuthorizedKeysFile none); add them where it gets them from, and take them out of ssh.authorizedKeys")
		}
		return "login keys: sshd reads none from a file", nil
	}
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the login keys: %w", err)
	}
	var lines []string
	if text := strings.TrimSuffix(string(before), "\n"); text != "" {
		lines = strings.Split(text, "\n")
	}
	after := []byte(strings.Join(change(slices.Clone(lines)), "\n") + "\n")
	if len(after) == 1 {
		after = nil
	}
	changed, err := put(path, user, before, after)
	if err != nil {
		return "", fmt.Errorf("writing the login keys: %w", err)
	}
	if changed {
		return warning + "login keys: changed " + path, nil
	}
	return warning + "login keys: nothing to change", nil
}

// find looks a user up, also one that is not in /etc/passwd. What getent answers has passwd(5)'s format.
func find(ctx context.Context, name string) (account, error) {
	line, err := exec.CommandContext(ctx, "getent", "passwd", name).Output()
	fields := strings.Split(strings.TrimSpace(string(line)), ":")
	if err != nil || len(fields) != 7 {
		return account{}, fmt.Errorf("there is no user %s", name)
	}
	uid, err := strconv.Atoi(fields[2])
	if err != nil {
		return account{}, fmt.Errorf("user %s has the id %q", name, fields[2])
	}
	gid, err := strconv.Atoi(fields[3])
	if err != nil {
		return account{}, fmt.Errorf("user %s has the group %q", name, fields[3])
	}
	found := account{name: name, home: fields[5], uid: uid, gid: gid}
	if info, err := os.Stat(found.home); err != nil || !info.IsDir() {
		return account{}, fmt.Errorf("the home directory of %s, %s, is not there", name, found.home)
	}
	return found, nil
}

// keysFile is where sshd looks for the user's keys first; "" where it reads no file. Only sshd itself knows
// what its files, with all that they include and match, come to; it says so in sshd_config(5)'s format.
func keysFile(ctx context.Context, user account) (path, warning string) {
	sshd := exec.CommandContext(ctx, "sshd", "-T", "-C", "user="+user.name+",host=localhost,addr=127.0.0.1")
	for _, directory := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if sshd.Err == nil {
			break
		}
		sshd = exec.CommandContext(ctx, filepath.Join(directory, "sshd"), sshd.Args[1:]...)
	}
	said, err := sshd.Output()
	if err != nil {
		said = []byte("authorizedkeysfile .ssh/authorized_keys")
		warning = "warning: sshd does not say where it looks for keys; taking ~/.ssh/authorized_keys\n"
	}
	for line := range bytes.Lines(said) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || fields[0] != "authorizedkeysfile" {
			continue
		}
		if fields[1] == "none" {
			return "", warning
		}
		path = strings.NewReplacer("%%", "%", "%h", user.home, "%u", user.name, "%U", strconv.Itoa(user.uid)).Replace(fields[1])
		if !filepath.IsAbs(path) {
			path = filepath.Join(user.home, path)
		}
		break
	}
	// What a link points to is replaced, not the link.
	for range 40 {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path, warning
}

// put makes the content the file, in one step, with the owner and mode that sshd wants.
func put(path string, user account, before, after []byte) (changed bool, err error) {
	directory := filepath.Dir(path)
	mode, directoryMode, uid, gid := os.FileMode(0o644), os.FileMode(0o755), 0, 0
	if strings.HasPrefix(path, user.home+string(filepath.Separator)) {
		mode, directoryMode, uid, gid = 0o600, 0o700, user.uid, user.gid
	}
	if info, err := os.Stat(path); err == nil && bytes.Equal(before, after) && info.Mode().Perm() == mode && int(info.Sys().(*syscall.Stat_t).Uid) == uid {
		return false, nil
	} else if err != nil && len(after) == 0 {
		return false, nil
	}
	if _, err := os.Stat(directory); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(directory, directoryMode); err != nil {
			return false, err
		}
		if err := os.Chown(directory, uid, gid); err != nil {
			return false, err
		}
	}
	beside, err := os.CreateTemp(directory, ".keys.")
	if err != nil {
		return false, err
	}
	defer os.Remove(beside.Name())
	_, err = beside.Write(after)
	err = errors.Join(err, beside.Chown(uid, gid), beside.Chmod(mode), beside.Sync(), beside.Close())
	if err != nil {
		return false, err
	}
	return true, os.Rename(beside.Name(), path)
}
