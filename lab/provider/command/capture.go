package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
)

// capture keeps what a command prints, and shows the lines that may be shown.
type capture struct {
	log func(line string)

	mu             sync.Mutex // stdout and stderr are written concurrently
	both           bytes.Buffer
	stdout, stderr stream
}

// stream is one of the two outputs.
type stream struct {
	of    *capture
	shown bool
	all   bytes.Buffer
	line  []byte // begun, not yet shown
}

var _ io.Writer = (*stream)(nil)

func newCapture(ctx context.Context, l logging) *capture {
	c := &capture{log: p.GetLogger(ctx).InfoStatus}
	c.stdout = stream{of: c, shown: l.showsStdout()}
	c.stderr = stream{of: c, shown: l.showsStderr()}
	return c
}

func (s *stream) Write(data []byte) (int, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.all.Write(data)
	s.of.both.Write(data)
	if s.shown {
		s.line = append(s.line, data...)
		for {
			line, rest, found := bytes.Cut(s.line, []byte("\n"))
			if !found {
				break
			}
			s.of.log(strings.TrimSuffix(string(line), "\r"))
			s.line = rest
		}
	}
	return len(data), nil
}

// end shows what has no newline, and turns the command's end into its output or
// an error with everything it printed.
func (c *capture) end(command string, err error) (output, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range []*stream{&c.stdout, &c.stderr} {
		if len(s.line) > 0 {
			c.log(string(s.line))
		}
	}
	if err != nil {
		return output{}, fmt.Errorf("%w: running %q:\n%s", err, command, c.both.String())
	}
	return output{
		Stdout: strings.TrimSuffix(c.stdout.all.String(), "\n"),
		Stderr: strings.TrimSuffix(c.stderr.all.String(), "\n"),
	}, nil
}
