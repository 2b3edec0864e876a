package bench

import (
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// stopwatch times a program from its start to its return. In that time the
// program decides what shall exist, and waits for what it asks and, at the end
// of each component, for the engine to know the component. The engine works
// meanwhile. Registrations and outputs are still on their way when it returns.
type stopwatch struct {
	mu   sync.Mutex
	runs []span
}

func (w *stopwatch) time(program pulumi.RunFunc) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		started := time.Now()
		err := program(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.runs = append(w.runs, span{part: programPart, from: started, to: time.Now()})
		return err
	}
}

func (w *stopwatch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = nil
}

// spans are the program's runs since the last reset.
func (w *stopwatch) spans() []span {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]span(nil), w.runs...)
}

func (w *stopwatch) samples() Samples {
	var samples Samples
	for _, run := range w.spans() {
		samples = append(samples, run.to.Sub(run.from))
	}
	return samples
}
