package launch

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the test's program be the one that launches and the one that is launched.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "launch":
		if err := Run(os.Args[2:]); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
	case len(os.Args) > 1 && os.Args[1] == "report":
		input, _ := os.Readlink("/proc/self/fd/0")
		environment := map[string][]byte{}
		for _, entry := range os.Environ() {
			name, value, _ := strings.Cut(entry, "=")
			environment[name] = []byte(value)
		}
		out, _ := json.Marshal(report{os.Args, environment, input, os.Getpid()})
		os.Stdout.Write(out)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// report is what the launched program sees.
type report struct {
	Args        []string
	Environment map[string][]byte
	Input       string
	Pid         int
}

func launch(t *testing.T, stdin []byte, argv ...string) (report, int, string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], append([]string{"launch"}, argv...)...)
	command.Env = []string{"HOME=/home/weft", "RUST_LOG=warn", "GOCOVERDIR=" + t.TempDir()}
	command.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return report{}, 0, stderr.String()
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, stdout.Bytes())
	}
	return r, command.Process.Pid, ""
}

func TestRun(t *testing.T) {
	environment := everything()
	environment["RUST_LOG"] = "debug"
	stdin, err := Encode(environment)
	if err != nil {
		t.Fatal(err)
	}
	got, pid, failure := launch(t, stdin, os.Args[0], "report", "--config", "/etc/clawft/config.json", "")
	if failure != "" {
		t.Fatal(failure)
	}
	if want := []string{os.Args[0], "report", "--config", "/etc/clawft/config.json", ""}; !slices.Equal(got.Args, want) {
		t.Errorf("arguments: got %q, want %q", got.Args, want)
	}
	if got.Pid != pid {
		t.Errorf("the program is process %d and not %d itself", got.Pid, pid)
	}
	if got.Input != os.DevNull {
		t.Errorf("the program can read %s", got.Input)
	}
	delete(got.Environment, "GOCOVERDIR")
	want := map[string][]byte{"HOME": []byte("/home/weft")}
	for name, value := range environment {
		want[name] = []byte(value)
	}
	if !maps.EqualFunc(got.Environment, want, bytes.Equal) {
		t.Errorf("environment: got %q\nwant %q", got.Environment, want)
	}
}

func TestRunRefuses(t *testing.T) {
	whole, err := Encode(map[string]string{"KEY": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		stdin []byte
		argv  []string
		want  string
	}{
		{"no program", whole, nil, "launching: want the path of a program and its arguments"},
		{"no path", whole, []string{"weft"}, "launching: want the path of a program and its arguments"},
		{"no such program", whole, []string{"/nonexistent/weft"}, "launching /nonexistent/weft: no such file or directory"},
		{"a directory", whole, []string{"/"}, "launching /: permission denied"},
		{"cut off", whole[:len(whole)-1], []string{os.Args[0], "report"}, "reading the environment: it was cut off before its end"},
		{"nothing", nil, []string{os.Args[0], "report"}, "reading the environment: it was cut off before its end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _, failure := launch(t, test.stdin, test.argv...); failure != test.want {
				t.Errorf("got %q, %v\nwant %q", failure, got, test.want)
			}
		})
	}
}
