package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/clawft/infra/lab/bases"
	"github.com/clawft/infra/lab/gateway/image"
	"github.com/clawft/infra/lab/stack"
)

// DefaultVersion is the release that a new lab deploys.
const DefaultVersion = "0.6.19"

// gatewayContext is the build context of the lab's gateway, in the project's
// directory.
const gatewayContext = "gateway"

// Release says which gateway the lab deploys.
type Release struct {
	// Version is what the gateway reports and the stack expects.
	Version string `json:"version"`
	// Source is a directory or git URL of the real gateway; empty builds the
	// lab's own gateway.
	Source string `json:"source,omitempty"`
	// Fault is how the lab's gateway is broken, for trying failed deployments;
	// empty is a sound one.
	Fault string `json:"fault,omitempty"`
	// Settings override the stack's configuration, by path.
	Settings stack.Settings `json:"-"`
}

func (r Release) context() string {
	if r.Source != "" {
		return r.Source
	}
	return "./" + gatewayContext
}

func (r Release) dockerfile() string {
	if r.Source != "" {
		return "Dockerfile"
	}
	return filepath.Join(gatewayContext, "Dockerfile")
}

// wrongArchitecture is the fault of an image that holds another machine's
// program. It lies in the build, so the gateway itself does not know it.
const wrongArchitecture = "wrong-architecture"

// writeContext puts what the image is built from into the project's directory.
func (s *Site) writeContext(ctx context.Context, release Release) error {
	project := stack.ProjectDir(s.home)
	for _, name := range []string{"Dockerfile", "Dockerfile.dockerignore"} {
		content, err := os.ReadFile(filepath.Join(s.Root, name))
		if err != nil {
			return fmt.Errorf("reading the gateway's %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(project, name), content, 0o600); err != nil {
			return fmt.Errorf("copying the gateway's %s: %w", name, err)
		}
	}
	if release.Source != "" {
		var err error
		s.bases, err = bases.NamedContexts(ctx, Cache(s.Root), func(step string) { s.Log.Printf("%s", step) })
		return err
	}
	dir := filepath.Join(project, gatewayContext)
	if release.Fault != wrongArchitecture {
		return image.BuildContext(ctx, s.Root, dir, release.Version, release.Fault, []string{"linux/" + runtime.GOARCH})
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	if err := image.BuildContext(ctx, s.Root, dir, release.Version, "", []string{"linux/" + other}); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "linux", other), filepath.Join(dir, "linux", runtime.GOARCH))
}

func (s *Site) releaseFile() string { return filepath.Join(s.Dir, "release.json") }

// LastRelease is what the lab last deployed with success.
func (s *Site) LastRelease() (Release, error) {
	content, err := os.ReadFile(s.releaseFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Release{Version: DefaultVersion}, nil
	}
	var release Release
	if err == nil {
		err = json.Unmarshal(content, &release)
	}
	if err != nil {
		return Release{}, fmt.Errorf("reading the lab's last release: %w", err)
	}
	return release, nil
}

func (s *Site) rememberRelease(release Release) error {
	content, err := json.Marshal(release)
	if err != nil {
		return fmt.Errorf("encoding the release: %w", err)
	}
	if err := os.WriteFile(s.releaseFile(), content, 0o600); err != nil {
		return fmt.Errorf("noting the release: %w", err)
	}
	return nil
}
