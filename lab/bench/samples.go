package bench

import (
	"encoding/json"
	"slices"
	"time"
)

// Samples are the times of repeated runs, in their order. In JSON they are
// seconds.
type Samples []time.Duration

// Median is the middle one, or the mean of the two in the middle.
func (s Samples) Median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratio is that of the medians.
func (s Samples) ratio(other Samples) float64 {
	return s.Median().Seconds() / other.Median().Seconds()
}

// MarshalJSON implements json.Marshaler.
func (s Samples) MarshalJSON() ([]byte, error) {
	seconds := make([]float64, len(s))
	for i, sample := range s {
		seconds[i] = sample.Seconds()
	}
	return json.Marshal(seconds)
}
