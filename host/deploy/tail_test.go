package deploy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	var passed bytes.Buffer
	tail := &tail{to: &passed}
	var written strings.Builder
	for n := range 40 {
		fmt.Fprintf(&written, "line %d\r\n", n)
	}
	written.WriteString(strings.Repeat("x", 2*lineLength) + "\nthe end")
	// However it is cut into pieces.
	for piece := range slices.Chunk([]byte(written.String()), 7) {
		if _, err := tail.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if passed.String() != written.String() {
		t.Error("not all is passed on")
	}
	got := tail.last()
	if len(got) != logLines || got[0] != "line 12" || got[28] != strings.Repeat("x", lineLength) || got[29] != "the end" {
		t.Errorf("it keeps %d lines, %.20q", len(got), got)
	}
}
