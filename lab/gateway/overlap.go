package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// overlap records that a gateway started on a data directory that another one
// was still using.
type overlap struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"` // of the gateway that came second
	PID     int       `json:"pid"`
}

func overlapFile(data string) string { return filepath.Join(data, "overlaps.jsonl") }

// watchOverlap takes the data directory's lock for as long as the process lives.
// Where another gateway holds it, that is recorded and the start goes on: the
// real gateway starts as well, and the fault is for a test to find.
func watchOverlap(data string) error {
	lock, err := os.OpenFile(filepath.Join(data, "gateway.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("opening lock: %w", err)
	}
	// Collected, the file would be closed and the lock lost.
	heldLocks = append(heldLocks, lock)
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return nil
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("locking %s: %w", data, err)
	}
	fmt.Fprintf(os.Stderr, "WARN another gateway is running on %s\n", data)
	if err := recordOverlap(data); err != nil {
		return err
	}
	// A third gateway must meet this one's lock once the first has gone.
	go func() { _ = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX) }()
	return nil
}

// heldLocks keeps what holds a lock until the process ends.
var heldLocks []*os.File

func recordOverlap(data string) error {
	file, err := os.OpenFile(overlapFile(data), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("recording overlap: %w", err)
	}
	defer file.Close()
	err = json.NewEncoder(file).Encode(overlap{Time: time.Now().UTC(), Version: version, PID: os.Getpid()})
	if err != nil {
		return fmt.Errorf("recording overlap: %w", err)
	}
	return nil
}

func readOverlaps(data string) ([]overlap, error) {
	all := []overlap{}
	err := eachLine(overlapFile(data), func(line []byte) error {
		var o overlap
		err := json.Unmarshal(line, &o)
		all = append(all, o)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading overlaps: %w", err)
	}
	return all, nil
}
