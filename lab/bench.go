package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/bench"
	"github.com/clawft/infra/lab/site"
	"github.com/clawft/infra/lab/toolchain"
)

// The benchmark has a lab of its own, and leaves the user's alone.
const (
	benchName   = "bench"
	benchSubnet = "172.30.10.0/24"
)

type benchFlags struct {
	hosts                 []int
	runs                  int
	json                  string
	skipLab, skipPreviews bool
}

func benchCommand(options *site.Options) *cobra.Command {
	flags := benchFlags{hosts: []int{1, 10, 50, 100}, runs: 5}
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure up, preview and update in a lab of its own, and the cost of a preview per host",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if options.Name == "" {
				options.Name = benchName
			}
			if !options.Subnet.IsValid() {
				options.Subnet = netip.MustParsePrefix(benchSubnet)
			}
			if flags.json != "" {
				// The runs change the directory.
				path, err := filepath.Abs(flags.json)
				if err != nil {
					return fmt.Errorf("resolving --json: %w", err)
				}
				flags.json = path
			}
			report, err := flags.measure(command.Context(), options)
			if err != nil {
				return err
			}
			report.Print(options.Out)
			return flags.save(report)
		},
	}
	command.Flags().IntSliceVar(&flags.hosts, "hosts", flags.hosts, "numbers of hosts to preview at")
	command.Flags().IntVar(&flags.runs, "runs", flags.runs, "previews per program and number of hosts")
	command.Flags().StringVar(&flags.json, "json", "", "also write everything that was measured to this file")
	command.Flags().BoolVar(&flags.skipLab, "skip-lab", false, "leave out the runs in the lab")
	command.Flags().BoolVar(&flags.skipPreviews, "skip-previews", false, "leave out the previews at growing numbers of hosts")
	command.MarkFlagsMutuallyExclusive("skip-lab", "skip-previews")
	return command
}

func (f benchFlags) measure(ctx context.Context, options *site.Options) (bench.Report, error) {
	report := bench.Report{Command: strings.Join(append([]string{"go run ./lab"}, os.Args[1:]...), " ")}
	previews := bench.PreviewOptions{Root: options.Root, Hosts: f.hosts, Runs: f.runs, Out: options.Out}
	if err := previews.Validate(); err != nil {
		return report, err
	}
	log := site.NewLog(options.Out)
	pulumi, err := toolchain.Ensure(ctx, options.Root, toolchain.Pulumi, log.Printf)
	if err != nil {
		return report, err
	}
	previews.Pulumi = pulumi
	if report.Facts, err = bench.ReadFacts(ctx, pulumi); err != nil {
		return report, err
	}
	if !f.skipLab {
		if report.Runs, err = bench.Lab(ctx, *options); err != nil {
			return report, err
		}
	}
	if f.skipPreviews {
		return report, nil
	}
	fmt.Fprintln(options.Out)
	err = log.Phase("previews", func() (err error) {
		report.Previews, err = comparePreviews(ctx, options, previews)
		return err
	})
	return report, err
}

// comparePreviews keeps the stacks in a directory that is gone afterwards.
func comparePreviews(ctx context.Context, options *site.Options, previews bench.PreviewOptions) (costs []bench.PreviewCost, err error) {
	labs := site.Dir(options.Root, options.Name)
	if err := os.MkdirAll(labs, 0o700); err != nil {
		return nil, fmt.Errorf("creating the benchmark's directory: %w", err)
	}
	if previews.Dir, err = os.MkdirTemp(labs, "previews-"); err != nil {
		return nil, fmt.Errorf("creating the benchmark's directory: %w", err)
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(previews.Dir))
		_, _ = os.Remove(labs), os.Remove(filepath.Dir(labs)) // unless a lab is there
	}()
	return bench.Previews(ctx, previews)
}

func (f benchFlags) save(report bench.Report) error {
	if f.json == "" {
		return nil
	}
	content, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(f.json, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
