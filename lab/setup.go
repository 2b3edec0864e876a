package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/site"
)

func setupCommand(options *site.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Install and build what the lab and the tests need, and nothing else",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return withSite(command.Context(), options, func(context.Context, *site.Site) error { return nil })
		},
	}
}
