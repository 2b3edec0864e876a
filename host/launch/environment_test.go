package launch

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/iotest"
)

// everything is an environment of all that one can hold.
func everything() map[string]string {
	var bytes strings.Builder
	for b := 1; b < 256; b++ {
		bytes.WriteByte(byte(b))
	}
	return map[string]string{
		"BYTES": bytes.String(), "EMPTY": "", "LINES": "a\nb\n\nc\r\n", "EQUALS": "a=b==", "QUOTES": `"'$(x)\`,
		"LONG": strings.Repeat("x", MaxEntry-len("LONG=")), "a-b.c": "odd name",
	}
}

func TestRoundTrip(t *testing.T) {
	for name, environment := range map[string]map[string]string{"nothing": {}, "everything": everything()} {
		t.Run(name, func(t *testing.T) {
			data, err := Encode(environment)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := Decode(iotest.OneByteReader(bytes.NewReader(data)))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, entry := range entries {
				name, value, _ := strings.Cut(entry, "=")
				got[name] = value
			}
			if !maps.Equal(got, environment) {
				t.Errorf("got %q\nwant %q", got, environment)
			}
		})
	}
}

// What is cut off anywhere is no environment.
func TestCutOff(t *testing.T) {
	data, err := Encode(map[string]string{"A": "1", "KEY": "secret-value", "Z": ""})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) {
		if entries, err := Decode(bytes.NewReader(data[:n])); err == nil {
			t.Errorf("%d of %d bytes are taken for %q", n, len(data), entries)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%d bytes: the error shows the value: %v", n, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	many := map[string]string{}
	for n := range 20 {
		many["N"+string(rune('A'+n))] = strings.Repeat("x", 120<<10)
	}
	for _, test := range []struct {
		name        string
		environment map[string]string
		want        string
	}{
		{"no name", map[string]string{"": "secret"}, `encoding the environment: "" is not a name: it must not be empty or contain = or NUL`},
		{"equals in a name", map[string]string{"A=B": "secret"}, `encoding the environment: "A=B" is not a name: it must not be empty or contain = or NUL`},
		{"NUL in a name", map[string]string{"A\x00B": "secret"}, `encoding the environment: "A\x00B" is not a name: it must not be empty or contain = or NUL`},
		{"NUL in a value", map[string]string{"KEY": "sec\x00ret"}, "encoding the environment: the value of KEY contains NUL, which no environment can hold"},
		{"a long value", map[string]string{"KEY": strings.Repeat("x", MaxEntry)}, "encoding the environment: KEY is 131075 bytes long with its name; Linux takes 131071 at most"},
		{"too much in all", many, "encoding the environment: it is 2457681 bytes long; Linux takes 2097152 at most"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Encode(test.environment); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name, given, want string
	}{
		{"no equals sign", "A=1\x00secret\x00\x00", "reading the environment: entry 2 is not NAME=VALUE"},
		{"no name", "=secret\x00\x00", "reading the environment: entry 1 is not NAME=VALUE"},
		{"more after the end", "A=1\x00\x00B=2\x00\x00", "reading the environment: something follows its end"},
		{"too much", strings.Repeat("A=1\x00", 1<<19) + "\x00", "reading the environment: it is longer than 2097152 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Decode(strings.NewReader(test.given)); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := Decode(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
