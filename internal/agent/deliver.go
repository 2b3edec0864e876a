package agent

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/clawft/infra/internal/shell"
)

// Directory is where hosts keep the program, in a directory of its source's name.
const Directory = "/usr/local/lib/clawft"

// Path is where a host keeps the program of a source.
func Path(source string) string { return Directory + "/" + source + "/clawft-host" }

//go:embed receive.sh
var receive string

//go:embed receive.sh
var sources embed.FS

// Sources are the files that go to hosts apart from the program.
func Sources() fs.FS { return sources }

// Deliverer brings the program of one checkout to hosts. It builds it once for each architecture, and only
// when a host needs it.
type Deliverer struct {
	// Root is the checkout's directory, and Source its hash.
	Root, Source string

	mu    sync.Mutex
	built map[string]Binary
}

// Deliver sees to it that a host has the program, complete. Nothing on the host uses it until it is told to.
func (d *Deliverer) Deliver(ctx context.Context, host *shell.Shell, say func(string)) error {
	answer, err := host.Run(ctx, receive, "have", d.Source)
	if err != nil {
		return fmt.Errorf("asking for clawft-host: %w", err)
	}
	if answer == "yes" {
		return nil
	}
	binary, err := d.binary(ctx, answer, say)
	if err != nil {
		return err
	}
	answer, err = host.Run(ctx, receive, "copy", d.Source, binary.SHA256)
	if err != nil {
		return fmt.Errorf("looking for clawft-host: %w", err)
	}
	if answer == "yes" {
		return nil
	}
	say(fmt.Sprintf("uploading clawft-host, %.1f MB", float64(len(binary.Packed))/1e6))
	if err := host.Feed(ctx, binary.Packed, receive, "receive", d.Source, binary.SHA256); err != nil {
		return fmt.Errorf("uploading clawft-host: %w", err)
	}
	return nil
}

// binary builds the program unless it is there. Hosts that need it meanwhile wait for it.
func (d *Deliverer) binary(ctx context.Context, architecture string, say func(string)) (Binary, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if built, found := d.built[architecture]; found {
		return built, nil
	}
	for _, known := range Architectures {
		if architecture == known {
			built, err := Build(ctx, d.Root, d.Source, architecture, say)
			if err != nil {
				return Binary{}, err
			}
			if d.built == nil {
				d.built = map[string]Binary{}
			}
			d.built[architecture] = built
			return built, nil
		}
	}
	return Binary{}, fmt.Errorf("the machine's architecture is %q; x86_64 (amd64) and aarch64 (arm64) are supported", strings.TrimSpace(architecture))
}
