package release

import (
	"encoding/json"
	"testing"
	"time"
)

func TestReportText(t *testing.T) {
	from := &Reported{ID: "0.6.19-0", Image: "clawft@sha256:0", Version: "0.6.19"}
	to := &Reported{ID: "0.6.20-1", Image: "clawft@sha256:1", Version: "0.6.20"}
	took := Took{Pull: Seconds(2 * time.Second), Preflight: Seconds(1100 * time.Millisecond), Swap: Seconds(840 * time.Millisecond)}
	for _, c := range []struct {
		name   string
		report Report
		want   string
		ok     bool
	}{
		{"deployed", Report{Result: Deployed, From: from, To: to, Took: took, Notes: []string{"a tag is left"}},
			"timing pull=2.0 preflight=1.1 hold=0.0 swap=0.8 watch=0.0 held=0.0\ndeployed clawft@sha256:0 -> clawft@sha256:1 version 0.6.20\nnote: a tag is left\n", true},
		{"the first", Report{Result: Deployed, To: to},
			"timing pull=0.0 preflight=0.0 hold=0.0 swap=0.0 watch=0.0 held=0.0\ndeployed none -> clawft@sha256:1 version 0.6.20\n", true},
		{"unchanged", Report{Result: Unchanged, From: to, To: to},
			"unchanged\ntiming pull=0.0 preflight=0.0 hold=0.0 swap=0.0 watch=0.0 held=0.0\ndeployed clawft@sha256:1 -> clawft@sha256:1 version 0.6.20\n", true},
		{"failed", Report{Result: Failed, Action: "deploy", Cause: "it exited", Back: "rolled back: release 0.6.19 is healthy", Log: []string{"a", "b"}},
			"deploy failed: it exited\nrolled back: release 0.6.19 is healthy\nlast log lines of the new gateway:\n  | a\n  | b\n", false},
	} {
		if got := c.report.Text(); got != c.want || c.report.OK() != c.ok {
			t.Errorf("%s: ok %v, it is\n%swant\n%s", c.name, c.report.OK(), got, c.want)
		}
	}
	if (Report{}).OK() {
		t.Error("a report of nothing is one of a success")
	}
}

func TestSeconds(t *testing.T) {
	text, err := json.Marshal(Took{Swap: Seconds(1234567 * time.Microsecond)})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"stage":0,"verify":0,"pull":0,"preflight":0,"hold":0,"swap":1.235,"watch":0,"held":0,"total":0}`
	if string(text) != want {
		t.Errorf("it is %s, want %s", text, want)
	}
	var took Took
	if err := json.Unmarshal(text, &took); err != nil || time.Duration(took.Swap) != 1235*time.Millisecond {
		t.Errorf("it is read as %v, error %v", time.Duration(took.Swap), err)
	}
	if err := json.Unmarshal([]byte(`{"swap":"1s"}`), &took); err == nil {
		t.Error("a text is read as a number of seconds")
	}
}
