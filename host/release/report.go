package release

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// Result says how a deployment ended.
type Result string

const (
	// Deployed says that the new release runs and was verified.
	Deployed Result = "deployed"
	// Unchanged says that this release ran already, and is healthy.
	Unchanged Result = "unchanged"
	// Failed says that something went wrong: Cause says what, and Back what became of
	// the gateway.
	Failed Result = "failed"
)

// Report is what a deployment did.
type Report struct {
	// Deployment is the deployment's own name, unique on its host.
	Deployment string `json:"deployment"`
	// Action is deploy or rollback.
	Action string `json:"action"`
	// Gateway is the gateway's name.
	Gateway string `json:"gateway"`
	// At is when it began, by the host's clock. Nothing is computed from it.
	At     time.Time `json:"at"`
	Result Result    `json:"result"`
	// From is what ran before; nil if nothing did. To is what was to run.
	From *Reported `json:"from"`
	To   *Reported `json:"to"`
	// Took has how long each step took. A step that was not reached is 0.
	Took Took `json:"took"`
	// Cause says why it failed, in one line.
	Cause string `json:"cause,omitempty"`
	// Back says what became of the gateway when it failed.
	Back string `json:"back,omitempty"`
	// Down says that no gateway runs that should, and that somebody has to look.
	Down bool `json:"down,omitempty"`
	// Log is the last lines that the new gateway wrote before it failed.
	Log []string `json:"log,omitempty"`
	// Notes are what did not fail it but somebody may want to know.
	Notes []string `json:"notes,omitempty"`
}

// Reported is a release as reports show it.
type Reported struct {
	ID      string `json:"id"`
	Image   string `json:"image"`
	Version string `json:"version"`
}

// Took has durations, in seconds as JSON.
type Took struct {
	Stage     Seconds `json:"stage"`
	Verify    Seconds `json:"verify"`
	Pull      Seconds `json:"pull"`
	Preflight Seconds `json:"preflight"`
	// Hold is how long requests under way took to finish while new ones waited.
	Hold Seconds `json:"hold"`
	// Swap is from stopping the old gateway to the new one being healthy.
	Swap  Seconds `json:"swap"`
	Watch Seconds `json:"watch"`
	// Held is how long requests waited altogether, at most.
	Held Seconds `json:"held"`
	// Total is all of it, with what none of the steps has.
	Total Seconds `json:"total"`
}

// Seconds is a duration that is a number of seconds in JSON, to the millisecond.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(time.Duration(s).Seconds()*1000) / 1000)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return fmt.Errorf("reading a number of seconds: %w", err)
	}
	*s = Seconds(math.Round(seconds*1000)) * Seconds(time.Millisecond)
	return nil
}

// String has one decimal, as in 1.2.
func (s Seconds) String() string { return fmt.Sprintf("%.1f", time.Duration(s).Seconds()) }

// OK tells whether the release that was asked for runs.
func (r Report) OK() bool { return r.Result == Deployed || r.Result == Unchanged }

// Text is the report for people. That of a failure begins with "deploy failed: ".
func (r Report) Text() string {
	var b strings.Builder
	switch r.Result {
	case Failed:
		fmt.Fprintf(&b, "%s failed: %s\n%s\n", r.Action, r.Cause, r.Back)
		if len(r.Log) > 0 {
			b.WriteString("last log lines of the new gateway:\n")
			for _, line := range r.Log {
				fmt.Fprintf(&b, "  | %s\n", line)
			}
		}
	case Unchanged:
		b.WriteString("unchanged\n")
		fallthrough
	case Deployed:
		from := "none"
		if r.From != nil {
			from = r.From.Image
		}
		fmt.Fprintf(&b, "timing pull=%v preflight=%v hold=%v swap=%v watch=%v held=%v\ndeployed %s -> %s version %s\n",
			r.Took.Pull, r.Took.Preflight, r.Took.Hold, r.Took.Swap, r.Took.Watch, r.Took.Held, from, r.To.Image, r.To.Version)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	return b.String()
}
