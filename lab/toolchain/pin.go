package toolchain

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// pin is what a tool's go.mod says about the tool itself.
type pin struct {
	Package string
	Version string
}

// pin reads the tool's go.mod, the one place where its version is written.
func (t Tool) pin(ctx context.Context, root string) (pin, error) {
	file := filepath.Join("tools", t.Name, "go.mod")
	out, err := goCommand(ctx, t.dir(root), "mod", "edit", "-json").Output()
	if err != nil {
		return pin{}, fmt.Errorf("reading %s: %w", file, withStderr(err))
	}
	var mod struct {
		Tool    []struct{ Path string }
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return pin{}, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(mod.Tool) != 1 {
		return pin{}, fmt.Errorf("reading %s: it has %d tool directives, exactly one is right", file, len(mod.Tool))
	}
	p := pin{Package: mod.Tool[0].Path}
	module := ""
	for _, r := range mod.Require {
		// The longest match, since a module's path can be the beginning of another's.
		inside := p.Package == r.Path || strings.HasPrefix(p.Package, r.Path+"/")
		if inside && len(r.Path) > len(module) {
			module, p.Version = r.Path, r.Version
		}
	}
	if module == "" {
		return pin{}, fmt.Errorf("reading %s: no required module holds the tool %s; run `go get -tool %s@VERSION` there",
			file, p.Package, p.Package)
	}
	return p, nil
}
