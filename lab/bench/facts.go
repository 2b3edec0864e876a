package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Facts describe the machine that was measured on.
type Facts struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
	Go     string `json:"go"`
	Pulumi string `json:"pulumi"`
	// Load is the system's load of the last minute before the measurement: with
	// more than Cores, others were at work as well.
	Load string `json:"load"`
}

// ReadFacts reads the facts of this machine; pulumi is the path of the command.
func ReadFacts(ctx context.Context, pulumi string) (Facts, error) {
	facts := Facts{Cores: runtime.NumCPU(), CPU: runtime.GOARCH, Go: runtime.Version()}
	if model := procValue("/proc/cpuinfo", "model name"); model != "" {
		facts.CPU = model + ", " + facts.CPU
	}
	var kib float64
	if _, err := fmt.Sscanf(procValue("/proc/meminfo", "MemTotal"), "%g kB", &kib); err == nil {
		facts.Memory = fmt.Sprintf("%.0f GiB", kib/(1<<20))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		facts.Load, _, _ = strings.Cut(string(load), " ")
	}
	version, err := exec.CommandContext(ctx, pulumi, "version").Output()
	if err != nil {
		return facts, fmt.Errorf("asking %s for its version: %w", pulumi, err)
	}
	facts.Pulumi = strings.TrimSpace(string(version))
	return facts, nil
}

// procValue is the first value of a key in a file of "key: value" lines.
func procValue(path, key string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
