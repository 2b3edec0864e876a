package main

import (
	"fmt"
	"io"
)

// status prints the configuration. It exits 0 without one and asks no running
// gateway: it says nothing about whether a gateway is alive.
func status(out io.Writer) error {
	path := discoverConfig()
	if path == "" {
		path = "not found, using defaults"
	}
	config, err := loadConfig("")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "weft status\n\nConfig: %s\n\nAgent defaults:\n  Workspace: %s\n\nGateway:\n  Listen: %s:%d\n",
		path, config.Agents.Defaults.Workspace, config.Gateway.Host, config.Gateway.Port)
	return err
}
