package bench

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/toolchain"
)

func TestPreviewOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hosts []int
		runs  int
		want  string
	}{
		{"no runs", []int{1}, 0, "0 runs: want at least 1"},
		{"no hosts", nil, 1, "want some, such as 1,10,50,100"},
		{"a stack without hosts", []int{1, 0}, 1, "0 hosts: want 1 to 189"},
		{"more hosts than addresses", []int{190}, 1, "190 hosts: want 1 to 189"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Previews(t.Context(), PreviewOptions{Hosts: tt.hosts, Runs: tt.runs})
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// recorded are options for the real engine, with nothing but records behind it.
func recorded(t *testing.T) PreviewOptions {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	pulumi, err := toolchain.Ensure(t.Context(), root, toolchain.Pulumi, t.Logf)
	require.NoError(t, err)
	return PreviewOptions{Root: root, Pulumi: pulumi, Dir: t.TempDir(), Hosts: []int{1}, Runs: 1, Out: io.Discard}
}

// The bare program has to keep up with the pipeline, or they are not compared.
func TestProgramsAreComparable(t *testing.T) {
	costs, err := Previews(t.Context(), recorded(t))
	require.NoError(t, err)
	require.Len(t, costs, 1)
	assert.Equal(t, 1, costs[0].Hosts)
	assert.Positive(t, costs[0].Resources)
	assert.Positive(t, costs[0].Ratio)
	assert.Positive(t, costs[0].CPURatio)
	for name, samples := range map[string]Samples{
		"bare": costs[0].Bare, "ours": costs[0].Ours,
		"bare program": costs[0].BareProgram, "our program": costs[0].OursProgram,
		"bare cpu": costs[0].BareCPU, "our cpu": costs[0].OursCPU,
	} {
		assert.Len(t, samples, 1, name)
		assert.Positive(t, samples.Median(), name)
	}
}

func TestUnchanged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found map[apitype.OpType]int
		ok    bool
	}{
		{"all as they are", map[apitype.OpType]int{apitype.OpSame: 18}, true},
		{"one is read", map[apitype.OpType]int{apitype.OpSame: 17, apitype.OpRead: 1}, true},
		{"one more", map[apitype.OpType]int{apitype.OpSame: 18, apitype.OpCreate: 1}, false},
		{"one less", map[apitype.OpType]int{apitype.OpSame: 17}, false},
		{"one changed", map[apitype.OpType]int{apitype.OpSame: 17, apitype.OpUpdate: 1}, false},
		{"nothing at all", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := unchanged(tt.found, 18); (err == nil) != tt.ok {
				t.Errorf("unchanged is %v, want it to pass: %v", err, tt.ok)
			}
		})
	}
}

func TestCensus(t *testing.T) {
	assert.Equal(t, map[string]int{"pulumi:pulumi:Stack": 1, "component": 2, "hcloud:index/server:Server": 1}, census([]apitype.ResourceV3{
		{Type: "pulumi:pulumi:Stack"},
		{Type: "clawft:index:Host"},
		{Type: "bare:index:Component"},
		{Type: "hcloud:index/server:Server", Custom: true},
	}))
}

func TestFailedDeploymentSaysWhy(t *testing.T) {
	options := recorded(t)
	refused := func(*pulumi.Context) error {
		return errors.New("no token for this")
	}
	_, err := options.deploy(t.Context(), 1, "a program", refused)
	require.ErrorContains(t, err, "deploying a program: ")
	require.ErrorContains(t, err, "no token for this")
}
