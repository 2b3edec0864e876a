package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// apiConfig lets the system choose the port; the log tells which it is.
const apiConfig = `{"agents":{"defaults":{"workspace":"~/.clawft/workspace"}},
 "gateway":{"host":"127.0.0.1","apiPort":0,"apiEnabled":true}}`

var listening = regexp.MustCompile(`API listening on (http://\S+)`)

// running is a gateway process.
type running struct {
	*exec.Cmd
	url  string
	log  *lockedBuffer
	done chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// start runs a gateway until its port is open.
func start(t *testing.T, home, fault string, flags uintptr) *running {
	t.Helper()
	g := &running{
		Cmd:  exec.Command(buildWeft(t, fault), "gateway", "--config", writeConfig(t, apiConfig)),
		log:  &lockedBuffer{},
		done: make(chan error, 1),
	}
	g.Env, g.Stderr = []string{"HOME=" + home}, g.log
	g.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	if err := g.Start(); err != nil {
		t.Fatalf("starting gateway (a PID namespace needs root): %v", err)
	}
	go func() { g.done <- g.Wait(); close(g.done) }()
	t.Cleanup(func() { _ = g.Process.Kill(); <-g.done })
	for range 100 {
		if found := listening.FindStringSubmatch(g.log.String()); found != nil {
			g.url = found[1]
			return g
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no port after 5 s; log: %s", g.log)
	return nil
}

// exit waits for the end and returns the exit code.
func (g *running) exit(t *testing.T, limit time.Duration) int {
	t.Helper()
	select {
	case <-g.done:
		return g.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("still running after %v; log: %s", limit, g.log)
		return 0
	}
}

func (g *running) get(t *testing.T, path string, into any) int {
	t.Helper()
	response, err := http.Get(g.url + path)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, response, into)
}

func (g *running) post(path, id string) (*http.Response, error) {
	return http.Post(g.url+path, "application/json", strings.NewReader(fmt.Sprintf(`{"id":%q,"content":"hello"}`, id)))
}

func decode(t *testing.T, response *http.Response, into any) int {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return response.StatusCode
}

type healthBody struct {
	Status, Version, Reason string
	Uptime                  *int `json:"uptime_secs"`
}

func TestHealth(t *testing.T) {
	g := start(t, t.TempDir(), "", 0)
	var health healthBody
	if code := g.get(t, "/api/health", &health); code != 200 || health.Status != "ok" || health.Version != "1.2.3" || health.Uptime == nil {
		t.Errorf("got %d %+v, want 200, ok, 1.2.3 and an uptime", code, health)
	}
	response, err := http.Get(g.url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 404 {
		t.Errorf("/health answers %d: the gateway has no such route", response.StatusCode)
	}
}

func TestSignals(t *testing.T) {
	t.Run("PID 1 ignores SIGTERM and stops on SIGINT", func(t *testing.T) {
		g := start(t, t.TempDir(), "", syscall.CLONE_NEWPID)
		_ = g.Process.Signal(syscall.SIGTERM)
		select {
		case <-g.done:
			t.Fatalf("SIGTERM ended it; log: %s", g.log)
		case <-time.After(500 * time.Millisecond):
		}
		_ = g.Process.Signal(syscall.SIGINT)
		if code := g.exit(t, 5*time.Second); code != 0 {
			t.Errorf("exits %d after SIGINT, want 0", code)
		}
	})
	t.Run("a request in flight is finished", func(t *testing.T) {
		home := t.TempDir()
		g := start(t, home, "", 0)
		answered := make(chan error, 1)
		go func() {
			response, err := g.post("/api/messages?delay=1000", "slow")
			if err == nil && response.StatusCode != 200 {
				err = fmt.Errorf("status %d", response.StatusCode)
			}
			answered <- err
		}()
		time.Sleep(300 * time.Millisecond)
		_ = g.Process.Signal(syscall.SIGINT)
		if err := <-answered; err != nil {
			t.Errorf("the request in flight: %v", err)
		}
		if code := g.exit(t, 5*time.Second); code != 0 {
			t.Errorf("exits %d, want 0", code)
		}
		var stored struct{ Count int }
		start(t, home, "", 0).get(t, "/api/messages", &stored)
		if stored.Count != 1 {
			t.Errorf("the next gateway finds %d messages, want 1", stored.Count)
		}
	})
	t.Run("the watchdog ends it after 10 s", func(t *testing.T) {
		g := start(t, t.TempDir(), "", 0)
		go func() { _, _ = g.post("/api/messages?delay=30000", "too-slow") }()
		time.Sleep(300 * time.Millisecond)
		begin := time.Now()
		_ = g.Process.Signal(syscall.SIGINT)
		code := g.exit(t, 15*time.Second)
		if took := time.Since(begin); code != 1 || took < 9*time.Second || took > 12*time.Second {
			t.Errorf("exits %d after %v, want 1 after 10 s", code, took)
		}
	})
}

func TestMessages(t *testing.T) {
	g := start(t, t.TempDir(), "", 0)
	var sending sync.WaitGroup
	for i := range 50 {
		sending.Go(func() {
			if response, err := g.post("/api/messages?session=load", fmt.Sprint(i)); err != nil || response.StatusCode != 200 {
				t.Errorf("message %d: %v %v", i, response, err)
			}
		})
	}
	sending.Wait()
	if _, err := g.post("/api/messages?session=load", "7"); err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Count    int
		Messages []message
	}
	g.get(t, "/api/messages?session=load", &stored)
	times := map[string]int{}
	for _, m := range stored.Messages {
		times[m.ID]++
	}
	if stored.Count != 51 || len(times) != 50 || times["7"] != 2 {
		t.Errorf("%d messages with %d ids, id 7 %d times; want 51, 50, 2", stored.Count, len(times), times["7"])
	}
	for path, body := range map[string]string{
		"/api/messages?delay=x":         `{"id":"a"}`,
		"/api/messages?session=../evil": `{"id":"a"}`,
		"/api/messages":                 `{"content":"no id"}`,
	} {
		response, err := http.Post(g.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 400 {
			t.Errorf("POST %s %s answers %d, want 400", path, body, response.StatusCode)
		}
	}
}

func TestOverlap(t *testing.T) {
	home := t.TempDir()
	count := func(g *running) int {
		var overlaps struct{ Count int }
		g.get(t, "/api/overlaps", &overlaps)
		return overlaps.Count
	}
	first := start(t, home, "", 0)
	if got := count(first); got != 0 {
		t.Errorf("one gateway: %d overlaps, want 0", got)
	}
	second := start(t, home, "", 0)
	if got := count(first); got != 1 {
		t.Errorf("two gateways: %d overlaps, want 1", got)
	}
	_ = first.Process.Signal(syscall.SIGINT)
	first.exit(t, 5*time.Second)
	time.Sleep(200 * time.Millisecond) // the second takes over the lock
	third := start(t, home, "", 0)
	if got := count(third); got != 2 {
		t.Errorf("a third beside the second: %d overlaps, want 2", got)
	}
	for _, g := range []*running{second, third} {
		_ = g.Process.Signal(syscall.SIGINT)
		g.exit(t, 5*time.Second)
	}
	if got := count(start(t, home, "", 0)); got != 2 {
		t.Errorf("a gateway after the others: %d overlaps, want still 2", got)
	}
}

func TestFaults(t *testing.T) {
	health := func(t *testing.T, g *running) (int, healthBody) {
		var body healthBody
		code := g.get(t, "/api/health", &body)
		return code, body
	}
	for fault, want := range map[string]string{
		"exit-at-once":  "lab fault exit-at-once",
		"refuse-config": "failed to parse config: missing field `release_channel`",
		"no-such":       `unknown fault "no-such"`,
	} {
		t.Run(fault, func(t *testing.T) {
			command := exec.Command(buildWeft(t, fault), "gateway", "--config", writeConfig(t, apiConfig))
			command.Env = []string{"HOME=" + t.TempDir()}
			output, _ := command.CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(output)), "\n")
			if code := command.ProcessState.ExitCode(); code != 1 || !strings.Contains(lines[len(lines)-1], want) {
				t.Errorf("exits %d with %q, want 1 and a last line with %q", code, output, want)
			}
		})
	}
	t.Run("never-healthy", func(t *testing.T) {
		if code, body := health(t, start(t, t.TempDir(), "never-healthy", 0)); code != 503 || body.Status == "ok" {
			t.Errorf("got %d %+v, want 503", code, body)
		}
	})
	t.Run("hang", func(t *testing.T) {
		client := http.Client{Timeout: time.Second}
		if _, err := client.Get(start(t, t.TempDir(), "hang", 0).url + "/api/health"); err == nil {
			t.Error("the health route answered")
		}
	})
	t.Run("wrong-version", func(t *testing.T) {
		if code, body := health(t, start(t, t.TempDir(), "wrong-version", 0)); code != 200 || body.Version != FaultVersion {
			t.Errorf("got %d %+v, want 200 and version %s", code, body, FaultVersion)
		}
	})
	t.Run("crash-after", func(t *testing.T) {
		g := start(t, t.TempDir(), "crash-after=1", 0)
		if code, _ := health(t, g); code != 200 {
			t.Errorf("health answers %d at first, want 200", code)
		}
		if code := g.exit(t, 5*time.Second); code != 1 || !strings.Contains(g.log.String(), "lab fault crash-after") {
			t.Errorf("exits %d with %q, want 1 and the fault's name", code, g.log)
		}
	})
	t.Run("slow-start", func(t *testing.T) {
		g := start(t, t.TempDir(), "slow-start=1", 0)
		before, _ := health(t, g)
		time.Sleep(1100 * time.Millisecond)
		if after, _ := health(t, g); before != 503 || after != 200 {
			t.Errorf("health answers %d, then %d; want 503, then 200", before, after)
		}
	})
	t.Run("unhealthy-on-data", func(t *testing.T) {
		home := t.TempDir()
		g := start(t, home, "unhealthy-on-data", 0)
		before, _ := health(t, g)
		if _, err := g.post("/api/messages", "real"); err != nil {
			t.Fatal(err)
		}
		if after, _ := health(t, g); before != 200 || after != 503 {
			t.Errorf("health answers %d without data and %d with, want 200 and 503", before, after)
		}
	})
	t.Run("ignore-stop", func(t *testing.T) {
		g := start(t, t.TempDir(), "ignore-stop", 0)
		_ = g.Process.Signal(syscall.SIGINT)
		select {
		case <-g.done:
			t.Error("SIGINT ended it")
		case <-time.After(time.Second):
		}
	})
}

func TestProbe(t *testing.T) {
	probe := filepath.Join(built, "weft-health")
	goBuild(t, probe, "./health", "")
	run := func(port string) (int, string) {
		command := exec.Command(probe)
		command.Env = []string{"PORT=" + port}
		output, _ := command.CombinedOutput()
		return command.ProcessState.ExitCode(), string(output)
	}
	portOf := func(g *running) string { return g.url[strings.LastIndex(g.url, ":")+1:] }

	if code, output := run(portOf(start(t, t.TempDir(), "", 0))); code != 0 || output != "ok\n" {
		t.Errorf("healthy: exits %d with %q, want 0 with ok", code, output)
	}
	if code, output := run(portOf(start(t, t.TempDir(), "never-healthy", 0))); code != 1 || !strings.Contains(output, "503") {
		t.Errorf("unhealthy: exits %d with %q, want 1 with the answer", code, output)
	}
	if code, output := run("1"); code != 1 || !strings.Contains(output, "refused") {
		t.Errorf("no gateway: exits %d with %q, want 1 with the reason", code, output)
	}
	begin := time.Now()
	if code, _ := run(portOf(start(t, t.TempDir(), "hang", 0))); code != 1 || time.Since(begin) > 5*time.Second {
		t.Errorf("hanging gateway: exits %d after %v, want 1 within its own limit", code, time.Since(begin))
	}
}

func TestStoreSurvivesKill(t *testing.T) {
	home := t.TempDir()
	g := start(t, home, "", 0)
	if _, err := g.post("/api/messages", "kept"); err != nil {
		t.Fatal(err)
	}
	_ = g.Process.Kill()
	<-g.done
	content, err := os.ReadFile(filepath.Join(home, ".clawft", "workspace", "sessions", "default.jsonl"))
	if err != nil || !strings.Contains(string(content), `"id":"kept"`) {
		t.Errorf("after a kill the session holds %q (%v), want the message", content, err)
	}
}
