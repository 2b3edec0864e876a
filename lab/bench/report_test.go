package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func printed(t table) string {
	var out strings.Builder
	t.print(&out)
	return out.String()
}

func TestRunTable(t *testing.T) {
	assert.Equal(t, `run            total  engine  swap  watch  held
update         12.50    5.00  2.50   5.00  2.75
no-op preview   0.80    0.80     -      -     -
`, printed(runTable([]Run{
		{Name: "update", Total: 12.5, Parts: map[part]float64{enginePart: 5, swapPart: 2.5, watchPart: 5}, Held: 2.75},
		{Name: "no-op preview", Total: 0.8, Parts: map[part]float64{enginePart: 0.8}},
	})))
}

func TestBusyTable(t *testing.T) {
	assert.Equal(t, `run       program  image    ssh
fresh up     0.40  11.20  38.00
update       0.20      -      -
`, printed(busyTable([]Run{
		{Name: "fresh up", Busy: map[part]float64{programPart: 0.4, imagePart: 11.2, sshPart: 38}},
		{Name: "update", Busy: map[part]float64{programPart: 0.2}},
	})))
}

// Every part is a column, or its time would be missing from the row's sum.
func TestEveryPartIsAColumn(t *testing.T) {
	assert.ElementsMatch(t, precedence, runColumns)
}

func TestPreviewTable(t *testing.T) {
	samples := func(seconds ...float64) Samples {
		var all Samples
		for _, s := range seconds {
			all = append(all, duration(s))
		}
		return all
	}
	assert.Equal(t, `hosts  resources  bare                  ours                  ratio  cpu: bare  ours  ratio  program: bare  ours
10            90  1.00  (0.90 to 3.00)  1.50  (1.40 to 1.60)   1.50       0.50  0.60   1.20           0.10  0.20
`, printed(previewTable([]PreviewCost{{
		Hosts: 10, Resources: 90,
		Bare: samples(3, 0.9, 1), Ours: samples(1.4, 1.6), Ratio: 1.5,
		BareCPU: samples(0.5), OursCPU: samples(0.6), CPURatio: 1.2,
		BareProgram: samples(0.1), OursProgram: samples(0.2),
	}})))
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name    string
		samples Samples
		want    time.Duration
	}{
		{"of none", nil, 0},
		{"of one", Samples{4}, 4},
		{"of an odd number, in any order", Samples{9, 1, 5}, 5},
		{"of an even number", Samples{8, 2, 100, 4}, 6},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, tt.samples.Median()) })
	}
}

func TestSamplesAreSecondsInJSON(t *testing.T) {
	got, err := json.Marshal(Samples{duration(1.5), duration(2)})
	require.NoError(t, err)
	assert.JSONEq(t, `[1.5, 2]`, string(got))
}
