package proxy

import (
	"io"
	"sync"
	"time"
)

// endingTime is how long a stream may take to end in its protocol's own way: an event to become
// complete, a client to confirm that a WebSocket is closed.
const endingTime = 2 * time.Second

// events is a stream of server-sent events on its way to a client. It ends after a complete
// event, so that the client takes it for the end and not for a fault, and connects again.
type events struct {
	// opaque streams are encoded: where an event ends is not seen.
	opaque bool
	// cancel ends the gateway's half.
	cancel func()

	mu     sync.Mutex
	line   bool // within a line
	note   bool // which is a comment
	event  bool // within an event
	cr     bool // the last byte was a carriage return
	wanted bool
	over   bool
}

// complete tells whether a client has no part of an event. It needs the lock.
func (e *events) complete() bool { return e.opaque || !e.line && !e.event }

// scan follows p and returns its length, or how much of it leads to the end of an event.
func (e *events) scan(p []byte, stop bool) int {
	for n, b := range p {
		switch {
		case b == '\n' && e.cr:
			e.cr = false
			continue
		case b == '\n' || b == '\r':
			e.event = e.line && (e.event || !e.note)
			e.line, e.note = false, false
		case !e.line:
			e.line, e.note = true, b == ':'
		}
		e.cr = b == '\r'
		if stop && e.complete() {
			if e.cr && n+1 < len(p) && p[n+1] == '\n' {
				n++
			}
			return n + 1
		}
	}
	return len(p)
}

// write passes p on. What comes after the end is dropped.
func (e *events) write(w io.Writer, p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return len(p), nil
	}
	pass := p[:e.scan(p, e.wanted)]
	if e.wanted && e.complete() {
		e.finish()
	}
	if n, err := w.Write(pass); err != nil {
		return n, err
	}
	return len(p), nil
}

// finish needs the lock.
func (e *events) finish() {
	e.over = true
	e.cancel()
}

func (e *events) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || e.wanted {
		return
	}
	e.wanted = true
	if e.complete() {
		e.finish()
		return
	}
	// A client drops an event that was not completed.
	time.AfterFunc(endingTime, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.finish()
	})
}

func (e *events) ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.over
}
