package nearest

import "testing"

func TestNearest(t *testing.T) {
	keys := []string{"address", "hcloud", "hostKey", "memoryMiB", "name", "port", "tokenEnv", "user"}
	for given, want := range map[string]string{
		"adress":    "address",
		"host_key":  "hostKey",
		"HOSTKEY":   "hostKey",
		"token_env": "tokenEnv",
		"nmae":      "name", // two letters swapped
		"prot":      "port",
		"memory":    "memoryMiB", // part of the name
		"colour":    "",
		"ssh":       "",
		"":          "",
	} {
		if got := To(given, keys); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}
