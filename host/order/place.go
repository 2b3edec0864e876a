package order

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/clawft/infra/host/release"
)

const (
	// interval is how often one looks how far an order is.
	interval = 100 * time.Millisecond
	// stopTimeout is how long an order may take to be undone.
	stopTimeout = 15 * time.Minute
	// stale is how old what a client left behind is removed.
	stale = 24 * time.Hour
)

// ErrLeft says that whoever asked has gone, and the order was undone.
var ErrLeft = errors.New("whoever asked for it has gone")

// Place hands an order to its unit, shows its progress, and returns what became of it.
type Place struct {
	// Directory is Directory.
	Directory string
	// Units start and stop units; Restart waits for the end.
	Units interface {
		Restart(ctx context.Context, unit string) error
		Stop(ctx context.Context, unit string) error
	}
	// Progress takes the lines that the order says.
	Progress io.Writer
	// Gone ends when nobody reads any more what is said.
	Gone <-chan struct{}
}

// Order carries out one order.
func (p Place) Order(ctx context.Context, order Order) (release.Report, error) {
	if err := os.MkdirAll(p.Directory, 0o700); err != nil {
		return release.Report{}, fmt.Errorf("placing the order: %w", err)
	}
	p.forget()
	id := time.Now().UTC().Format("20060102T150405Z-") + rand.Text()[:6]
	desk := desk(filepath.Join(p.Directory, id))
	content, err := json.Marshal(order)
	if err == nil {
		err = os.Mkdir(string(desk), 0o700)
	}
	if err == nil {
		err = errors.Join(os.WriteFile(desk.progress(), nil, 0o600), os.WriteFile(desk.order(), content, 0o600))
	}
	if err != nil {
		return release.Report{}, fmt.Errorf("placing the order: %w", err)
	}
	defer os.RemoveAll(string(desk))
	done := make(chan error, 1)
	go func() { done <- p.Units.Restart(context.WithoutCancel(ctx), Unit(id)) }()
	left, err := p.follow(ctx, desk, done)
	if left {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return release.Report{}, errors.Join(ErrLeft, p.Units.Stop(stopping, Unit(id)))
	}
	// The unit fails when the order does; the report says why.
	if report, missing := desk.told(); missing == nil {
		return report, nil
	}
	return release.Report{}, fmt.Errorf("the unit ended without a report: %w; see: journalctl -u %s", err, Unit(id))
}

// follow shows the progress until the unit has ended, or whoever asked has gone.
func (p Place) follow(ctx context.Context, desk desk, done <-chan error) (left bool, err error) {
	progress, err := os.Open(desk.progress())
	if err != nil {
		return true, err
	}
	defer progress.Close()
	for {
		var ended bool
		select {
		case err = <-done:
			ended = true
		case <-ctx.Done():
			return true, ctx.Err()
		case <-p.Gone:
			return true, nil
		case <-time.After(interval):
		}
		_, copied := io.Copy(p.Progress, progress)
		switch {
		case ended:
			return false, err
		case copied != nil:
			return true, copied
		}
	}
}

// forget removes what clients left behind that were killed.
func (p Place) forget() {
	entries, err := os.ReadDir(p.Directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > stale {
			_ = os.RemoveAll(filepath.Join(p.Directory, entry.Name()))
		}
	}
}
