// Package policy says who may sign what a host runs. It is installed when the host is made ready, apart from
// releases, so that no release can drop or change what is demanded of it.
package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/clawft/infra/host/document"
	"github.com/clawft/infra/host/release"
	"github.com/clawft/infra/signature"
)

// Path is where a host keeps its policy.
const Path = "/etc/clawft/policy.json"

// File verifies releases by the policy in a file, which is read each time. Where it cannot be read, nothing
// passes.
type File string

// Verify implements deploy.Verifier. A release that brings keys of its own is not believed.
func (f File) Verify(ctx context.Context, r release.Release) error {
	policy, err := f.Read()
	if err != nil {
		return err
	}
	keys, err := signature.ParsePublicKeys(policy.Signers)
	if err != nil {
		return fmt.Errorf("reading %s: %w; pulumi up writes it anew", string(f), err)
	}
	if len(keys) == 0 {
		return nil
	}
	const remedy = "%w; a new key is added to clawft:image.publicKeys before images are signed with it (docs/signatures.md)"
	if r.Signature == nil || len(r.Signature.Signature) == 0 {
		return fmt.Errorf("the image is not signed, and this host demands a signature (%s)", string(f))
	}
	if err := r.Signature.Verify(ctx, r.Digest(), keys...); err != nil {
		return fmt.Errorf("the image's signature does not do: "+remedy, err)
	}
	return nil
}

// Read reads the policy. It refuses one that others than the owner of this process may have written.
func (f File) Read() (document.Policy, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return document.Policy{}, fmt.Errorf("%s is missing, so that nothing says who may sign: prepare the host first (pulumi up)", string(f))
	}
	if err != nil {
		return document.Policy{}, fmt.Errorf("reading the policy: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return document.Policy{}, fmt.Errorf("reading the policy: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return document.Policy{}, fmt.Errorf("%s may have been written by others than root: see who did, then chown root:root and chmod 0644", string(f))
	}
	var policy document.Policy
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil {
		return document.Policy{}, fmt.Errorf("reading %s: %w; pulumi up writes it anew", string(f), err)
	}
	if policy.Signers == nil {
		return document.Policy{}, fmt.Errorf("reading %s: it names no signers; pulumi up writes it anew", string(f))
	}
	return policy, nil
}
