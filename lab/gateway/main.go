// Command weft stands in for the clawft gateway. It keeps the real program's
// contract: commands, config, exit codes, signals, the health route and the
// reasons to refuse a start. What the lab proves with it holds for the real one.
//
// Beyond the contract it stores messages, so that a test can prove that an
// update loses and doubles none, and records when two gateways share one data
// directory, which the real one does not notice.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// version is what health reports. Set by -ldflags "-X main.version=X.Y.Z".
var version = "0.0.0-dev"

const usage = `Usage: weft <COMMAND>

Commands:
  gateway      Start the channels and the API [--config PATH]
  status       Show the configuration's status
  config show  Show the resolved configuration [--config PATH]
  onboard      Write a first configuration [--yes] [--dir DIR]
`

// usageError marks a wrong command line, which exits 2; every other error exits 1.
type usageError struct{ error }

func main() {
	err := run(os.Args[1:])
	var wrong usageError
	switch {
	case err == nil:
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "error: %v\n\n%s", wrong.error, usage)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("a subcommand is required")}
	}
	command, rest := args[0], args[1:]
	switch command {
	case "gateway":
		path, err := configFlag(command, rest)
		if err != nil {
			return err
		}
		return runGateway(path)
	case "status":
		if len(rest) > 0 {
			return usageError{fmt.Errorf("unexpected argument %q", rest[0])}
		}
		return status(os.Stdout)
	case "config":
		if len(rest) == 0 || rest[0] != "show" {
			return usageError{errors.New("config takes the subcommand show")}
		}
		path, err := configFlag("config show", rest[1:])
		if err != nil {
			return err
		}
		return configShow(os.Stdout, path)
	case "onboard":
		return runOnboard(os.Stdout, rest)
	case "--version", "-V":
		fmt.Println("weft", version)
		return nil
	case "--help", "-h":
		fmt.Print(usage)
		return nil
	}
	return usageError{fmt.Errorf("unrecognized subcommand %q", command)}
}

func newFlags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

func configFlag(command string, args []string) (string, error) {
	flags := newFlags(command)
	var path string
	flags.StringVar(&path, "config", "", "")
	flags.StringVar(&path, "c", "", "")
	err := parse(flags, args)
	return path, err
}

func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}
