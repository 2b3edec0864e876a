package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// at is a moment of a run that began at midnight.
func at(seconds float64) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(duration(seconds))
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func TestSplit(t *testing.T) {
	whole := span{labPart, at(0), at(10)}
	engine := span{enginePart, at(2), at(9)}
	for _, tt := range []struct {
		name  string
		spans []span
		want  map[part]time.Duration
	}{
		{
			"nothing known is the whole's",
			nil,
			map[part]time.Duration{labPart: duration(10)},
		},
		{
			"the engine has what nothing else has",
			[]span{engine, {programPart, at(3), at(4)}, {sshPart, at(5), at(8)}},
			map[part]time.Duration{labPart: duration(3), enginePart: duration(3), programPart: duration(1), sshPart: duration(3)},
		},
		{
			"what overlaps counts once, for what the others wait for",
			[]span{engine, {sshPart, at(3), at(8)}, {serverPart, at(4), at(6)}, {sshPart, at(7), at(8.5)}},
			map[part]time.Duration{labPart: duration(3), enginePart: duration(1.5), sshPart: duration(3.5), serverPart: duration(2)},
		},
		{
			"what lies outside is cut off",
			[]span{{enginePart, at(-5), at(4)}, {watchPart, at(9), at(20)}, {pullPart, at(11), at(12)}},
			map[part]time.Duration{labPart: duration(5), enginePart: duration(4), watchPart: duration(1)},
		},
		{
			"what took no time has no share",
			[]span{{pullPart, at(3), at(3)}},
			map[part]time.Duration{labPart: duration(10)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := split(whole, tt.spans)
			assert.Equal(t, tt.want, got)
			var sum time.Duration
			for _, share := range got {
				sum += share
			}
			assert.Equal(t, duration(10), sum, "the shares do not add up to the whole")
		})
	}
}

func TestBusy(t *testing.T) {
	assert.Equal(t, map[part]time.Duration{sshPart: duration(6), imagePart: duration(2)}, busy([]span{
		{sshPart, at(8), at(9)},
		{imagePart, at(2), at(4)},
		{sshPart, at(1), at(5)},
		{sshPart, at(2), at(3)}, // within another
		{sshPart, at(4), at(6)}, // goes on from another
	}))
}
