// Command lab runs the whole pipeline on this one machine, without an account
// anywhere: a real `pulumi up` of the product's program, with machines, a
// registry and a GitHub of its own. Everything it keeps is below .lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/site"
)

func main() {
	// The first signal stops the run in good order; a second one ends it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "\nerror:", err)
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "interrupted; run the same command again to go on from here")
		}
		os.Exit(1)
	}
}

func command() *cobra.Command {
	options := site.Options{Out: os.Stdout}
	var subnet string
	root := &cobra.Command{
		Use:           "lab",
		Short:         "The whole pipeline on this one machine, without an account",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			if subnet != "" {
				if options.Subnet, err = netip.ParsePrefix(subnet); err != nil {
					return fmt.Errorf("reading --subnet: %w; want for example 172.30.0.0/24", err)
				}
			}
			if options.Home != "" {
				if options.Home, err = filepath.Abs(options.Home); err != nil {
					return fmt.Errorf("resolving --home: %w", err)
				}
			}
			options.Root, err = checkout()
			return err
		},
	}
	root.PersistentFlags().StringVar(&options.Name, "name", "", "name of the lab, where several run side by side")
	root.PersistentFlags().StringVar(&options.Home, "home", "", "directory of another machine to run Pulumi on, in a checkout (default: the lab's own)")
	root.PersistentFlags().StringVar(&subnet, "subnet", "", "network of the lab's machines (default 172.30.0.0/24)")
	root.AddCommand(
		setupCommand(&options),
		upCommand(&options),
		previewCommand(&options),
		statusCommand(&options),
		sshCommand(&options),
		logsCommand(&options),
		downCommand(&options),
		benchCommand(&options),
		benchImageCommand(&options),
	)
	return root
}

// checkout finds the repository that the current directory is in.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the current directory: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "Pulumi.lab.yaml")); err == nil {
			return at, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for the checkout: %w", err)
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in a checkout of clawft-infra: no Pulumi.lab.yaml in it or above it", dir)
		}
	}
}
