package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// message is one line of a session file.
type message struct {
	ID       string    `json:"id"`
	Session  string    `json:"session"`
	Content  string    `json:"content"`
	Version  string    `json:"version"` // of the gateway that stored it
	Received time.Time `json:"received"`
}

// header is the first line of a session file.
type header struct {
	Type    string    `json:"_type"`
	Created time.Time `json:"created_at"`
}

// sessionKey is what may name a session, which also names its file.
var sessionKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// store appends messages to one JSONL file per session, as the real gateway
// does. It never removes doubles: they are what tests look for.
type store struct {
	dir string
	mu  sync.Mutex
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &store{dir: dir}, nil
}

func (s *store) append(m message) error {
	if !sessionKey.MatchString(m.Session) {
		return badRequest{fmt.Errorf("session %q: want %s", m.Session, sessionKey)}
	}
	if m.ID == "" {
		return badRequest{fmt.Errorf(`message without "id"`)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.OpenFile(filepath.Join(s.dir, m.Session+".jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening session: %w", err)
	}
	defer file.Close()
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	if info, err := file.Stat(); err == nil && info.Size() == 0 {
		if err := encoder.Encode(header{Type: "metadata", Created: m.Received}); err != nil {
			return fmt.Errorf("encoding session header: %w", err)
		}
	}
	if err := encoder.Encode(m); err != nil {
		return fmt.Errorf("encoding message: %w", err)
	}
	// One write: a process that is killed leaves the whole line or nothing.
	if _, err := file.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("appending to session: %w", err)
	}
	return nil
}

// messages returns those of one session, or of all for "".
func (s *store) messages(session string) ([]message, error) {
	pattern := "*.jsonl"
	if session != "" {
		if !sessionKey.MatchString(session) {
			return nil, badRequest{fmt.Errorf("session %q: want %s", session, sessionKey)}
		}
		pattern = session + ".jsonl"
	}
	files, err := filepath.Glob(filepath.Join(s.dir, pattern))
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	all := []message{}
	for _, file := range files {
		if err := eachLine(file, func(line []byte) error {
			var kind header
			if err := json.Unmarshal(line, &kind); err != nil || kind.Type != "" {
				return err
			}
			var m message
			err := json.Unmarshal(line, &m)
			all = append(all, m)
			return err
		}); err != nil {
			return nil, fmt.Errorf("reading session %s: %w", filepath.Base(file), err)
		}
	}
	return all, nil
}

func eachLine(path string, visit func([]byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 2<<20)
	for lines.Scan() {
		if err := visit(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}
