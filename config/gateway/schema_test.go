package gateway

import (
	"slices"
	"testing"
)

func TestSchemaForAVersion(t *testing.T) {
	old := &schema{text: []byte("old")}
	newer := &schema{text: []byte("newer")}
	all := []versioned{{"0.6.19", old}, {"0.8.0", newer}}
	for version, want := range map[string]*schema{
		"0.6.19": old, "0.7.5": old, "0.8.0-rc.1": old, "0.8.0": newer, "1.0.0": newer,
		"0.1.0": old, // older than all
		"":      old, // reported elsewhere
	} {
		if got := newest(all, version); got != want {
			t.Errorf("%q: got %s, want %s", version, got.text, want.text)
		}
	}
}

func TestSchemasAreInOrder(t *testing.T) {
	var versions []string
	for _, v := range loaded() {
		versions = append(versions, v.version)
	}
	if !slices.Contains(versions, "0.6.19") {
		t.Errorf("there are schemas for %v", versions)
	}
}
