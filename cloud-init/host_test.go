package cloudinit

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/clawft/infra/host/release"
	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/signature"
)

func TestScriptsPassShellcheck(t *testing.T) {
	need(t, "shellcheck")
	scripts, err := filepath.Glob("host/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("finding the scripts: %v, %v", scripts, err)
	}
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			// The scripts source the installed ones; the checks follow them here.
			content, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			check := exec.Command("shellcheck", "--external-sources", "--severity=style", "-")
			check.Dir = "host"
			check.Stdin = strings.NewReader(strings.ReplaceAll(string(content), ". "+libDirectory, ". ./"))
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("bootstrap as it is delivered", func(t *testing.T) {
		check := exec.Command("shellcheck", "--external-sources", "--severity=style", "-")
		check.Stdin = strings.NewReader(Bootstrap())
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// The host refuses a bad release by itself, too: whoever calls deploy by hand has no Validate.
func TestDeployChecksItsInput(t *testing.T) {
	valid, err := testRelease().JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, change, want string }{
		{"what JSON renders", `.`, ""},
		{"no registry", `del(.registry)`, ""},
		{"no environment", `.env = {}`, ""},
		{"a list", `[.]`, "the release is not a JSON object"},
		{"an unknown field", `.tag = "latest"`, "tag: unknown field"},
		{"nobody's", `del(.owner)`, "owner: it needs id, stack, gateway and takes"},
		{"a stack with a line break", `.owner.stack = "a/b/c\nOWNER=x"`, "owner: it needs id, stack, gateway and takes"},
		{"a tag", `.image = "clawft:latest"`, `image: "clawft:latest" is not repository@sha256:<64 hex digits>`},
		{"a version that is a path", `.version = "0.6.19-/../x"`, `version: "0.6.19-/../x" is not a version such as 0.6.19`},
		{"no version", `del(.version)`, `version: null is not a version such as 0.6.19`},
		{"a config that is no text", `.config = {}`, `config: it is not a string with a JSON object`},
		{"a text for a number", `.pids = "256"`, `pids: 256 is not a whole number between 8 and 4194304`},
		{"a long drain", `.drain = 61`, `drain: 61 is not a whole number between 0 and 60`},
		{"a name with a space", `.env["A B"] = "x"`, `env: "A B" is not a name`},
		{"a number in the environment", `.env.A = 1`, `env.A: its value is not a string`},
		{"two lines", `.env.A = "x\nFOO=y"`, `env.A: its value has a line break or control character`},
		{"a login without a password", `del(.registry.password)`, `registry: it needs address, username and password`},
		{"a signature", `.signature = {keys: ["key"], payload: "e30=", signature: "AA=="}`, ""},
		{"a demand that nothing meets", `.signature = {keys: ["key"]}`, ""},
		{"a signature by anybody", `.signature = {payload: "e30=", signature: "AA=="}`, `signature: it needs keys, payload and signature`},
		{"no keys", `.signature = {keys: []}`, `signature: it needs keys, payload and signature`},
		{"keys that are none", `.signature = {keys: [1]}`, `signature: it needs keys, payload and signature`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			request := filepath.Join(dir, "request.json")
			write(t, request, run(t, valid, "jq", "-c", c.change))
			got := run(t, "", "bash", "-c", function(t, deployScript, "problems")+"problems "+request)
			if strings.TrimSpace(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	t.Run("no JSON", func(t *testing.T) {
		request := filepath.Join(t.TempDir(), "request.json")
		write(t, request, valid[:len(valid)-20])
		got := run(t, "", "bash", "-c", function(t, deployScript, "problems")+"problems "+request)
		if got != "the release is not JSON\n" {
			t.Errorf("got %q", got)
		}
	})
}

// The host has the last word about a signature, whoever calls deploy with what.
func TestSignaturesAreChecked(t *testing.T) {
	key, _ := testkey.New(t)
	stranger, _ := testkey.New(t)
	release := testRelease()
	_, digest, _ := strings.Cut(release.Image, "@")
	other := "sha256:" + strings.Repeat("1", 64)
	sign := func(by *signature.Key, payload string) signature.Image {
		t.Helper()
		signed, err := by.Sign(t.Context(), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return signature.Image{Payload: []byte(payload), Signature: signed}
	}
	good, err := signature.Sign(t.Context(), key, "ghcr.io/clawft/clawft", digest)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := signature.Sign(t.Context(), key, "ghcr.io/clawft/clawft", other)
	if err != nil {
		t.Fatal(err)
	}
	relabelled := signature.Image{Payload: []byte(strings.ReplaceAll(string(moved.Payload), other, digest)), Signature: moved.Signature}
	const valid = "said: the image's signature is valid\npassed"
	trusted, both := []string{key.Public().String()}, []string{stranger.Public().String(), key.Public().String()}
	for _, c := range []struct {
		name  string
		proof *signature.Proof
		want  string
	}{
		{"none is demanded", nil, "passed"},
		{"by the key", &signature.Proof{Keys: trusted, Image: good}, valid},
		{"by the second key", &signature.Proof{Keys: both, Image: good}, valid},
		{"none", &signature.Proof{Keys: trusted}, "failed: the image is not signed, and the release demands a signature"},
		{"by another key", &signature.Proof{Keys: both[:1], Image: good}, "failed: the image's signature is by none of the 1 keys that are trusted: Verification failure"},
		{"for another image", &signature.Proof{Keys: trusted, Image: moved}, "failed: the image's signature is for " + other + ", and not for " + digest},
		{"changed", &signature.Proof{Keys: trusted, Image: relabelled}, "failed: the image's signature is by none of the 1 keys that are trusted: Verification failure"},
		{"of another statement", &signature.Proof{Keys: trusted, Image: sign(key, `{"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"`+digest+`"}}}`)},
			"failed: the image's signature is for something else, and not for " + digest},
		{"of a text", &signature.Proof{Keys: trusted, Image: sign(key, "text")}, "failed: the image's signature is for something else, and not for " + digest},
	} {
		t.Run(c.name, func(t *testing.T) {
			release.Signature = c.proof
			request, err := release.JSON()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write(t, filepath.Join(dir, "request.json"), request)
			need(t, "openssl")
			script := "set -euo pipefail; DIR=" + dir + " REQUEST=$DIR/request.json\n" +
				"request() { jq -r \".$1\" \"$REQUEST\"; }\nsay() { echo \"said: $1\"; }\nfail() { echo \"failed: $1\"; exit 0; }\n" +
				function(t, deployWorkerScript, "check_signature") + "check_signature\necho passed\n"
			if got := run(t, "", "bash", "-c", script); got != c.want+"\n" {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	request, err := testRelease().JSON()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "request.json"), request)
	script := "set -eu; DIR=" + dir + " REQUEST=$DIR/request.json ROOT=$DIR old=before\n" +
		function(t, deployWorkerScript, "redact") + function(t, deployWorkerScript, "collect_secrets") +
		"collect_secrets; redact"
	write(t, filepath.Join(dir, "releases/before/gateway.env"), "BRAVE_SEARCH_API_KEY=previous=secret\nSHORT=abc\n")
	for _, c := range []struct{ name, line, want string }{
		{"as it is", `key sk-"quoted" <&> \ value!`, `key [OPENAI_API_KEY]!`},
		{"as JSON", `{"key":"sk-\"quoted\" <&> \\ value"}`, `{"key":"[OPENAI_API_KEY]"}`},
		{"as a URL", `?key=sk-%22quoted%22%20%3C%26%3E%20%5C%20value&x`, `?key=[OPENAI_API_KEY]&x`},
		{"as base64", `Basic c2stInF1b3RlZCIgPCY+IFwgdmFsdWU=`, `Basic [OPENAI_API_KEY]=`},
		{"twice", `a-password a-password`, `[registry password] [registry password]`},
		{"the login's header", `Authorization: Basic Y2xhd2Z0OmEtcGFzc3dvcmQ=`, `Authorization: Basic [registry password]`},
		{"the previous release's", `previous=secret`, `[BRAVE_SEARCH_API_KEY]`},
		{"no secrets", `info: abc`, `info: abc`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, c.line+"\n", "bash", "-c", script); got != c.want+"\n" {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

// A request that arrives as the gate closes waits until the gate opens, whatever happens in between.
func TestProxyHoldsLongEnough(t *testing.T) {
	hold := number(t, proxyConfig, `handle @held \{\s+reverse_proxy [^}]*lb_try_duration (\d+)s`)
	restart := number(t, gatewayUnit, `TimeoutStartSec=(\d+)`) + number(t, gatewayUnit, `TimeoutStopSec=(\d+)`)
	rollback := number(t, commonScript, `readonly ROLLBACK_TIMEOUT=(\d+)`)
	const closing = 2
	if longest := closing + release.MaxDrain + restart + release.MaxHealthTimeout + restart + rollback; longest >= hold {
		t.Errorf("a deployment may hold requests for %d s, the proxy gives up after %d s", longest, hold)
	}
}

// need fails, rather than skips, without a tool: a check that did not run has proven nothing.
func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Fatalf("looking for %s: %v; install it (apt-get install %s)", tool, err, tool)
	}
}

// function cuts one function out of a script.
func function(t *testing.T, script, name string) string {
	t.Helper()
	body := regexp.MustCompile(`(?ms)^` + name + `\(\) \{\n.*?^\}\n`).FindString(script)
	if body == "" {
		t.Fatalf("the script has no function %s", name)
	}
	return body
}

func number(t *testing.T, text, pattern string) int {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	if name == "bash" {
		need(t, "jq")
	}
	need(t, name)
	command := exec.Command(name, args...)
	command.Stdin = strings.NewReader(stdin)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("running %s: %v", name, err)
	}
	return string(out)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
