package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/command"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/site"
	"github.com/clawft/infra/lab/stack"
	"github.com/clawft/infra/lab/toolchain"
	"github.com/clawft/infra/pipeline"
	"github.com/clawft/infra/registry"
)

// labStack is the full name of the lab's stack in its own backend.
const labStack = "organization/" + stack.Project + "/" + site.StackName

// promotion runs a second stack of the product in the lab's backend. It has no
// hosts: what it would run is its output.
func promotion(t *testing.T) {
	repository, digest, _ := strings.Cut(tested.hosts(t).All()[0].Image, "@")
	login := serveRegistry(t)

	t.Run("the same digest", func(t *testing.T) {
		promoted := promotedStack(t, labStack, second, repository, login)
		if _, err := promoted.Preview(t.Context(), optpreview.SuppressProgress()); err != nil {
			t.Fatal(err)
		}
		result, err := promoted.Up(t.Context(), optup.SuppressProgress())
		if err != nil {
			t.Fatal(err)
		}
		if got := result.Outputs["digest"].Value; got != digest {
			t.Errorf("promoted was %v, while the other stack runs %s", got, digest)
		}
		if got, want := result.Outputs["image"].Value, repository+"@"+digest; got != want {
			t.Errorf("the image is %v, want %s", got, want)
		}
		// By the key of the stack that built it, which was verified.
		if got, want := fmt.Sprint(result.Outputs["publicKeys"].Value), fmt.Sprint(publicKeys(t)); got != want {
			t.Errorf("a signature is demanded by %s, want %s", got, want)
		}
	})
	for _, test := range []struct {
		name, from, version, repository string
		wanted                          []string
	}{
		{"another version", labStack, first, repository, []string{"clawft:version is " + first, "runs " + second}},
		{"another repository", labStack, second, "ghcr.io/clawft/clawft", []string{
			"clawft:image.repository is ghcr.io/clawft/clawft", "runs an image of " + repository,
		}},
		{"an unknown stack", "organization/clawft/nowhere", second, repository, []string{"organization/clawft/nowhere"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := promotedStack(t, test.from, test.version, test.repository, login).Up(t.Context(), optup.SuppressProgress())
			if err == nil {
				t.Fatal("it was promoted")
			}
			wantContains(t, err.Error(), test.wanted...)
		})
	}
}

// promotedStack opens a stack that promotes from another one.
func promotedStack(t *testing.T, from, version, repository string, login *registry.Login) *stack.Stack {
	t.Helper()
	// What builds nothing needs no Docker engine, in a preview or an update.
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	servers, err := provider.Set{"command": command.New(), "tls": tls.New()}.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(servers.Close)
	pulumi, err := toolchain.Ensure(t.Context(), tested.root, toolchain.Pulumi, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "Pulumi.promoted.yaml")
	if err := os.WriteFile(file, []byte("config: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := stack.Open(t.Context(), stack.Options{
		Dir:         site.Dir(tested.root, labName),
		Name:        "promoted",
		ProjectFile: filepath.Join(tested.root, "Pulumi.yaml"),
		StackFile:   file,
		Pulumi:      pulumi,
		Providers:   servers.Env(),
		Settings: stack.Settings{
			"clawft:version":           {Text: version},
			"clawft:image.repository":  {Text: repository},
			"clawft:image.promoteFrom": {Text: from},
			"clawft:image.username":    {Text: login.Username},
			"clawft:registryPullToken": {Text: login.Password, Secret: true},
		},
		Program: pipeline.Deploy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}
