package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// onboardConfig enables no API: a gateway that uses it exits 1, as the real one.
const onboardConfig = `{
  "agents": {"defaults": {"workspace": "~/.clawft/workspace"}},
  "gateway": {"host": "127.0.0.1", "port": 8080}
}
`

func runOnboard(out io.Writer, args []string) error {
	flags := newFlags("onboard")
	var yes bool
	flags.BoolVar(&yes, "yes", false, "")
	flags.BoolVar(&yes, "y", false, "")
	dir := flags.String("dir", filepath.Join(os.Getenv("HOME"), ".clawft"), "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if !yes {
		return errors.New("the lab's gateway asks no questions: use onboard --yes")
	}
	path := filepath.Join(*dir, "config.json")
	if _, err := os.Stat(path); err == nil {
		fmt.Fprintf(out, "Config already exists at %s\nSkipping (--yes mode).\n", path)
		return nil
	}
	for _, sub := range []string{"sessions", "memory", "skills"} {
		if err := os.MkdirAll(filepath.Join(*dir, "workspace", sub), 0o755); err != nil {
			return fmt.Errorf("creating workspace: %w", err)
		}
	}
	if err := os.WriteFile(path, []byte(onboardConfig), 0o644); err != nil {
		return fmt.Errorf("writing config: %w", err)
	}
	fmt.Fprintf(out, "Setup complete.\n  Config: %s\n", path)
	return nil
}
