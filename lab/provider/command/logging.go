package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// logging says which output is shown while a command runs. Empty means both.
type logging string

const (
	logStdout logging = "stdout"
	logStderr logging = "stderr"
	logBoth   logging = "stdoutAndStderr"
	logNone   logging = "none"
)

func (l logging) showsStdout() bool { return l == "" || l == logStdout || l == logBoth }
func (l logging) showsStderr() bool { return l == "" || l == logStderr || l == logBoth }

// checkLogging is needed because the SDK's type is an open string.
func checkLogging(_ context.Context, inputs property.Map) []p.CheckFailure {
	known := []string{string(logStdout), string(logStderr), string(logBoth), string(logNone)}
	given := inputs.Get("logging")
	if !given.IsString() || slices.Contains(known, given.AsString()) {
		return nil
	}
	return []p.CheckFailure{{
		Property: "logging",
		Reason:   fmt.Sprintf("%q is not one of %s", given.AsString(), strings.Join(known, ", ")),
	}}
}
