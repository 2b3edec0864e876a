package pipeline

import (
	"slices"
	"testing"
)

func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		rollout Rollout
		want    [][]int
	}{
		{"the default", Rollout{Waves: []int{1}}, [][]int{nil, {0}, {0}, {0}}},
		{"waves", Rollout{Waves: []int{1, 2}}, [][]int{nil, {0}, {0}, {1, 2}, {1, 2}, {1, 2}}},
		{"all at once", Rollout{}, [][]int{nil, nil, nil}},
		{"one after the other", Rollout{MaxParallel: 1}, [][]int{nil, {0}, {1}, {2}}},
		{"two at a time after the canary", Rollout{Waves: []int{1}, MaxParallel: 2}, [][]int{nil, {0}, {0}, {1}, {2}}},
		{"two at a time in waves", Rollout{Waves: []int{3, 3}, MaxParallel: 2}, [][]int{nil, nil, {0}, {0, 1, 2}, {0, 1, 2}, {3}, {3, 4, 5}, {3, 4, 5}, {6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for host, want := range c.want {
				if got := c.rollout.waits(host); !slices.Equal(got, want) {
					t.Errorf("host %d waits for %v, want %v", host, got, want)
				}
			}
		})
	}
}

func TestWrongRollouts(t *testing.T) {
	testWrong(t, []wrongConfig{
		{"nobody", map[string]string{"rollout": "{waves: [1, 0], maxParallel: -1}"}, []string{
			"clawft:rollout.maxParallel: got -1; want a number of hosts, or 0 for all of a wave",
			"clawft:rollout.waves[1]: got 0; want at least one host",
		}},
	})
}
