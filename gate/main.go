// Command gate proves an image in a registry before anything public is made of
// it. It reads one JSON document on standard input, prints a line about what it
// found, and fails with a message that names what is wrong:
//
//	gate size         every platform is there, and none is larger than the limit
//	gate smoke        it starts, becomes healthy, and stops, in a container here
//	gate unpublished  its version is not published with other content
//	gate attest       signs it, and attests what it is made of
//	gate signed       it is signed by a key that is trusted
//
// The document is an argument of none of them, because it can hold a login. The
// stack's gates run it; see components.Gates and components.Signature.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/gate/proof"
)

func main() {
	// Whoever started this may be gone before it ends; what it has started on this
	// machine must be removed all the same.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// prover is one of the proofs, with its document read.
type prover interface {
	// Run returns what was found, in a line without secrets.
	Run(ctx context.Context) (string, error)
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	proofs := map[string]prover{
		"size": &proof.Size{}, "smoke": &proof.Smoke{}, "unpublished": &proof.Unpublished{},
		"attest": &attest.Attest{}, "signed": &proof.Signed{},
	}
	if len(args) != 1 || proofs[args[0]] == nil {
		return fmt.Errorf("usage: gate size|smoke|unpublished|attest|signed, with a JSON document on standard input; got %q", args)
	}
	document := json.NewDecoder(in)
	document.DisallowUnknownFields()
	if err := document.Decode(proofs[args[0]]); err != nil {
		return fmt.Errorf("reading the document of gate %s: %w", args[0], err)
	}
	found, err := proofs[args[0]].Run(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(errors.New("interrupted"), err)
	}
	if err != nil {
		return fmt.Errorf("gate %s: %w", args[0], err)
	}
	_, err = fmt.Fprintln(out, found)
	return err
}
