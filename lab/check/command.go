package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// command runs a program of a phase and shows its output.
func (c *checks) command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := c.prepare(ctx, dir, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = os.Stdout
	return named(cmd, cmd.Run())
}

// test runs go test, shows its output and keeps its verdicts for the summary.
func (c *checks) test(ctx context.Context, dir string, args ...string) error {
	cmd := c.prepare(ctx, dir, "go", append([]string{"test"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return named(cmd, err)
	}
	if err := cmd.Start(); err != nil {
		return named(cmd, err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		fmt.Print(line)
		if verdict(line) {
			c.results = append(c.results, strings.TrimRight(line, "\n"))
		}
		if err != nil {
			break // the end; why it ended is for Wait to say
		}
	}
	return named(cmd, cmd.Wait())
}

// verdict recognizes what go test says about a package or a failed test.
func verdict(line string) bool {
	for _, start := range []string{"ok  \t", "FAIL", "--- FAIL", "panic: "} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}

func (c *checks) prepare(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	// Tests remove the machines they have made, if they are given the time.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Minute
	place, err := filepath.Rel(c.root, dir)
	if err != nil {
		place = dir
	}
	fmt.Printf("    (%s) %s %s\n", place, filepath.Base(name), strings.Join(args, " "))
	return cmd
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return string(out), named(cmd, err)
}

func named(cmd *exec.Cmd, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", filepath.Base(cmd.Path), cmd.Args[1], err)
}

// summary ends the output with the verdicts, which scrolled by long before.
func (c *checks) summary() {
	if len(c.times) > 0 {
		fmt.Printf("\n=== %s\n", strings.Join(c.times, " · "))
	}
	for _, line := range c.results {
		fmt.Println(line)
	}
}
