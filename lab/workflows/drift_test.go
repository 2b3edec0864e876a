package workflows_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/components/workflows"
)

// drift runs the workflow that finds it.
func (d *deployment) drift(t *testing.T) run {
	t.Helper()
	return d.act(t, d.repository, "schedule", append(d.secrets(t), "--workflows", ".github/workflows/drift.yml", "--matrix", "stack:prod")...)
}

func TestDriftIsFound(t *testing.T) {
	d := newDeployment(t)
	d.pulumi(t, "config", "set", "--stack", "prod", "--path", "clawft:image.pullUsername", "puller")
	d.pulumi(t, "config", "set", "--stack", "prod", "--secret", "clawft:registryPullToken", "pull-token-1")
	d.commit(t, d.repository, "Pull with a login")
	if ran := d.drift(t); ran.failed || !strings.Contains(ran.log, "nothing was deployed yet") {
		t.Fatalf("a stack that is new: %v\n%s", ran.jobs, ran.log)
	}
	d.pulumi(t, "up", "--stack", "prod", "--yes", "--config", "clawft:version=0.6.19")
	deployed := strings.TrimSpace(d.output(t, d.repository, "git", "rev-parse", "HEAD"))

	// What was committed since then is not deployed, and no drift.
	replaceIn(t, d.repository, "Pulumi.prod.yaml", "location: nbg1", "location: fsn1")
	d.commit(t, d.repository, "Move")
	d.command(t, d.repository, "sed", "-i", "1a # Another script than the hosts have.", "cloud-init/host/deploy.sh")
	d.commit(t, d.repository, "Change what hosts run")

	t.Run("none", func(t *testing.T) {
		ran := d.drift(t)
		if ran.failed || !strings.Contains(ran.log, "gw-1: as deployed") || !strings.Contains(ran.log, "gw-2: as deployed") ||
			!strings.Contains(ran.log, "prod was deployed from "+deployed) {
			t.Errorf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
		sent, err := os.ReadFile(d.sent)
		if err != nil {
			t.Fatal(err)
		}
		sum := strings.Fields(d.output(t, d.root, "sha256sum", "cloud-init/host/deploy.sh"))[0]
		for _, want := range []string{
			"image=ghcr.io/clawft/clawft@sha256:" + strings.Repeat("a", 64) + " version=0.6.19\n",
			sum + "  /usr/local/lib/clawft/deploy\n", "  /usr/local/lib/clawft/common.sh\n", "  /etc/systemd/system/clawft.service\n",
		} {
			if !strings.Contains(string(sent), want) {
				t.Errorf("the machine was not sent %q:\n%s", want, sent)
			}
		}
	})
	t.Run("credentials that were rotated", func(t *testing.T) {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		login, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			t.Fatal(err)
		}
		// The machines accept the one before it until the next release.
		d.pulumi(t, "config", "set", "--stack", "prod", "--secret", "clawft:sshPrivateKey", "\n"+string(pem.EncodeToMemory(login)))
		d.pulumi(t, "config", "set", "--stack", "prod", "--secret", "clawft:registryPullToken", "pull-token-2")
		d.pulumi(t, "config", "set", "--stack", "prod", "--secret", "hcloud:token", strings.Repeat("lab1", 16))
		d.pulumi(t, "config", "set", "--stack", "prod", "--secret", "github:token", "lab-token-2")
		d.commit(t, d.repository, "Rotate")
		ran := d.drift(t)
		if ran.failed || !strings.Contains(ran.log, "A rotated token is no drift") || !strings.Contains(ran.log, "update of pulumi:providers:hcloud hcloud: token.") ||
			!strings.Contains(ran.log, "update of command:remote:Command gw-1-release: stdin.") {
			t.Errorf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
		for _, secret := range []string{"lab-token-2", "pull-token-", strings.Repeat("lab1", 16), "PRIVATE KEY"} {
			if strings.Contains(ran.log, secret) {
				t.Errorf("%s is in the log", secret)
			}
		}
	})
	t.Run("on a machine", func(t *testing.T) {
		write(t, d.says, []byte("clawft.service is inactive\n"))
		ran := d.drift(t)
		if !ran.failed || !strings.Contains(ran.log, "gw-1: clawft.service is inactive") {
			t.Errorf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
		write(t, d.says, nil)
	})
	t.Run("at GitHub", func(t *testing.T) {
		clone := filepath.Join(t.TempDir(), "clone")
		d.command(t, "/", "git", "clone", "--quiet", d.hub.GitDir("clawft", "clawft"), clone)
		replaceIn(t, clone, workflows.PRGatesPath, "raw=300KiB", "raw=999KiB")
		d.commit(t, clone, "Make it fit")
		d.command(t, clone, "git", "push", "--quiet", "origin", "main")
		ran := d.drift(t)
		if !ran.failed || !strings.Contains(ran.log, "prod has drifted: update of github:index/repositoryFile:RepositoryFile clawft-pr-gates: content") || !strings.Contains(ran.log, "999") {
			t.Errorf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
	})
}

// Whatever a preview shows is drift, whichever resource it is about, except a
// provider that is given another credential and nothing else.
func TestOnlyARotatedCredentialIsNoDrift(t *testing.T) {
	const key = "KEY"
	ops := []string{
		"same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced", "read", "read-replacement", "refresh",
		"discard", "discard-replaced", "remove-pending-replace", "import", "import-replacement", "another-one", "",
	}
	types := []string{
		"pulumi:providers:hcloud", "pulumi:providers:github", "pulumi:pulumi:Stack", "clawft:index:Host$hcloud:index/server:Server",
		"clawft:index:Gateway$command:remote:Command", "clawft:index:Image$docker-build:index:Image", "test:pulumi:providers:Thing",
		"clawft:index:Gates$command:local:Command", "test:command:remote:Command",
	}
	changes := map[string]any{
		"nothing":              object{},
		"a token":              object{"diffReasons": []string{"token"}, "detailedDiff": object{"token": object{"kind": "update"}}},
		"an app's key":         object{"diffReasons": []string{"appAuth"}, "detailedDiff": object{"appAuth.pemFile": object{"kind": "update"}}},
		"an endpoint":          object{"diffReasons": []string{"endpoint"}},
		"a token and more":     object{"diffReasons": []string{"endpoint", "token"}},
		"a token, in detail":   object{"detailedDiff": object{"token": object{}, "owner": object{}}},
		"a token that is not":  object{"diffReasons": []string{"tokenizer"}},
		"a release":            object{"diffReasons": []string{"stdin"}},
		"a release, replacing": object{"diffReasons": []string{"stdin"}, "replaceReasons": []string{"triggers"}},
		"a script":             object{"diffReasons": []string{"create", "stdin"}},
		"a token, replacing":   object{"diffReasons": []string{"token"}, "replaceReasons": []string{"owner"}},
	}
	type planted struct {
		step object
		want map[bool]string // by whether the registry's password is another
	}
	var all []planted
	for _, op := range ops {
		for _, typ := range types {
			for name, change := range changes {
				for _, differs := range []bool{false, true} {
					before, after := object{"token": "[secret]", "owner": "clawft"}, object{"token": "[secret]", "owner": "clawft"}
					if differs {
						after["owner"] = "somebody"
					}
					step := object{"op": op, "urn": "urn:pulumi:prod::clawft::" + typ + "::" + key, "oldState": object{"inputs": before}, "newState": object{"inputs": after}}
					maps.Copy(step, change.(object))
					want := "drift"
					switch {
					case slices.Contains([]string{"same", "read", "refresh"}, op):
						want = ""
					case op == "update" && strings.HasPrefix(typ, "pulumi:providers:") && !differs && (name == "a token" || name == "an app's key"):
						want = "credential"
					}
					withRegistry := want
					if op == "update" && name == "a release" && strings.Contains("$"+typ, "$command:") {
						withRegistry = "credential"
					}
					all = append(all, planted{step, map[bool]string{false: want, true: withRegistry}})
				}
			}
		}
	}
	var steps []object
	for i, p := range all {
		p.step["urn"] = strings.Replace(p.step["urn"].(string), key, fmt.Sprintf("name-%d", i), 1)
		steps = append(steps, p.step)
	}
	number := regexp.MustCompile(` name-(\d+)(?::|$)`)
	for _, registry := range []bool{false, true} {
		judged, err := judge(t, object{"steps": steps}, registry)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for line := range strings.Lines(judged) {
			kind, text, _ := strings.Cut(strings.TrimSpace(line), "\t")
			got[number.FindStringSubmatch(text)[1]] = kind
		}
		for i, p := range all {
			if got := got[strconv.Itoa(i)]; got != p.want[registry] {
				t.Errorf("judged %q with registry %t, want %q: %v", got, registry, p.want[registry], p.step)
			}
		}
	}

	for _, broken := range []any{object{}, object{"steps": nil}, object{"steps": "none"}, []any{}} {
		if out, err := judge(t, broken, false); err == nil {
			t.Errorf("%v was taken for a preview that says %q", broken, out)
		}
	}
}

func judge(t *testing.T, preview any, registry bool) (string, error) {
	t.Helper()
	path := event(t, preview)
	out, err := exec.Command("jq", "--null-input", "-r", "--argjson", "registry", strconv.FormatBool(registry), "-f", "../../.github/scripts/drift.jq", path).Output()
	return string(out), err
}

// standInPulumi answers drift.sh from files: history (one line for each time it
// is asked, the last one again), outputs, preview.
const standInPulumi = `#!/bin/bash
set -eu
case "$1 ${2-}" in
"stack select") [[ ! -e $FAKE/absent ]] || { echo "error: no stack named prod found" >&2; exit 1; } ;;
"stack history")
  head -n 1 "$FAKE/history"
  if (($(wc -l <"$FAKE/history") > 1)); then sed -i 1d "$FAKE/history"; fi
  ;;
"stack output") cat "$FAKE/outputs" ;;
"config get") exit 1 ;;
"config rm" | "config set") ;;
preview*) cat "$FAKE/preview"; [[ ! -e $FAKE/fails ]] ;;
*) echo "pulumi $*: unknown here" >&2; exit 1 ;;
esac
`

func TestDriftIsNotGreenByAccident(t *testing.T) {
	const some, none = `{"version":"0.6.19","gateways":{}}`, `{}`
	const clean, drifted = `{"steps":[{"op":"same","urn":"urn:pulumi:prod::clawft::pulumi:pulumi:Stack::prod"}]}`,
		`{"steps":[{"op":"delete","urn":"urn:pulumi:prod::clawft::hcloud:index/server:Server::gw-1"}]}`
	update := func(kind, result, commit, more string) string {
		return fmt.Sprintf(`{"kind":%q,"result":%q,"startTime":"T","environment":{"git.head":%q%s}}`, kind, result, commit, more)
	}
	gone := strings.Repeat("d", 40)
	for _, test := range []struct {
		name             string
		history          []string // of each time; HEAD stands for this checkout
		outputs, preview string
		file             string // that exists beside them
		green            bool
		want             string
	}{
		{"as deployed", []string{update("update", "succeeded", "HEAD", "")}, some, clean, "", true, "prod was deployed from "},
		{"another change came after it", []string{update("refresh", "succeeded", gone, "") + "," + update("update", "succeeded", "HEAD", "")}, some, clean, "", true, "prod was deployed from "},
		{"no stack", nil, none, clean, "absent", true, "does not exist yet"},
		{"nothing deployed", []string{""}, none, clean, "", true, "nothing was deployed yet"},
		{"nothing but a preview", []string{update("preview", "succeeded", "HEAD", "")}, none, clean, "", true, "nothing was deployed yet"},
		{"destroyed", []string{update("destroy", "succeeded", "HEAD", "") + "," + update("update", "succeeded", "HEAD", "")}, none, clean, "", true, "was destroyed"},
		{"not destroyed after all", []string{update("destroy", "failed", "HEAD", "") + "," + update("update", "succeeded", "HEAD", "")}, some, clean, "", false, "the last change of prod failed (destroy of T"},
		{"a history that was lost", []string{""}, some, clean, "", false, "its history has no update"},
		{"a release that failed", []string{update("update", "failed", "HEAD", "")}, some, clean, "", false, "the last change of prod failed (update of T"},
		{"a first release that failed", []string{update("update", "failed", "HEAD", "")}, none, clean, "", false, "the last change of prod failed"},
		{"a release that runs", []string{update("update", "in-progress", "HEAD", "")}, some, clean, "", false, "prod is being updated"},
		{"no git", []string{update("update", "succeeded", "", "")}, some, clean, "", false, "not deployed from a git checkout"},
		{"a commit that is gone", []string{update("update", "succeeded", gone, "")}, some, clean, "", false, "which no branch and no tag of this repository has"},
		{"something that is no commit", []string{update("update", "succeeded", "--help", "")}, some, clean, "", false, "which no branch and no tag of this repository has"},
		{"changes that were not committed", []string{update("update", "succeeded", "HEAD", `,"git.dirty":"true"`)}, some, clean, "", true, "::warning::prod was deployed from "},
		{"what a release sets is no such change", []string{update("update", "succeeded", "HEAD", `,"git.dirty":"true","ci.system":"GitHub Actions"`)}, some, clean, "", true, "prod was deployed from "},
		{"drifted", []string{update("update", "succeeded", "HEAD", "")}, some, drifted, "", false, "prod has drifted: delete of hcloud:index/server:Server gw-1"},
		{"a preview that fails", []string{update("update", "succeeded", "HEAD", "")}, some, `{"steps":[],"diagnostics":[{"severity":"error","message":"401"}]}`, "fails", false, "its preview failed"},
		{"a preview that says nothing", []string{update("update", "succeeded", "HEAD", "")}, some, ``, "", false, "is not understood"},
		{"a preview in another form", []string{update("update", "succeeded", "HEAD", "")}, some, `{"plan":[]}`, "", false, "is not understood"},
		{"a release meanwhile", []string{update("update", "succeeded", "HEAD", ""), strings.Replace(update("update", "succeeded", "HEAD", ""), `"T"`, `"T2"`, 1), update("destroy", "succeeded", "HEAD", "")},
			some, clean, "", true, "was updated meanwhile; comparing again"},
		{"releases all the time", []string{"1", "2", "3", "4", "5", "6", "7"}, some, clean, "", false, "was updated three times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository, fake := t.TempDir(), t.TempDir()
			write(t, filepath.Join(fake, "pulumi"), []byte(standInPulumi))
			if err := os.Chmod(filepath.Join(fake, "pulumi"), 0o755); err != nil {
				t.Fatal(err)
			}
			r := &runner{}
			r.command(t, "../..", "cp", "-r", ".github", repository)
			write(t, filepath.Join(repository, "cloud-init/host/deploy.sh"), nil)
			r.command(t, repository, "git", "init", "--quiet")
			r.commit(t, repository, "This repository")
			head := strings.TrimSpace(r.output(t, repository, "git", "rev-parse", "HEAD"))
			var history strings.Builder
			for _, updates := range test.history {
				if len(updates) == 1 { // only when it was counts
					updates = strings.Replace(update("update", "succeeded", "HEAD", ""), `"T"`, `"T`+updates+`"`, 1)
				}
				history.WriteString("[" + strings.ReplaceAll(updates, "HEAD", head) + "]\n")
			}
			for name, content := range map[string]string{"history": history.String(), "outputs": test.outputs, "preview": test.preview} {
				write(t, filepath.Join(fake, name), []byte(content))
			}
			if test.file != "" {
				write(t, filepath.Join(fake, test.file), nil)
			}
			cmd := exec.Command("bash", ".github/scripts/drift.sh", "prod")
			cmd.Dir = repository
			cmd.Env = append(os.Environ(), "PATH="+fake+":"+os.Getenv("PATH"), "FAKE="+fake)
			out, err := cmd.CombinedOutput()
			if (err == nil) != test.green || !strings.Contains(string(out), test.want) {
				t.Errorf("it ended with %v, and does not say %q:\n%s", err, test.want, out)
			}
			if left := r.output(t, repository, "git", "worktree", "list"); strings.Count(left, "\n") != 1 {
				t.Errorf("it left a checkout behind:\n%s", left)
			}
		})
	}
}
