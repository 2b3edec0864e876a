package benchimage

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	var out strings.Builder
	both := times{cold: 100 * time.Second, source: 40 * time.Second, nothing: time.Second}
	arm := times{cold: 60 * time.Second, source: 10 * time.Second, nothing: time.Second}
	emulated := times{cold: 600 * time.Second, source: 100 * time.Second, nothing: time.Second}
	if err := table(&out, both, arm, emulated); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"10.0", // emulated against cross-compiled, both cold and after a change
		"arm64 is faster than emulated: 10.0 times (promised: 5, kept)",
		"a change of the source is faster than cold: 2.5 times (promised: 3, MISSED)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", out.String(), want)
		}
	}
}
