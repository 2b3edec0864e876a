package launch

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Run reads an environment from standard input, adds it to the process's own and becomes the program that
// argv names by its path. It returns only if that fails. The program's standard input is empty.
func Run(argv []string) error {
	if len(argv) == 0 || !strings.HasPrefix(argv[0], "/") {
		return errors.New("launching: want the path of a program and its arguments")
	}
	added, err := Decode(os.Stdin)
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("launching %s: %w", argv[0], err)
	}
	if err := syscall.Dup3(int(null.Fd()), 0, 0); err != nil {
		return fmt.Errorf("launching %s: closing standard input: %w", argv[0], err)
	}
	return fmt.Errorf("launching %s: %w", argv[0], syscall.Exec(argv[0], argv, merge(os.Environ(), added)))
}

// merge lets what was added stand in the place of what was there.
func merge(own, added []string) []string {
	given := map[string]bool{}
	for _, entry := range added {
		given[name(entry)] = true
	}
	var all []string
	for _, entry := range own {
		if !given[name(entry)] {
			all = append(all, entry)
		}
	}
	return append(all, added...)
}

func name(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}
