package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// Config holds the parts of the gateway's configuration that decide whether and
// where it starts. Keys that it does not know are ignored, as the real one does.
type Config struct {
	Agents   Agents   `json:"agents"`
	Channels Channels `json:"channels"`
	Gateway  Gateway  `json:"gateway"`
}

// Agents holds the defaults of the agents.
type Agents struct {
	Defaults AgentDefaults `json:"defaults"`
}

// AgentDefaults holds what applies to an agent that sets nothing itself.
type AgentDefaults struct {
	// Workspace is where tools work. The default lies outside the data volume.
	Workspace string `json:"workspace"`
}

// Gateway says where the gateway listens. Port is printed, never bound.
type Gateway struct {
	Host       string `json:"host"`
	Port       uint16 `json:"port"`
	APIPort    uint16 `json:"api_port"`
	APIEnabled bool   `json:"api_enabled"`
}

func defaultConfig() Config {
	return Config{
		Agents:  Agents{Defaults: AgentDefaults{Workspace: "~/.nanobot/workspace"}},
		Gateway: Gateway{Host: "0.0.0.0", Port: 18790, APIPort: 18789},
	}
}

// loadConfig reads the file at path, where every fault is an error. Without a
// path it reads the file it finds, where a bad one only warns.
func loadConfig(path string) (Config, error) {
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			return Config{}, fmt.Errorf("config file not found: %s", path)
		}
		return readConfig(path)
	}
	found := discoverConfig()
	if found == "" {
		return defaultConfig(), nil
	}
	config, err := readConfig(found)
	if err != nil {
		fmt.Fprintf(os.Stderr, "WARN %s: %v, using defaults\n", found, err)
		return defaultConfig(), nil
	}
	return config, nil
}

// discoverConfig returns the path of the file used without --config, or "".
func discoverConfig() string {
	candidates := []string{
		filepath.Join(os.Getenv("HOME"), ".clawft", "config.json"),
		filepath.Join(os.Getenv("HOME"), ".nanobot", "config.json"),
	}
	if path := os.Getenv("CLAWFT_CONFIG"); path != "" {
		candidates = []string{path}
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

func readConfig(path string) (Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("failed to read config: %w", err)
	}
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		return Config{}, fmt.Errorf("failed to parse config: %w", err)
	}
	normal, err := json.Marshal(snakeKeys(document))
	if err != nil {
		return Config{}, fmt.Errorf("normalising config: %w", err)
	}
	config := defaultConfig()
	if err := json.Unmarshal(normal, &config); err != nil {
		return Config{}, fmt.Errorf("invalid config: %w", err)
	}
	return config, nil
}

// snakeKeys turns every camelCase key into snake_case, at every depth.
func snakeKeys(value any) any {
	switch value := value.(type) {
	case map[string]any:
		renamed := make(map[string]any, len(value))
		for key, child := range value {
			renamed[snake(key)] = snakeKeys(child)
		}
		return renamed
	case []any:
		for i := range value {
			value[i] = snakeKeys(value[i])
		}
	}
	return value
}

func snake(key string) string {
	var out strings.Builder
	for i, r := range key {
		if unicode.IsUpper(r) {
			if i > 0 {
				out.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		out.WriteRune(r)
	}
	return out.String()
}

func configShow(out io.Writer, path string) error {
	config, err := loadConfig(path)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("serializing config: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}
