package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/site"
)

func statusCommand(options *site.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what runs, as the gateways themselves say",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			hosts, err := site.LoadHosts(options.Root, options.Name)
			if err != nil {
				return err
			}
			return printHealth(command.Context(), options.Out, hosts)
		},
	}
}

// printHealth writes a line for every gateway. It fails if one is not healthy.
func printHealth(ctx context.Context, out io.Writer, hosts *site.Hosts) error {
	var failed []error
	for _, host := range hosts.All() {
		health, err := hosts.Health(ctx, host)
		if err != nil {
			fmt.Fprintf(out, "gateway   no answer on %s (%s)\n", host.Name, host.Address)
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(out, "gateway   clawft %s %s on %s (%s) since %s\n",
			health.Version, health.Word(), host.Name, host.Address, time.Duration(health.UptimeSeconds)*time.Second)
		if health.Status != "ok" {
			failed = append(failed, fmt.Errorf("%s reports %q", host.Name, health.Status))
		}
	}
	return errors.Join(failed...)
}
