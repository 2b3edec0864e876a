package main

import (
	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/benchimage"
	"github.com/clawft/infra/lab/site"
)

func benchImageCommand(options *site.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "bench-image",
		Short: "Measure image builds: cold, after a change, with none, and beside an emulated one; takes half an hour",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return benchimage.Run(command.Context(), options.Root, options.Out)
		},
	}
}
