package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// MaxEntry is how long NAME=VALUE may be, in bytes: Linux refuses to start a program with a longer one
// (MAX_ARG_STRLEN, with its end).
const MaxEntry = 128<<10 - 1

// maxTotal bounds what is read: Linux takes 2 MiB of arguments and environment (a quarter of the usual stack).
const maxTotal = 2 << 20

// Encode returns the environment as [Decode] reads it: each NAME=VALUE with a NUL behind it, sorted, and one
// NUL at the end, so that one that is cut off is not taken for a whole one. A value may hold anything but NUL.
func Encode(environment map[string]string) ([]byte, error) {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		value := environment[name]
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			return nil, fmt.Errorf("encoding the environment: %q is not a name: it must not be empty or contain = or NUL", name)
		case strings.ContainsRune(value, 0):
			return nil, fmt.Errorf("encoding the environment: the value of %s contains NUL, which no environment can hold", name)
		case len(name)+1+len(value) > MaxEntry:
			return nil, fmt.Errorf("encoding the environment: %s is %d bytes long with its name; Linux takes %d at most", name, len(name)+1+len(value), MaxEntry)
		}
		out.WriteString(name)
		out.WriteByte('=')
		out.WriteString(value)
		out.WriteByte(0)
	}
	out.WriteByte(0)
	if out.Len() > maxTotal {
		return nil, fmt.Errorf("encoding the environment: it is %d bytes long; Linux takes %d at most", out.Len(), maxTotal)
	}
	return out.Bytes(), nil
}

// Decode reads an environment to its end and returns NAME=VALUE entries. Its errors show no value.
func Decode(r io.Reader) ([]string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxTotal+1))
	if err != nil {
		return nil, fmt.Errorf("reading the environment: %w", err)
	}
	if len(data) > maxTotal {
		return nil, fmt.Errorf("reading the environment: it is longer than %d bytes", maxTotal)
	}
	var entries []string
	for {
		entry, rest, found := bytes.Cut(data, []byte{0})
		if !found {
			return nil, errors.New("reading the environment: it was cut off before its end")
		}
		data = rest
		if len(entry) == 0 {
			break
		}
		if equals := bytes.IndexByte(entry, '='); equals < 1 {
			return nil, fmt.Errorf("reading the environment: entry %d is not NAME=VALUE", len(entries)+1)
		}
		entries = append(entries, string(entry))
	}
	if len(data) > 0 {
		return nil, errors.New("reading the environment: something follows its end")
	}
	return entries, nil
}
