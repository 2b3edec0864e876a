package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// client answers like a Docker client while $DIR/answers exists.
const client = `
[ -e "$DIR/answers" ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
case $1 in
	version) echo 20.10.24 ;;
	ps) cat "$DIR/containers" 2>/dev/null || true ;;
esac`

// server is an engine that answers from its start to its end.
const server = `
echo "$@" >> "$DIR/starts"
echo "API listen on /var/run/docker.sock"
trap 'rm "$DIR/answers"; exit' TERM
: > "$DIR/answers"
while :; do sleep 0.05; done`

func TestEnsureLeavesARunningEngine(t *testing.T) {
	dir := fakes(t, map[string]string{"docker": client, "dockerd": server, "apt-get": `: > "$DIR/starts"`})
	write(t, dir, "answers", "")
	root := t.TempDir()
	var told said
	if err := Ensure(t.Context(), root, told.progress); err != nil {
		t.Fatal(err)
	}
	mustContain(t, "progress", told.String(), "20.10.24")
	if err := Stop(t.Context(), root, told.progress); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(dir, "starts")) || !exists(filepath.Join(dir, "answers")) {
		t.Error("the engine that ran before was not left alone")
	}
}

func TestEnsureSaysWhatItCannotCure(t *testing.T) {
	tests := []struct {
		name, docker, host string
		want               []string
	}{
		{"an engine elsewhere that does not answer", client, "tcp://203.0.113.7:2375",
			[]string{"DOCKER_HOST is tcp://203.0.113.7:2375", "unset it", "Cannot connect"}},
		{"an engine that this user may not use", `echo "permission denied while trying to connect" >&2; exit 1`, "",
			[]string{"adduser $USER docker", "permission denied while trying"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := fakes(t, map[string]string{"docker": test.docker, "dockerd": server})
			t.Setenv("DOCKER_HOST", test.host)
			err := Ensure(t.Context(), t.TempDir(), new(said).progress)
			if err == nil {
				t.Fatal("no error")
			}
			mustContain(t, "the error", err.Error(), test.want...)
			if exists(filepath.Join(dir, "starts")) {
				t.Error("an engine was started all the same")
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
