package proxy

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// closeFrame is a WebSocket's last frame: status 1012, the service is restarting (registered
// with IANA, after RFC 6455).
var closeFrame = []byte{0x88, 2, 1012 >> 8, 1012 & 0xff}

// websocket is a client's connection after the upgrade.
type websocket struct {
	net.Conn

	mu     sync.Mutex
	frames frames
	wanted bool
	over   bool
}

// Write passes on what the gateway says. After the last frame, all of it is dropped.
func (s *websocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return len(p), nil
	}
	pass := 0
	for pass < len(p) && !(s.wanted && s.frames.between()) {
		pass += s.frames.next(p[pass:])
	}
	if n, err := s.Conn.Write(p[:pass]); err != nil {
		return n, err
	}
	if s.wanted {
		s.finish()
	}
	return len(p), nil
}

// CloseWrite lets one half of the connection end before the other.
func (s *websocket) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// finish says goodbye if that may be said here. The client confirms; the gateway gets that from
// the client, closes in turn, and so the connection ends. It needs the lock.
func (s *websocket) finish() {
	if !s.frames.between() {
		return
	}
	s.over = true
	if !s.frames.closed {
		// The connection is closed soon, whatever becomes of this.
		_, _ = s.Conn.Write(closeFrame)
	}
}

func (s *websocket) end() {
	// Not only after the lock: whoever has it may be waiting for a client that reads nothing.
	time.AfterFunc(endingTime, func() { _ = s.Conn.Close() })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted {
		return
	}
	s.wanted = true
	s.finish()
}

// frames knows where a WebSocket's frames begin and end.
type frames struct {
	header [14]byte
	have   int    // how much of the header
	left   uint64 // how much of the payload is to come
	closed bool   // a close frame has passed
}

// between tells whether the next byte begins a frame.
func (f *frames) between() bool { return f.have == 0 }

// size is how long the header is, as far as that is known.
func (f *frames) size() int {
	size := 2
	if f.have < 2 {
		return size
	}
	switch f.header[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.header[1]&0x80 != 0 {
		size += 4
	}
	return size
}

func (f *frames) payload() uint64 {
	switch length := f.header[1] & 0x7f; length {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(length)
	}
}

// next follows p to the end of a frame, or to its own.
func (f *frames) next(p []byte) int {
	n := 0
	if f.left == 0 {
		for n < len(p) && f.have < f.size() {
			f.header[f.have] = p[n]
			f.have++
			n++
		}
		if f.have < f.size() {
			return n
		}
		f.left = f.payload()
		f.closed = f.closed || f.header[0]&0x0f == 8
	}
	pass := min(f.left, uint64(len(p)-n))
	f.left -= pass
	if f.left == 0 {
		f.have = 0
	}
	return n + int(pass)
}
