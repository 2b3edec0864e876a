package toolchain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// release is what a tool's authors publish of one version, as
// tools/<name>/release.json describes it.
type release struct {
	// Version is the pinned one, or the release is out of date and not used.
	Version string `json:"version"`
	// Checksums says who vouches for the checksums.
	Checksums string `json:"checksums"`
	// Files are by platform, such as linux/amd64. A platform whose checksum is not
	// known is absent.
	Files map[string]releaseFile `json:"files"`
}

// releaseFile is what is downloaded.
type releaseFile struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	// Member is the program's path in a compressed tar archive; empty if the file
	// is the program itself.
	Member string `json:"member,omitempty"`
}

// releaseFile is what there is for a platform, or nil.
func (t Tool) releaseFile(root, version, platform string) (*releaseFile, error) {
	r, err := t.release(root)
	if err != nil || r == nil || r.Version != version {
		return nil, err
	}
	file, known := r.Files[platform]
	if !known {
		return nil, nil
	}
	return &file, nil
}

// release reads the tool's release.json, or returns nil if it has none.
func (t Tool) release(root string) (*release, error) {
	content, err := os.ReadFile(filepath.Join(t.dir(root), "release.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is published of %s: %w", t.Name, err)
	}
	var r release
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("reading tools/%s/release.json: %w", t.Name, err)
	}
	return &r, nil
}
