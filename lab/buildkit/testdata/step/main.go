// Command step is what the tests' build steps run: an image that is built from
// scratch has no shell.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "wait" {
		time.Sleep(10 * time.Minute)
	}
	result := fmt.Sprintf("built by uid %d\n", os.Getuid())
	if err := os.WriteFile("/result", []byte(result), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
