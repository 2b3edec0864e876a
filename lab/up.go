package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/site"
	"github.com/clawft/infra/lab/stack"
)

// releaseFlags are the flags that say which release to deploy. What is not
// given stays as it was the last time.
type releaseFlags struct {
	version, source, fault string
	set, setSecret         []string
}

func (f *releaseFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.version, "version", "", "release to deploy (default: the last one; at first "+site.DefaultVersion+")")
	flags.StringVar(&f.source, "source", "", "directory or git URL of the real gateway, to build that one; \"lab\" for the lab's own")
	flags.StringVar(&f.fault, "fault", "", "break the lab's gateway in this way: exit-at-once, refuse-config, never-healthy, wrong-version, crash-after, wrong-architecture, …")
	flags.StringArrayVar(&f.set, "set", nil, "configuration on top of Pulumi.lab.yaml, as clawft:PATH=VALUE; may be repeated")
	flags.StringArrayVar(&f.setSecret, "set-secret", nil, "the same for a secret, as clawft:PATH=FILE; the value is read from the file")
}

func (f *releaseFlags) release(opened *site.Site) (site.Release, error) {
	release, err := opened.LastRelease()
	if err != nil {
		return release, err
	}
	if f.version != "" {
		release.Version = f.version
	}
	switch f.source {
	case "":
	case "lab":
		release.Source = ""
	default:
		release.Source = f.source
		// The stack runs in a directory of its own.
		if info, err := os.Stat(f.source); err == nil && info.IsDir() {
			if release.Source, err = filepath.Abs(f.source); err != nil {
				return release, fmt.Errorf("resolving --source: %w", err)
			}
		}
	}
	release.Fault = f.fault
	release.Settings = stack.Settings{}
	for _, assignment := range f.set {
		path, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return release, fmt.Errorf("--set %q is not PATH=VALUE", assignment)
		}
		release.Settings[path] = stack.Value{Text: value}
	}
	for _, assignment := range f.setSecret {
		path, file, ok := strings.Cut(assignment, "=")
		if !ok {
			return release, fmt.Errorf("--set-secret %q is not PATH=FILE", assignment)
		}
		value, err := readSecret(file)
		if err != nil {
			return release, err
		}
		release.Settings[path] = stack.Value{Text: value, Secret: true}
	}
	return release, nil
}

func upCommand(options *site.Options) *cobra.Command {
	var flags releaseFlags
	var refresh bool
	command := &cobra.Command{
		Use:   "up",
		Short: "Deploy: a real `pulumi up`, from source to healthy gateways",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withSite(command.Context(), options, func(ctx context.Context, opened *site.Site) error {
				release, err := flags.release(opened)
				if err != nil {
					return err
				}
				outcome, err := opened.Up(ctx, release, refresh)
				if err != nil {
					return err
				}
				return summarise(ctx, options, opened, outcome)
			})
		},
	}
	flags.register(command)
	command.Flags().BoolVar(&refresh, "refresh", false, "compare with what really exists first, and repair drift")
	return command
}

func previewCommand(options *site.Options) *cobra.Command {
	var flags releaseFlags
	var refresh, expectNoChanges bool
	command := &cobra.Command{
		Use:   "preview",
		Short: "Show what `up` would change, and change nothing",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withSite(command.Context(), options, func(ctx context.Context, opened *site.Site) error {
				release, err := flags.release(opened)
				if err != nil {
					return err
				}
				changes, err := opened.Preview(ctx, release, refresh)
				if err != nil {
					return err
				}
				fmt.Fprintf(options.Out, "\npreview   %s\n", counts(changes))
				if expectNoChanges && len(changes) > 0 && changes["same"] != total(changes) {
					return errors.New("changes were found, and --expect-no-changes was given")
				}
				return nil
			})
		},
	}
	flags.register(command)
	command.Flags().BoolVar(&refresh, "refresh", false, "compare with what really exists first, to find drift")
	command.Flags().BoolVar(&expectNoChanges, "expect-no-changes", false, "fail if anything would change")
	return command
}

// withSite opens the lab for one command.
func withSite(ctx context.Context, options *site.Options, run func(context.Context, *site.Site) error) (err error) {
	opened, err := site.Open(ctx, *options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return run(ctx, opened)
}

// summarise prints what runs now, and what to do next.
func summarise(ctx context.Context, options *site.Options, opened *site.Site, outcome *site.Outcome) error {
	out := options.Out
	fmt.Fprintln(out)
	hosts, err := site.LoadHosts(options.Root, options.Name)
	if err != nil {
		return err
	}
	if err := printHealth(ctx, out, hosts); err != nil {
		return err
	}
	sizes, err := opened.Sizes(ctx, outcome.Image)
	if err != nil {
		return err
	}
	signed, err := opened.Signed(ctx, outcome)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "image     %s   %s\n", outcome.Image, sizes)
	fmt.Fprintf(out, "signed    %s\n", signed)
	if len(hosts.All()) > 0 {
		fmt.Fprintf(out, "api       %s   # then curl http://127.0.0.1:8080/api/health\n",
			strings.Join(hosts.SSH(hosts.All()[0], "-N", "-L", "8080:127.0.0.1:8080"), " "))
	}
	fmt.Fprintf(out, "stack     %s in %.0f s\n", counts(outcome.Changes), opened.Log.Elapsed().Seconds())
	fmt.Fprintf(out, "github    git clone %s\n", site.Repository(*options))
	lab := "go run ./lab"
	if options.Name != "" {
		lab += " --name " + options.Name
	}
	if options.Subnet.IsValid() {
		lab += " --subnet " + options.Subnet.String()
	}
	fmt.Fprintf(out, "next      %s up --version 0.6.20 · %[1]s ssh gw-1 · %[1]s down\n", lab)
	return nil
}

func counts(changes map[string]int) string {
	var parts []string
	for _, kind := range []struct{ op, word string }{
		{"create", "created"}, {"update", "updated"}, {"replace", "REPLACED"}, {"delete", "deleted"}, {"same", "unchanged"},
	} {
		if count := changes[kind.op]; count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, kind.word))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

func total(changes map[string]int) int {
	sum := 0
	for _, count := range changes {
		sum += count
	}
	return sum
}
