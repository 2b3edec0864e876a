package sbom

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// maxFile bounds what is read of one file of an image, in bytes.
const maxFile = 512 << 20

// gateway is the program that hosts start, whatever the image's ENTRYPOINT is:
// cloud-init/host/launch.sh.
const gateway = "/usr/local/bin/weft"

const (
	dpkgStatus    = "/var/lib/dpkg/status"
	dpkgStatusDir = "/var/lib/dpkg/status.d/"
	osRelease     = "/usr/lib/os-release"
)

// content is what is read of an image for one platform.
type content struct {
	// program is the gateway; nil where it is no file but a link to one.
	program []byte
	// osRelease, dpkg and unpacked are files of the system: what it is, what dpkg
	// has installed, and what was unpacked without it, in the order of their names.
	osRelease, dpkg []byte
	unpacked        [][]byte
}

// read reads an image's layers; they are fetched as they are read.
func read(image v1.Image) (found content, err error) {
	files := mutate.Extract(image)
	defer func() { err = errors.Join(err, files.Close()) }()
	for archive := tar.NewReader(files); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return content{}, fmt.Errorf("reading the image's layers: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := found.take(path.Clean("/"+header.Name), archive, header.Size); err != nil {
			return content{}, err
		}
	}
	return found, nil
}

// take keeps a file if it tells something.
func (c *content) take(name string, file io.Reader, size int64) error {
	var into *[]byte
	switch {
	case name == gateway:
		into = &c.program
	case name == osRelease:
		into = &c.osRelease
	case name == dpkgStatus:
		into = &c.dpkg
	case strings.HasPrefix(name, dpkgStatusDir):
		c.unpacked = append(c.unpacked, nil)
		into = &c.unpacked[len(c.unpacked)-1]
	default:
		return nil
	}
	if size > maxFile {
		return fmt.Errorf("the image's %s has %d bytes, more than %d", name, size, maxFile)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("reading the image's %s: %w", name, err)
	}
	*into = text
	return nil
}
