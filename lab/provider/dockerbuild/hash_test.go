package dockerbuild

import (
	"os"
	"path/filepath"
	"testing"

	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
)

// The hashes were computed once, over the same files, by the plugin's own code
// at v0.0.22.
func TestContextHash(t *testing.T) {
	whole := imageArgs{
		Context:    sdk.BuildContext{Location: "source"},
		Dockerfile: sdk.Dockerfile{Location: ptr("source/Dockerfile")},
	}
	for _, c := range []struct {
		name   string
		args   imageArgs
		change func(t *testing.T, dir string)
		want   string
	}{
		{
			name: "whole context",
			args: whole,
			want: "e3ac3e67c843ac8c6b4d84aa054bf32df7845d4238c4a612eed919060f6f315c",
		},
		{
			name: "Dockerfile elsewhere, with an ignore file of its own",
			args: imageArgs{
				Context:    sdk.BuildContext{Location: "source"},
				Dockerfile: sdk.Dockerfile{Location: ptr("other/Dockerfile")},
			},
			want: "3b2b00bbb03d6bf8d7cafe99b12b4a4e12026c375f37a45d3be93004ae7a7c09",
		},
		{
			name: "inline Dockerfile, ignore file of the project",
			args: imageArgs{
				Context:    sdk.BuildContext{Location: "source"},
				Dockerfile: sdk.Dockerfile{Inline: ptr("FROM scratch")},
			},
			want: "1fc4c9d0e3e3607f179b9daa1309305af1e1bfa4fef733532581fc62c2218570",
		},
		{
			name: "named contexts",
			args: imageArgs{
				Context: sdk.BuildContext{Location: "source", Named: map[string]sdk.Context{
					"other": {Location: "other"}, "image": {Location: "docker-image://debian"},
				}},
				Dockerfile: sdk.Dockerfile{Location: ptr("source/Dockerfile")},
			},
			want: "761e5d1df8c354198101b06f3ddd83184f5692d8c0adf94597b4c34186bb3fb7",
		},
		{
			name: "remote context, local Dockerfile",
			args: imageArgs{
				Context:    sdk.BuildContext{Location: "https://example.com/clawft.git#v0.6.19"},
				Dockerfile: sdk.Dockerfile{Location: ptr("source/Dockerfile")},
			},
			want: "0837162982057d16f6c2363c396d2811f9839aeb2480f977ad955788e8c73e36",
		},
		{
			name: "nothing local",
			args: imageArgs{Context: sdk.BuildContext{Location: "https://example.com/clawft.git#v0.6.19"}},
			want: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		},
		{
			name: "an ignored file changes",
			args: whole,
			change: func(t *testing.T, dir string) {
				write(t, dir, "source/target/debug", "rebuilt", 0o644)
			},
			want: "e3ac3e67c843ac8c6b4d84aa054bf32df7845d4238c4a612eed919060f6f315c",
		},
		{
			name: "a mode changes",
			args: whole,
			change: func(t *testing.T, dir string) {
				chmod(t, filepath.Join(dir, "source/src/main.rs"), 0o755)
			},
			want: "225348ce8d79357c8107da83255666dd18747d96c226c767f42ffcd1d1d71631",
		},
		{
			name: "a file is renamed",
			args: whole,
			change: func(t *testing.T, dir string) {
				from, to := filepath.Join(dir, "source/src/main.rs"), filepath.Join(dir, "source/src/lib.rs")
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
			},
			want: "70ebab17e6681525050b0b80a92b58af767f5097c614ec3b57e1fe75b052bdcd",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeContext(t, dir)
			if c.change != nil {
				c.change(t, dir)
			}
			got, err := contextHash(dir, &c.args)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// writeContext writes everything that is special to the hash: ignored files and
// exceptions from that, links to files and directories, an executable, a
// Dockerfile that is ignored itself. Modes do not depend on the umask.
func writeContext(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, "source/Dockerfile", "FROM scratch\nCOPY . /\n", 0o644)
	write(t, dir, "source/.dockerignore", "# what is not sent\ntarget\nDockerfile\n*.md\n!README.md\n", 0o644)
	write(t, dir, "source/README.md", "read me", 0o644)
	write(t, dir, "source/NOTES.md", "not me", 0o644)
	write(t, dir, "source/src/main.rs", "fn main() {}", 0o644)
	write(t, dir, "source/build.sh", "#!/bin/sh\n", 0o755)
	write(t, dir, "source/target/debug", "built", 0o644)
	link(t, "src/main.rs", filepath.Join(dir, "source/link-to-file"))
	link(t, "src", filepath.Join(dir, "source/link-to-directory"))
	write(t, dir, "other/Dockerfile", "FROM scratch\n", 0o644)
	write(t, dir, "other/Dockerfile.dockerignore", "src\n", 0o644)
	write(t, dir, "other/data", "data", 0o644)
	write(t, dir, ".dockerignore", "build.sh\n", 0o644)
}

func write(t *testing.T, dir, name, content string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
