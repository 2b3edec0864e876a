package proxy

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// recorded is a connection of which only what is written matters.
type recorded struct {
	net.Conn
	bytes.Buffer
	closed chan struct{}
}

func (r *recorded) Write(p []byte) (int, error) { return r.Buffer.Write(p) }
func (r *recorded) Read(p []byte) (int, error)  { return r.Buffer.Read(p) }
func (r *recorded) Close() error {
	close(r.closed)
	return nil
}

// frame is a WebSocket's, as a server sends it, or a client with a mask.
func frame(opcode byte, payload []byte, masked bool) []byte {
	f := []byte{0x80 | opcode, 0}
	switch n := len(payload); {
	case n < 126:
		f[1] = byte(n)
	case n < 1<<16:
		f[1] = 126
		f = binary.BigEndian.AppendUint16(f, uint16(n))
	default:
		f[1] = 127
		f = binary.BigEndian.AppendUint64(f, uint64(n))
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 0, 0, 0, 0) // a mask that changes nothing
	}
	return append(f, payload...)
}

// TestWebSocketClosesBetweenFrames ends a connection after each of its bytes: the client gets whole
// frames, then one that closes with 1012, and nothing more.
func TestWebSocketClosesBetweenFrames(t *testing.T) {
	frames := [][]byte{frame(1, []byte("hello"), false), frame(9, nil, false), frame(2, bytes.Repeat([]byte("x"), 126), false),
		frame(1, nil, true), frame(2, bytes.Repeat([]byte("y"), 1<<16), false), frame(1, []byte("end"), true)}
	text := bytes.Join(frames, nil)
	borders := map[int]bool{0: true}
	border := 0
	for _, f := range frames {
		border += len(f)
		borders[border] = true
	}
	for at := 0; at <= len(text); at++ {
		if at > 400 && at < 1<<16+100 {
			continue // within one payload
		}
		conn := &recorded{closed: make(chan struct{}, 2)}
		s := &websocket{Conn: conn}
		if _, err := s.Write(text[:at]); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock() // end waits for no timer here
		s.wanted = true
		s.finish()
		s.mu.Unlock()
		for rest := text[at:]; len(rest) > 0; {
			n := min(len(rest), 1000)
			if written, err := s.Write(rest[:n]); err != nil || written != n {
				t.Fatalf("write: %d, %v", written, err)
			}
			rest = rest[n:]
		}
		before, ok := bytes.CutSuffix(conn.Bytes(), closeFrame)
		if !ok || !bytes.HasPrefix(text, before) || !borders[len(before)] || len(before) < at {
			t.Fatalf("ended after %d bytes: %d bytes arrived, closed: %v", at, len(before), ok)
		}
	}
}

// TestWebSocketThatIsClosing: the gateway has said goodbye itself, and nothing is said after that.
func TestWebSocketThatIsClosing(t *testing.T) {
	conn := &recorded{closed: make(chan struct{}, 2)}
	s := &websocket{Conn: conn}
	goodbye := frame(8, []byte{1000 >> 8, 1000 & 0xff}, false)
	if _, err := s.Write(goodbye); err != nil {
		t.Fatal(err)
	}
	s.end()
	if !bytes.Equal(conn.Bytes(), goodbye) {
		t.Errorf("the client got % x", conn.Bytes())
	}
	select {
	case <-conn.closed:
	case <-time.After(2 * endingTime):
		t.Error("the connection of a client that does not answer stays open")
	}
}
