package buildx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docker-build's builderFor, in its host.go, is where the rules are from.
func TestBuilder(t *testing.T) {
	const (
		docker  = `{"Current":true,"Driver":"docker","Name":"default","Nodes":[{"Status":"running"}]}`
		dead    = `{"Current":true,"Driver":"","Name":"default","Nodes":[{"Status":""}]}`
		current = `{"Current":true,"Driver":"remote","Name":"used","Nodes":[{"Status":"inactive"}]}`
		asleep  = `{"Driver":"docker-container","Name":"asleep","Nodes":[{"Status":"inactive"}]}`
		awake   = `{"Driver":"docker-container","Name":"awake","Nodes":[{"Status":"running"}]}`
	)
	for _, test := range []struct{ name, list, want string }{
		{"the current one, whether it answers or not", awake + "\n" + current, "used"},
		{"another than Docker's own", docker + "\n" + asleep + "\n" + awake, "awake"},
		{"without a Docker daemon", dead + "\n" + awake, "awake"},
		{"none that answers", docker + "\n" + asleep, "made"},
		{"none", "", "made"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "program")
			script := "#!/bin/sh\ncase $1 in ls) cat " + dir + "/list ;; create) echo made ;; inspect) echo \"$3\" >" + dir + "/booted ;; esac\n"
			for name, text := range map[string]string{"program": script, "list": test.list + "\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.TrimLeft(text, "\n")), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			client, err := New(Options{Program: program, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.Builder(t.Context())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			if booted, err := os.ReadFile(filepath.Join(dir, "booted")); (err == nil) != (test.want == "made") || err == nil && string(booted) != "made\n" {
				t.Errorf("booted was %q, %v", booted, err)
			}
		})
	}
}
