package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/stack"
)

const report = "pulling image\ntiming pull=1.2 preflight=0.8 swap=2.1 watch=5.0 held=2.4\ndeployed none -> image version 0.6.19"

func TestParseTiming(t *testing.T) {
	got, err := parseTiming(report)
	require.NoError(t, err)
	assert.Equal(t, timing{
		pull: duration(1.2), preflight: duration(0.8), swap: duration(2.1), watch: duration(5), held: duration(2.4),
	}, got)
}

func TestParseTimingRefuses(t *testing.T) {
	for _, tt := range []struct{ name, report, want string }{
		{"no line", "deployed", `no line begins with "timing"`},
		{"an unknown phase", "timing pull=1 drain=2", `"drain=2" is not one of pull, preflight, swap, watch, held`},
		{"no number", "timing pull=soon", `"pull=soon" is not one of`},
		{"a phase twice", "timing pull=1 pull=2", `"pull=2" is not one of`},
		{"a missing phase", "timing pull=1 preflight=1 swap=1 watch=1", "lacks some of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTiming(tt.report)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func step(kind, name string, from, to float64) stack.Step {
	return stack.Step{Type: kind, Name: name, Started: at(from), Elapsed: at(to).Sub(at(from))}
}

func TestStepsBelongToParts(t *testing.T) {
	spans, held, err := stepSpans([]stack.Step{
		step("tls:index/privateKey:PrivateKey", "gw-1-host-key", 0, 1),
		step("clawft:index:Host", "gw-1", 0, 9),
		step("docker:index/buildxBuilder:BuildxBuilder", "gateway-builder", 1, 2),
		step("docker-build:index:Image", "gateway-build", 2, 4),
		step("command:local:Command", "gateway-smoke", 4, 5),
		step("github:index/repositoryFile:RepositoryFile", "clawft-release", 1, 5),
		step("hcloud:index/server:Server", "gw-1-server", 1, 3),
		step("command:remote:Command", "gw-1-ready", 4, 6),
		step("command:remote:Command", "gw-1-bootstrap", 6, 7),
		step("command:remote:Command", "gw-1-release", 10, 20),
		step("command:remote:Command", "gw-2-release", 20, 22),
	}, map[string]string{
		"gw-1": report,
		"gw-2": "timing pull=0.0 preflight=0.5 swap=1.0 watch=5.0 held=3.5",
	})
	require.NoError(t, err)
	assert.Equal(t, []span{
		{imagePart, at(1), at(2)},
		{imagePart, at(2), at(4)},
		{imagePart, at(4), at(5)},
		{githubPart, at(1), at(5)},
		{serverPart, at(1), at(3)},
		{sshPart, at(4), at(6)},
		{sshPart, at(6), at(7)},
		{pullPart, at(10), at(11.2)},
		{preflightPart, at(11.2), at(12)},
		{swapPart, at(12), at(14.1)},
		{watchPart, at(14.1), at(19.1)},
		{deployPart, at(19.1), at(20)},
		// The host's clock says more than the step took: the step's end is the end.
		{pullPart, at(20), at(20)},
		{preflightPart, at(20), at(20.5)},
		{swapPart, at(20.5), at(21.5)},
		{watchPart, at(21.5), at(22)},
		{deployPart, at(22), at(22)},
	}, spans)
	assert.Equal(t, duration(3.5), held, "of the two hosts, the one that held requests longer")
}

func TestDeploymentWithoutTimesIsAnError(t *testing.T) {
	_, _, err := stepSpans([]stack.Step{step("command:remote:Command", "gw-1-release", 0, 1)}, map[string]string{"gw-2": report})
	require.ErrorContains(t, err, "host gw-1: reading a deployment's times")
}

func TestRunDemandsWhatItIsSplitInto(t *testing.T) {
	run := labRun{name: "update", wanted: []part{enginePart, swapPart}}
	whole := span{labPart, at(0), at(10)}
	_, err := run.result(whole, []span{{enginePart, at(0), at(10)}}, 0)
	require.ErrorContains(t, err, "no time was found for swap")

	got, err := run.result(whole, []span{{enginePart, at(0), at(9)}, {swapPart, at(4), at(6)}}, 2*time.Second)
	require.NoError(t, err)
	assert.Equal(t, Run{
		Name: "update", Total: 10, Held: 2,
		Parts: map[part]float64{enginePart: 7, swapPart: 2, labPart: 1},
		Busy:  map[part]float64{enginePart: 9, swapPart: 2},
	}, got)
}
