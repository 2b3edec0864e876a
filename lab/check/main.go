// Command check runs every check that a change has to pass, in the order in
// which they are likely to fail soonest. `make test` is this command.
//
// With arguments it runs the named phases only:
//
//	go run ./lab/check lint unit
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/clawft/infra/lab/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) (err error) {
	root, err := checkout()
	if err != nil {
		return err
	}
	c := &checks{root: root}
	chosen, err := choose(c.phases(), names)
	if err != nil {
		return err
	}
	defer c.summary()
	// The machine stays as it was: an engine that setup had to start is ended.
	defer func() {
		err = errors.Join(err, engine.Stop(context.WithoutCancel(ctx), root, detail))
	}()
	return c.runPhases(ctx, chosen)
}

// runPhases stops at the first phase that fails.
func (c *checks) runPhases(ctx context.Context, phases []phase) error {
	for _, p := range phases {
		fmt.Printf("\n=== %s: %s\n", p.name, p.about)
		start := time.Now()
		err := p.run(ctx)
		took := fmt.Sprintf("%.1f s", time.Since(start).Seconds())
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted in phase %s after %s", p.name, took)
		}
		if err != nil {
			return fmt.Errorf("phase %s failed after %s: %w", p.name, took, err)
		}
		fmt.Printf("=== %s: done in %s\n", p.name, took)
		c.times = append(c.times, p.name+" "+took)
	}
	return nil
}

// choose keeps the named phases, or all if none is named.
func choose(phases []phase, names []string) ([]phase, error) {
	if len(names) == 0 {
		return phases, nil
	}
	known := make([]string, len(phases))
	for i, p := range phases {
		known[i] = p.name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no phase %q; the phases are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(phases, func(p phase) bool { return !slices.Contains(names, p.name) }), nil
}
