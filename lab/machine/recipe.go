package machine

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// rootfs holds what is put into the image besides Debian's packages, and the
// script that puts it there.
//
//go:embed rootfs
var rootfs embed.FS

// suite is the Debian release of every lab machine.
const suite = "bookworm"

// installed are the packages of a machine: what a small cloud image carries,
// and no more. Whatever the gateway needs beyond it, the bootstrap installs.
var installed = []string{
	"systemd", "systemd-sysv", "dbus", "openssh-server", "cloud-init",
	"ca-certificates", "curl", "iproute2", "iptables", "sudo", "procps",
	"kmod", "hostname", "netbase", "util-linux",
}

// ready are packages that the bootstrap is known to install. They lie in the
// machine's package cache, not installed.
var ready = []string{"docker.io", "caddy", "jq"}

// recipeID changes with anything that changes the image's content, apart from
// newer packages at the mirror.
func recipeID() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, suite, runtime.GOARCH, installed, ready, imageChanges, mmdebstrapOptions)
	err := fs.WalkDir(rootfs, "rootfs", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := rootfs.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", path, len(content))
		h.Write(content)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hashing the machine image's recipe: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// mmdebstrapOptions keep the downloaded packages of ready in the tree.
var mmdebstrapOptions = []string{"--variant=minbase", "--skip=cleanup/apt/cache"}

// mmdebstrapArgs is the command line that builds the image's tree as a
// tarball, with the recipe's files unpacked in dir.
func mmdebstrapArgs(dir, tarball string) []string {
	hook := fmt.Sprintf(`RECIPE='%s' READY='%s' sh '%s' "$1"`,
		dir, strings.Join(ready, " "), filepath.Join(dir, "customize"))
	args := append([]string(nil), mmdebstrapOptions...)
	return append(args,
		"--include="+strings.Join(installed, ","),
		"--customize-hook="+hook,
		suite, tarball)
}

// unpackRecipe writes the embedded files to dir.
func unpackRecipe(dir string) error {
	entries, err := rootfs.ReadDir("rootfs")
	if err != nil {
		return fmt.Errorf("unpacking the machine image's recipe: %w", err)
	}
	for _, e := range entries {
		content, err := rootfs.ReadFile("rootfs/" + e.Name())
		if err != nil {
			return fmt.Errorf("unpacking the machine image's recipe: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), content, 0o644); err != nil {
			return fmt.Errorf("unpacking the machine image's recipe: %w", err)
		}
	}
	return nil
}
