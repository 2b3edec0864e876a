package order

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clawft/infra/host/release"
)

// host is what orders are carried out on, as far as they can tell, and the units that do it.
type host struct {
	t         *testing.T
	directory string

	mu sync.Mutex
	// did lists what was done, in order.
	did []string
	// work is what a deployment does; nil is nothing.
	work func(ctx context.Context)
	// die has the process of the unit end before its work.
	die bool
	// stop has the unit's process end, and ended is closed once the unit has.
	stop  context.CancelFunc
	ended chan struct{}
}

func newHost(t *testing.T) *host {
	return &host{t: t, directory: filepath.Join(t.TempDir(), "deploy"), ended: make(chan struct{})}
}

func (h *host) note(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did = append(h.did, what)
}

func (h *host) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.did, ", ")
}

func (h *host) Deploy(ctx context.Context, id string, r release.Release) release.Report {
	h.note("deploy " + r.Version)
	if h.work != nil {
		h.work(ctx)
	}
	if ctx.Err() != nil {
		h.note("undone")
		return release.Report{Deployment: id, Result: release.Failed, Cause: "stopped"}
	}
	return release.Report{Deployment: id, Result: release.Deployed, Gateway: r.Owner.Gateway}
}

func (h *host) Rollback(_ context.Context, id, gateway string) release.Report {
	h.note("rollback " + gateway)
	return release.Report{Deployment: id, Result: release.Failed, Cause: "there is nothing to go back to"}
}

func (h *host) Recover(_ context.Context, id string) (release.Report, error) {
	h.note("recover")
	return release.Report{Deployment: id, Result: release.Failed, Cause: "the deployment was killed"}, nil
}

// Restart runs the unit of an order, as systemd does: settling comes after it, twice.
func (h *host) Restart(_ context.Context, unit string) error {
	id := strings.TrimSuffix(strings.TrimPrefix(unit, "clawft-deploy@"), ".service")
	ctx, cancel := context.WithCancel(context.Background())
	defer close(h.ended)
	h.mu.Lock()
	h.stop = cancel
	h.mu.Unlock()
	var failure error
	if h.die {
		failure = errors.New("the unit failed: signal")
	} else {
		say, err := Progress(h.directory, id)
		if err == nil {
			say("first line")
			var report release.Report
			if report, err = Work(ctx, h, h.directory, id); err == nil && !report.OK() {
				err = errors.New("the unit failed: exit-code")
			}
			say("last line")
		}
		failure = err
	}
	for range 2 {
		if _, err := Settle(context.Background(), h, h.directory, id); err != nil {
			h.t.Errorf("settling: %v", err)
		}
	}
	cancel()
	return failure
}

// Stop waits until the unit has ended, as systemd does.
func (h *host) Stop(context.Context, string) error {
	h.note("stop")
	h.mu.Lock()
	stop := h.stop
	h.mu.Unlock()
	stop()
	<-h.ended
	return nil
}

func wanted() Order {
	return Order{Release: &release.Release{Version: "0.6.19", Owner: release.Owner{Gateway: "gw-1"}, Env: map[string]string{"KEY": "canary"}}}
}

// left demands that nothing of an order is left, least of all its secrets.
func (h *host) left(t *testing.T) {
	t.Helper()
	if entries, err := os.ReadDir(h.directory); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestOrders(t *testing.T) {
	for _, c := range []struct {
		name  string
		order Order
		die   bool
		want  release.Result
		cause string
		did   string
		said  string
	}{
		{"a release", wanted(), false, release.Deployed, "", "deploy 0.6.19", "first line\nlast line\n"},
		{"the way back", Order{Rollback: "gw-1"}, false, release.Failed, "there is nothing to go back to", "rollback gw-1", "first line\nlast line\n"},
		{"killed", wanted(), true, release.Failed, "the deployment was killed", "recover", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.die = c.die
			var said bytes.Buffer
			report, err := Place{Directory: h.directory, Units: h, Progress: &said, Gone: make(chan struct{})}.Order(t.Context(), c.order)
			if err != nil || report.Result != c.want || report.Cause != c.cause {
				t.Errorf("got %+v, %v", report, err)
			}
			if h.all() != c.did || said.String() != c.said {
				t.Errorf("it did %q and said %q; want %q, %q", h.all(), said.String(), c.did, c.said)
			}
			h.left(t)
		})
	}
}

// The order is taken before it is carried out: its secrets lie nowhere meanwhile.
func TestOrdersAreTaken(t *testing.T) {
	h := newHost(t)
	h.work = func(context.Context) {
		_ = filepath.WalkDir(h.directory, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if content, _ := os.ReadFile(path); bytes.Contains(content, []byte("canary")) {
				t.Errorf("%s holds a secret", path)
			}
			return nil
		})
	}
	if _, err := (Place{Directory: h.directory, Units: h, Progress: &bytes.Buffer{}, Gone: make(chan struct{})}).Order(t.Context(), wanted()); err != nil {
		t.Error(err)
	}
}

// deaf is a writer that nobody reads.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWhoeverAskedGoesAway(t *testing.T) {
	for name, leave := range map[string]func(p *Place, cancel context.CancelFunc){
		"its connection ended": func(p *Place, _ context.CancelFunc) {
			gone := make(chan struct{})
			close(gone)
			p.Gone = gone
		},
		"nobody reads":       func(p *Place, _ context.CancelFunc) { p.Progress = deaf{} },
		"it was interrupted": func(_ *Place, cancel context.CancelFunc) { time.AfterFunc(50*time.Millisecond, cancel) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			begun := make(chan struct{})
			h.work = func(ctx context.Context) {
				close(begun)
				<-ctx.Done()
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := Place{Directory: h.directory, Units: started{h, begun}, Progress: &bytes.Buffer{}, Gone: make(chan struct{})}
			leave(&p, cancel)
			if _, err := p.Order(ctx, wanted()); !errors.Is(err, ErrLeft) {
				t.Errorf("got %v", err)
			}
			if got := h.all(); got != "deploy 0.6.19, stop, undone" {
				t.Errorf("it did %q", got)
			}
			h.left(t)
		})
	}
}

// started stops a unit only once it has begun.
type started struct {
	*host
	begun chan struct{}
}

func (s started) Stop(ctx context.Context, unit string) error {
	<-s.begun
	return s.host.Stop(ctx, unit)
}

func TestUnitsThatDoNotStart(t *testing.T) {
	h := newHost(t)
	_, err := Place{Directory: h.directory, Units: broken{}, Progress: &bytes.Buffer{}, Gone: make(chan struct{})}.Order(t.Context(), wanted())
	if err == nil || !strings.Contains(err.Error(), "no such unit") || !strings.Contains(err.Error(), "journalctl -u clawft-deploy@") || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	h.left(t)
}

type broken struct{}

func (broken) Restart(context.Context, string) error { return errors.New("no such unit") }
func (broken) Stop(context.Context, string) error    { return nil }

// Only the names that Place gives are directories below the orders'.
func TestNames(t *testing.T) {
	h := newHost(t)
	for _, id := range []string{"", ".", "..", "../x", "20261130T101112Z-ABCDEF/..", "20261130T101112Z-abcdef"} {
		if _, err := Work(t.Context(), h, h.directory, id); err == nil || !strings.Contains(err.Error(), "is not an order's name") {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := Settle(t.Context(), h, h.directory, id); err == nil {
			t.Errorf("%q is settled", id)
		}
	}
	if _, err := Work(t.Context(), h, h.directory, "20261130T101112Z-ABCDEF"); err == nil || h.all() != "" {
		t.Errorf("what was not ordered was done: %v, %q", err, h.all())
	}
}

// What clients left behind that were killed is not kept for ever.
func TestForgets(t *testing.T) {
	h := newHost(t)
	old, young := filepath.Join(h.directory, "old"), filepath.Join(h.directory, "young")
	for _, path := range []string{old, young} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * stale)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if _, err := (Place{Directory: h.directory, Units: h, Progress: &bytes.Buffer{}, Gone: make(chan struct{})}).Order(t.Context(), wanted()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Error("what is old is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("what is new is gone")
	}
}
