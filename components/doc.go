// Package components holds the parts of the delivery pipeline, one Pulumi
// ComponentResource per file.
//
// Every constructor runs the same steps: register the component, register its
// children (named after the component, parented to it), register outputs.
// Arguments that decide whether or how many resources exist are plain Go values
// that the pipeline package has already validated; what flows from one resource
// to the next is an Input or Output.
//
// Remote commands carry no Triggers. In pulumi-command a changed trigger
// replaces the command, and a replacement runs the old command's delete after
// the new one's create, which would uninstall what was just deployed. A changed
// standard input updates the command instead, and every script is idempotent,
// so an update that has nothing to do says so and changes nothing.
package components
