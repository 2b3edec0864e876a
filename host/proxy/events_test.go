package proxy

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestEventsEndAfterAnEvent ends a stream after each of its bytes, however it is cut into writes.
func TestEventsEndAfterAnEvent(t *testing.T) {
	for _, newline := range []string{"\n", "\r\n", "\r"} {
		const lines = ": hello\nevent: a\ndata: one\ndata: two\n\n: ping\n\n\ndata: x\n\n"
		text := strings.ReplaceAll(lines, "\n", newline)
		// Where a client has only complete events.
		whole := map[string]bool{"": true}
		for _, part := range []string{": hello\n", ": hello\nevent: a\ndata: one\ndata: two\n\n", ": hello\nevent: a\ndata: one\ndata: two\n\n: ping\n",
			": hello\nevent: a\ndata: one\ndata: two\n\n: ping\n\n", ": hello\nevent: a\ndata: one\ndata: two\n\n: ping\n\n\n", lines} {
			part = strings.ReplaceAll(part, "\n", newline)
			whole[part] = true
			if newline == "\r\n" {
				whole[strings.TrimSuffix(part, "\n")] = true // its second half changes nothing
			}
		}
		for size := 1; size <= 7; size++ {
			for at := 0; at <= len(text); at++ {
				var got bytes.Buffer
				cancelled := false
				e := &events{cancel: func() { cancelled = true }}
				for n := 0; n < len(text); n += size {
					if n >= at {
						e.end()
					}
					chunk := text[n:min(n+size, len(text))]
					if written, err := e.write(&got, []byte(chunk)); err != nil || written != len(chunk) {
						t.Fatalf("write: %d, %v", written, err)
					}
				}
				e.end()
				if !cancelled || !e.ended() {
					t.Fatalf("not ended: %q, asked after %d", text, at)
				}
				if !whole[got.String()] {
					t.Errorf("ended after %d bytes, in writes of %d: %q", at, size, got.String())
				}
				if !strings.HasPrefix(got.String(), text[:min(at/size*size, len(text))]) {
					t.Errorf("lost something from before: %q, asked after %d", got.String(), at)
				}
			}
		}
	}
}

// TestEventsEndWithinAnEvent: a gateway that stalls does not keep the stream.
func TestEventsEndWithinAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got bytes.Buffer
		e := &events{cancel: func() {}}
		if _, err := e.write(&got, []byte("data: half")); err != nil {
			t.Fatal(err)
		}
		e.end()
		time.Sleep(endingTime - time.Millisecond)
		if e.ended() {
			t.Error("ended too early")
		}
		time.Sleep(2 * time.Millisecond)
		if !e.ended() {
			t.Error("not ended")
		}
	})
}

// TestOpaqueEvents ends an encoded stream at once.
func TestOpaqueEvents(t *testing.T) {
	var got bytes.Buffer
	e := &events{opaque: true, cancel: func() {}}
	if _, err := e.write(&got, []byte("\x1f\x8b")); err != nil {
		t.Fatal(err)
	}
	if e.end(); !e.ended() {
		t.Error("not ended")
	}
}
