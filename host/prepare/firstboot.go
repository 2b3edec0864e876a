package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// firstBootPatience is how long a first boot may take.
const firstBootPatience = 15 * time.Minute

// firstBootUnits are those of cloud-init's versions old and new, in the order in which they run.
var firstBootUnits = []string{
	"cloud-init-main.service", "cloud-init-local.service", "cloud-init.service",
	"cloud-init-network.service", "cloud-config.service", "cloud-final.service",
}

// Unit is what systemd says of a unit.
type Unit struct {
	Name string
	// Load is LoadState: loaded, not-found, masked…
	Load string
	// Active is ActiveState: active, activating, inactive, failed…
	Active string
	// Job is true while a job waits or runs for it.
	Job bool
}

// firstBoot is the wait for cloud-init. What is known of it comes from its files and from systemd: "cloud-init
// status" says it in words that differ from version to version, and waits for ever for what never starts.
type firstBoot struct {
	// directory has cloud-init's files, such as /run/cloud-init.
	directory string
	list      func(ctx context.Context, units []string) ([]Unit, error)
	say       func(string)
	patience  time.Duration
	pause     time.Duration
}

// wait waits until the first boot has ended, and says how: done, error, degraded; none where there is no
// cloud-init, not-run where it is disabled or masked, neither of which is waited for. An error in it is told
// and fails nothing: what follows fails with the cause if it persists.
func (b firstBoot) wait(ctx context.Context) (string, error) {
	started := time.Now()
	told := started.Add(-time.Hour)
	for {
		if ended, err := b.ended(); ended || err != nil {
			return b.result(), err
		}
		units, err := b.list(ctx, firstBootUnits)
		if err != nil {
			return "", fmt.Errorf("asking systemd for cloud-init's units: %w", err)
		}
		left := names(units, func(u Unit) bool { return strings.HasSuffix(u.Active, "activating") || u.Job })
		if len(left) == 0 {
			// It may have ended between the two looks.
			if ended, err := b.ended(); ended || err != nil {
				return b.result(), err
			}
			return b.absent(units), nil
		}
		waiting := strings.Join(left, " ")
		if time.Since(started) >= b.patience {
			return "", fmt.Errorf("cloud-init is still running after %d minutes: %s; see /var/log/cloud-init-output.log", int(b.patience.Minutes()), waiting)
		}
		if time.Since(told) >= 30*time.Second {
			b.say(fmt.Sprintf("waiting for cloud-init, up to %d minutes: %s", int(b.patience.Minutes()), waiting))
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(b.pause):
		}
	}
}

func (b firstBoot) ended() (bool, error) {
	_, err := os.Stat(filepath.Join(b.directory, "result.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// absent says why a first boot that is not under way left no result.
func (b firstBoot) absent(units []Unit) string {
	if failed := names(units, func(u Unit) bool { return u.Active == "failed" }); len(failed) > 0 {
		b.say(fmt.Sprintf("warning: cloud-init did not end well: %s failed; see: journalctl -u %s", strings.Join(failed, " "), failed[0]))
		return "error"
	}
	final := slices.IndexFunc(units, func(u Unit) bool { return u.Name == "cloud-final.service" })
	if final < 0 || units[final].Load == "not-found" {
		return "none"
	}
	b.say("cloud-init does not run on this machine (disabled or masked): not waiting for it")
	return "not-run"
}

func names(units []Unit, which func(Unit) bool) []string {
	var found []string
	for _, unit := range units {
		if which(unit) {
			found = append(found, unit.Name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// result is how a first boot went that has ended.
func (b firstBoot) result() string {
	var result struct {
		V1 struct {
			Errors []string `json:"errors"`
		} `json:"v1"`
	}
	text, _ := os.ReadFile(filepath.Join(b.directory, "result.json"))
	how := "done"
	if err := json.Unmarshal(text, &result); err != nil || len(result.V1.Errors) > 0 {
		how = "error"
	} else if b.recovered() {
		how = "degraded"
	}
	if how != "done" {
		b.say(fmt.Sprintf("warning: cloud-init ended with status %s, see /var/log/cloud-init-output.log: %s", how, strings.Join(strings.Fields(string(text)), " ")))
	}
	return how
}

// recovered tells whether any stage notes errors that it went on after.
func (b firstBoot) recovered() bool {
	text, err := os.ReadFile(filepath.Join(b.directory, "status.json"))
	var status any
	if err != nil || json.Unmarshal(text, &status) != nil {
		return false
	}
	return anyRecovered(status)
}

func anyRecovered(value any) bool {
	object, ok := value.(map[string]any)
	if !ok {
		return false
	}
	for key, inside := range object {
		if noted, ok := inside.(map[string]any); key == "recoverable_errors" && ok && len(noted) > 0 || anyRecovered(inside) {
			return true
		}
	}
	return false
}
