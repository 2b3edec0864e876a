package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/site"
)

func downCommand(options *site.Options) *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use:   "down",
		Short: "Destroy the stack and leave nothing behind but .lab/cache",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			if !force && site.Exists(*options) {
				err := withSite(ctx, options, func(ctx context.Context, opened *site.Site) error { return opened.Destroy(ctx) })
				if err != nil {
					return fmt.Errorf("%w\nthe lab is as it was; to remove it without destroying the stack in order: go run ./lab down --force", err)
				}
			}
			log := site.NewLog(options.Out)
			err := log.Phase("down", func() error { return site.Remove(ctx, *options) })
			// Another lab of the checkout may still use the engine.
			if options.Name == "" {
				err = errors.Join(err, engine.Stop(ctx, options.Root, log.Printf))
			}
			return err
		},
	}
	command.Flags().BoolVar(&force, "force", false, "remove machines and files without destroying the stack first")
	return command
}
