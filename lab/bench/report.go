package bench

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Report is everything that was measured.
type Report struct {
	// Command is what prints such a report.
	Command  string        `json:"command"`
	Facts    Facts         `json:"facts"`
	Runs     []Run         `json:"runs,omitempty"`
	Previews []PreviewCost `json:"previews,omitempty"`
}

// Print writes the report as tables.
func (r Report) Print(out io.Writer) {
	fmt.Fprintf(out, "\ncommand   %s\n", r.Command)
	fmt.Fprintf(out, "machine   %d cores (%s), %s, load %s before the measurement\n", r.Facts.Cores, r.Facts.CPU, r.Facts.Memory, r.Facts.Load)
	fmt.Fprintf(out, "versions  %s, pulumi %s\n", r.Facts.Go, r.Facts.Pulumi)
	if len(r.Runs) > 0 {
		fmt.Fprintf(out, "\nThe lab's two hosts, one run each, seconds\n\n")
		runTable(r.Runs).print(out)
		fmt.Fprintf(out, "\nThe same, each part with all of its time, also that in which others were at work\n\n")
		busyTable(r.Runs).print(out)
		fmt.Fprint(out, runNotes)
	}
	if len(r.Previews) > 0 {
		fmt.Fprintf(out, "\nA preview that finds nothing to do, recorded providers, median of %d runs (fastest to slowest), seconds\n\n", len(r.Previews[0].Ours))
		previewTable(r.Previews).print(out)
		fmt.Fprint(out, previewNotes)
	}
}

const runNotes = `
In the first table each row adds up to its total: a moment in which several are at work counts for the
one that stands first in program, server, image, ssh, the deployment, github. The hosts are deployed to
one after the other.
lab        what only the lab does: check its tools, start and stop registry, BuildKit and providers
source     compile the lab's gateway, open the stack (two calls of the pulumi command)
program    from the program's start to its return, much of it waiting for the engine; what it
           registered is still on its way then
server     creating the Hetzner server, here a container that boots
image      building, pushing, checking and publishing the gateway's image
ssh        waiting for the first boot, and the bootstrap, which installs packages
deploy     what the deployment needs beside its phases: log in, hand over, drain, prune
engine     all the rest of the run: its start, state, providers, reading the outputs (three calls)
github     files, environment and rulesets of the recorded repository
held       the longest that a host held requests: its drain and most of its swap
The tools and the machines' image are in .lab/cache; their first build is not counted.
`

const previewNotes = `
bare       a program without components and validation that registers as many resources of the same
           types, with inputs of the same size, and asks the providers nothing
ours       the pipeline, on the same providers, in turns with the bare one
ratio      ours/bare
cpu        processor time of engine, program and providers, which a busy machine hardly changes
program    from the program's start to its return; at the end of each component ours waits for the
           engine to know it, and the engine works meanwhile
`

// runColumns are the parts in the order in which they happen.
var runColumns = []part{
	labPart, sourcePart, enginePart, programPart, githubPart, serverPart, imagePart, sshPart,
	pullPart, preflightPart, swapPart, watchPart, deployPart,
}

func runTable(runs []Run) table {
	columns := usedColumns(runs, func(run Run) map[part]float64 { return run.Parts })
	rows := table{{"run", "total"}}
	rows[0] = append(append(rows[0], names(columns)...), "held")
	for _, run := range runs {
		row := append([]string{run.Name, seconds(run.Total)}, cells(columns, run.Parts)...)
		rows = append(rows, append(row, seconds(run.Held)))
	}
	return rows
}

func busyTable(runs []Run) table {
	columns := usedColumns(runs, func(run Run) map[part]float64 { return run.Busy })
	rows := table{append([]string{"run"}, names(columns)...)}
	for _, run := range runs {
		rows = append(rows, append([]string{run.Name}, cells(columns, run.Busy)...))
	}
	return rows
}

// usedColumns are the columns that any of the runs has a value for.
func usedColumns(runs []Run, of func(Run) map[part]float64) []part {
	var used []part
	for _, column := range runColumns {
		if slices.ContainsFunc(runs, func(run Run) bool { return of(run)[column] > 0 }) {
			used = append(used, column)
		}
	}
	return used
}

func names(columns []part) []string {
	var names []string
	for _, column := range columns {
		names = append(names, string(column))
	}
	return names
}

func cells(columns []part, times map[part]float64) []string {
	var cells []string
	for _, column := range columns {
		cells = append(cells, seconds(times[column]))
	}
	return cells
}

// seconds shows nothing for what was not measured.
func seconds(value float64) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", value)
}

func previewTable(costs []PreviewCost) table {
	rows := table{{"hosts", "resources", "bare", "", "ours", "", "ratio", "cpu: bare", "ours", "ratio", "program: bare", "ours"}}
	for _, cost := range costs {
		rows = append(rows, []string{
			fmt.Sprint(cost.Hosts), fmt.Sprint(cost.Resources),
			median(cost.Bare), cost.Bare.spread(), median(cost.Ours), cost.Ours.spread(), fmt.Sprintf("%.2f", cost.Ratio),
			median(cost.BareCPU), median(cost.OursCPU), fmt.Sprintf("%.2f", cost.CPURatio),
			median(cost.BareProgram), median(cost.OursProgram),
		})
	}
	return rows
}

func median(samples Samples) string { return secondsOf(samples.Median()) }

func secondsOf(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

// spread is the fastest and the slowest run.
func (s Samples) spread() string {
	return fmt.Sprintf("(%s to %s)", secondsOf(slices.Min(s)), secondsOf(slices.Max(s)))
}
