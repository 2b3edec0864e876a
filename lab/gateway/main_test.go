package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// built is the directory of the binaries under test.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "weft-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// buildWeft compiles the gateway as the image does, version 1.2.3 with a fault.
func buildWeft(t *testing.T, fault string) string {
	t.Helper()
	path := filepath.Join(built, "weft-"+fault)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	goBuild(t, path, ".", "-X main.version=1.2.3 -X main.fault="+fault)
	return path
}

func goBuild(t *testing.T, out, pkg, ldflags string) {
	t.Helper()
	build := exec.Command("go", "build", "-ldflags", ldflags, "-o", out, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, output)
	}
}

// weft runs a command to its end in an environment of its own.
func weft(t *testing.T, home string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), buildWeft(t, ""), args...)
	command.Env = append([]string{"HOME=" + home}, env...)
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	var exit *exec.ExitError
	if err := command.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return code, out.String(), log.String()
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommands(t *testing.T) {
	tests := map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"no subcommand":               {nil, 2, "", "a subcommand is required"},
		"health is no subcommand":     {[]string{"health"}, 2, "", `unrecognized subcommand "health"`},
		"config init does not exist":  {[]string{"config", "init"}, 2, "", "config takes the subcommand show"},
		"an image's command is added": {[]string{"whoami"}, 2, "", `unrecognized subcommand "whoami"`},
		"unknown flag":                {[]string{"gateway", "--port", "1"}, 2, "", "port"},
		"status without config":       {[]string{"status"}, 0, "not found, using defaults", ""},
		"version":                     {[]string{"--version"}, 0, "weft 1.2.3", ""},
		"help":                        {[]string{"--help"}, 0, "Usage: weft", ""},
		"gateway without config":      {[]string{"gateway"}, 1, "", "no channels are enabled and API is disabled"},
		"config file missing":         {[]string{"gateway", "--config", "/nowhere.json"}, 1, "", "Error: config file not found: /nowhere.json"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := weft(t, t.TempDir(), nil, test.args...)
			if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
				t.Errorf("weft %q exits %d with %q, %q; want %d with %q, %q", test.args, code, stdout, stderr, test.code, test.stdout, test.stderr)
			}
		})
	}
}

func TestGatewayRefusesToStart(t *testing.T) {
	const inline = "xoxb-planted-secret"
	tests := map[string]struct {
		config string
		env    []string
		want   string
	}{
		"not JSON":           {`{"gateway":`, nil, "failed to parse config"},
		"wrong type":         {`{"gateway":{"apiPort":"8080","apiEnabled":true}}`, nil, "api_port"},
		"port out of range":  {`{"gateway":{"apiPort":70000,"apiEnabled":true}}`, nil, "api_port"},
		"nothing enabled":    {`{"gateway":{"apiPort":8080}}`, nil, "no channels are enabled and API is disabled"},
		"channel, no token":  {`{"channels":{"telegram":{"enabled":true}}}`, nil, "no channels are enabled and API is disabled"},
		"telegram inline":    {`{"channels":{"telegram":{"enabled":true,"token":"` + inline + `"}}}`, nil, "failed to init telegram channel: missing 'token' (or 'token_env') in telegram config"},
		"discord inline":     {`{"channels":{"discord":{"enabled":true,"token":"` + inline + `"}}}`, nil, "failed to init discord channel: missing 'token' (or 'token_env') in discord config"},
		"slack inline":       {`{"channels":{"slack":{"enabled":true,"botToken":"` + inline + `","appTokenEnv":"APP"}}}`, []string{"APP=a"}, "failed to init slack channel: missing 'bot_token' (or 'bot_token_env') in slack config"},
		"slack without app":  {`{"channels":{"slack":{"enabled":true,"bot_token_env":"BOT"}}}`, []string{"BOT=b"}, "missing 'app_token' (or 'app_token_env') in slack config"},
		"variable not set":   {`{"channels":{"telegram":{"enabled":true,"tokenEnv":"BOT"}}}`, nil, "telegram token_env 'BOT' is not set or empty"},
		"variable empty":     {`{"channels":{"discord":{"enabled":true,"token_env":"BOT"}}}`, []string{"BOT="}, "discord token_env 'BOT' is not set or empty"},
		"aborts despite API": {`{"channels":{"telegram":{"enabled":true,"token":"` + inline + `"}},"gateway":{"host":"127.0.0.1","apiPort":0,"apiEnabled":true}}`, nil, "failed to init telegram channel"},
		"unusable address":   {`{"gateway":{"host":"203.0.113.1","apiPort":8080,"apiEnabled":true}}`, nil, "failed to bind API listener on 203.0.113.1:8080"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := weft(t, t.TempDir(), test.env, "gateway", "--config", writeConfig(t, test.config))
			if code != 1 || !strings.Contains(stderr, test.want) {
				t.Errorf("exits %d with %q, want 1 with %q", code, stderr, test.want)
			}
			if strings.Contains(stderr, inline) {
				t.Errorf("the token is in the log: %q", stderr)
			}
		})
	}
}

func TestGatewayNeedsItsDataDirectory(t *testing.T) {
	code, _, stderr := weft(t, "/dev/null", nil, "gateway", "--config", writeConfig(t, apiConfig))
	if want := "failed to bootstrap app context"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exits %d with %q, want 1 with %q", code, stderr, want)
	}
}

func TestDiscoveredConfig(t *testing.T) {
	t.Run("a bad file only warns", func(t *testing.T) {
		path := writeConfig(t, "{")
		code, stdout, stderr := weft(t, t.TempDir(), []string{"CLAWFT_CONFIG=" + path}, "config", "show")
		if code != 0 || !strings.Contains(stderr, "using defaults") || !strings.Contains(stdout, `"api_port": 18789`) {
			t.Errorf("exits %d with %q, %q; want 0, the defaults and a warning", code, stdout, stderr)
		}
	})
	t.Run("both spellings, secrets hidden", func(t *testing.T) {
		path := writeConfig(t, `{"gateway":{"apiPort":1,"api_enabled":true},"channels":{"telegram":{"token":"planted"}}}`)
		_, stdout, _ := weft(t, t.TempDir(), nil, "config", "show", "--config", path)
		for _, want := range []string{`"api_port": 1`, `"api_enabled": true`, `"token": ""`} {
			if !strings.Contains(stdout, want) {
				t.Errorf("got %s, want %s in it", stdout, want)
			}
		}
	})
}

func TestOnboardedConfigDoesNotStart(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, ".clawft")
	if code, stdout, stderr := weft(t, home, nil, "onboard", "--yes", "--dir", dir); code != 0 {
		t.Fatalf("onboard exits %d with %q, %q", code, stdout, stderr)
	}
	if code, stdout, _ := weft(t, home, nil, "onboard", "--yes", "--dir", dir); code != 0 || !strings.Contains(stdout, "Config already exists") {
		t.Errorf("a second onboard exits %d with %q, want 0 and to leave the file", code, stdout)
	}
	code, _, stderr := weft(t, home, nil, "gateway", "--config", filepath.Join(dir, "config.json"))
	if want := "no channels are enabled and API is disabled"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exits %d with %q, want 1 with %q", code, stderr, want)
	}
}
