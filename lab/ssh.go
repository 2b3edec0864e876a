package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/clawft/infra/lab/site"
)

func sshCommand(options *site.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "ssh HOST [COMMAND…]",
		Short: "Log in to a host, or run a command there",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return login(options, args[0], args[1:]...)
		},
	}
}

func logsCommand(options *site.Options) *cobra.Command {
	var follow bool
	command := &cobra.Command{
		Use:   "logs HOST",
		Short: "Show the log of a host's gateway and of its deployments",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			line := []string{"sudo", "journalctl", "--no-pager", "--lines=200", "--unit=clawft.service", "--unit=clawft-deploy*"}
			if follow {
				line = append(line, "--follow")
			}
			return login(options, args[0], line...)
		},
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing new lines")
	return command
}

// login replaces this process by ssh.
func login(options *site.Options, name string, command ...string) error {
	hosts, err := site.LoadHosts(options.Root, options.Name)
	if err != nil {
		return err
	}
	host, err := hosts.Get(name)
	if err != nil {
		return err
	}
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return fmt.Errorf("looking for ssh: %w; install openssh-client", err)
	}
	line := hosts.SSH(host)
	if len(command) > 0 {
		line = append(append(line, "--"), command...)
	}
	return syscall.Exec(ssh, line, os.Environ())
}
