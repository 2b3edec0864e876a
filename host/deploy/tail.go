package deploy

import (
	"bytes"
	"io"
	"sync"
)

// lineLength is how much of a line is kept, in bytes.
const lineLength = 1 << 10

// tail passes on what a gateway writes, and keeps the last lines.
type tail struct {
	to io.Writer

	mutex sync.Mutex
	lines []string
	rest  []byte
}

// Write implements io.Writer.
func (t *tail) Write(text []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, line := range bytes.SplitAfter(text, []byte("\n")) {
		ended := bytes.HasSuffix(line, []byte("\n"))
		line = bytes.TrimRight(line, "\r\n")
		t.rest = append(t.rest, line[:min(len(line), max(0, lineLength-len(t.rest)))]...)
		if !ended {
			continue
		}
		t.lines = append(t.lines, string(t.rest))
		t.lines = t.lines[max(0, len(t.lines)-logLines):]
		t.rest = t.rest[:0]
	}
	return t.to.Write(text)
}

// last are the lines that were kept.
func (t *tail) last() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	lines := append([]string(nil), t.lines...)
	if len(t.rest) > 0 {
		lines = append(lines, string(t.rest))
	}
	return lines[max(0, len(lines)-logLines):]
}
