package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// aptGet serves the packages in $ARCHIVE. With $UPDATED in the environment, it
// has no list of them until it is told to make one.
const aptGet = `#!/bin/sh
case $1 in
download)
	if [ -n "$UPDATED" ] && [ ! -e "$UPDATED" ]; then
		echo "E: Unable to locate package $2" >&2
		exit 100
	fi
	cp "$ARCHIVE/$2.deb" "$2_1%3a10_all.deb" ;;
update) touch "$UPDATED" ;;
esac
`

// pack makes a package of one file or, with a target, of one link.
func pack(t *testing.T, archive, name, program, target string) {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"DEBIAN", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	control := "Package: " + name + "\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: for a test\n"
	if err := os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "usr", "bin", program)
	err := os.WriteFile(path, []byte("#!/bin/sh\necho "+program+"\n"), 0o755)
	if target != "" {
		err = os.Remove(path)
		if err == nil {
			err = os.Symlink(target, path)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dpkg-deb", "--build", root, filepath.Join(archive, name+".deb")).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
}

func TestEnsure(t *testing.T) {
	for _, test := range []struct {
		name, arch string
		link       bool
		noList     bool
		want       string
	}{
		{"a package with the program", "arm64", false, false, "qemu-aarch64-static"},
		{"a package with a link into another one", "arm64", true, false, "qemu-aarch64"},
		{"another architecture", "amd64", false, false, "qemu-x86_64-static"},
		{"no package list yet", "arm64", false, true, "qemu-aarch64-static"},
	} {
		t.Run(test.name, func(t *testing.T) {
			archive, bin, cache := t.TempDir(), t.TempDir(), t.TempDir()
			qemu := "qemu-" + names[test.arch]
			if test.link {
				pack(t, archive, "qemu-user-static", qemu+"-static", qemu)
				pack(t, archive, "qemu-user", qemu, "")
			} else {
				pack(t, archive, "qemu-user-static", qemu+"-static", "")
			}
			if err := os.WriteFile(filepath.Join(bin, "apt-get"), []byte(aptGet), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			t.Setenv("ARCHIVE", archive)
			t.Setenv("UPDATED", "")
			if test.noList {
				t.Setenv("UPDATED", filepath.Join(t.TempDir(), "updated"))
			}

			program, err := Ensure(t.Context(), cache, test.arch, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(program).CombinedOutput(); err != nil || string(out) != test.want+"\n" {
				t.Errorf("the emulator is %q (%v), want %s", out, err, test.want)
			}
			// It is there now, and nothing else is.
			if err := os.RemoveAll(archive); err != nil {
				t.Fatal(err)
			}
			if again, err := Ensure(t.Context(), cache, test.arch, t.Logf); err != nil || again != program {
				t.Errorf("the second time it is %s, %v; want %s", again, err, program)
			}
			left, err := filepath.Glob(filepath.Join(cache, "qemu", "*"))
			if err != nil || len(left) != 1 {
				t.Errorf("in the cache are %v (%v), want the program alone", left, err)
			}
		})
	}
}

func TestEnsureWithoutThePackage(t *testing.T) {
	bin, cache := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "apt-get"), []byte(aptGet), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("ARCHIVE", t.TempDir())
	t.Setenv("UPDATED", "")
	_, err := Ensure(t.Context(), cache, "arm64", t.Logf)
	if err == nil || !strings.HasPrefix(err.Error(), "fetching qemu-aarch64: exit status 1: ") || !strings.Contains(err.Error(), "qemu-user-static.deb") {
		t.Errorf("got %v, want an error that names the package", err)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "qemu", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestEnsureOfAnotherArchitecture(t *testing.T) {
	_, err := Ensure(t.Context(), t.TempDir(), "riscv64", t.Logf)
	if want := "looking for an emulator of riscv64: want amd64 or arm64"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
