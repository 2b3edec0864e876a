package main

import (
	"fmt"
	"os"
	"strings"
)

// readSecret reads a secret from a file, since a command line is readable by
// every user of the machine.
func readSecret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	return strings.TrimSuffix(string(content), "\n"), nil
}
