package benchimage

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table prints the measurements and what they say about the promises.
func table(out io.Writer, both, arm, emulated times) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nseconds\tboth platforms\tarm64\tarm64 emulated\temulated/arm64\t")
	for _, row := range []struct {
		name                string
		both, arm, emulated time.Duration
	}{
		{"cold", both.cold, arm.cold, emulated.cold},
		{"source change", both.source, arm.source, emulated.source},
		{"no change", both.nothing, arm.nothing, emulated.nothing},
	} {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", row.name, row.both.Seconds(), row.arm.Seconds(), row.emulated.Seconds(), ratio(row.emulated, row.arm))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	fmt.Fprintln(out)
	promise(out, "arm64 is faster than emulated", ratio(emulated.cold, arm.cold), wantEmulated)
	promise(out, "a change of the source is faster than cold", ratio(both.cold, both.source), wantSource)
	return nil
}

func promise(out io.Writer, what string, got, want float64) {
	verdict := "kept"
	if got < want {
		verdict = "MISSED"
	}
	fmt.Fprintf(out, "%s: %.1f times (promised: %.0f, %s)\n", what, got, want, verdict)
}

func ratio(slow, fast time.Duration) float64 { return slow.Seconds() / max(fast.Seconds(), 0.001) }
