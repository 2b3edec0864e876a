package dockerbuild

import (
	"bytes"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
)

// progress passes on what buildx prints, as the status of the resource, and
// keeps it for the case that the command fails.
type progress struct {
	log  p.Logger
	rest []byte // the beginning of a line
	all  bytes.Buffer
}

func newProgress(log p.Logger) *progress { return &progress{log: log} }

// Write takes buildx' output.
func (w *progress) Write(data []byte) (int, error) {
	w.all.Write(data)
	w.rest = append(w.rest, data...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(data), nil
		}
		w.rest = rest
		w.log.InfoStatus(string(line))
	}
}

// end clears the status.
func (w *progress) end() { w.log.InfoStatus("") }

func (w *progress) everything() string { return w.all.String() }

// reason is what buildx gives as the cause of its failure.
func (w *progress) reason(err error) string {
	lines := strings.Split(strings.TrimSpace(w.all.String()), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if reason, ok := strings.CutPrefix(lines[i], "ERROR: "); ok {
			return strings.Join(append([]string{reason}, lines[i+1:]...), "\n")
		}
	}
	return err.Error() + ": " + lines[len(lines)-1]
}
