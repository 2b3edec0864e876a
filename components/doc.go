// Package components holds the parts of the delivery pipeline, one Pulumi
// ComponentResource per file.
//
// Every constructor runs the same steps: register the component, register its
// children (named after the component, parented to it), register outputs.
// Arguments that decide whether or how many resources exist are plain Go values
// that the pipeline package has already validated; what flows from one resource
// to the next is an Input or Output.
//
// Every changed input of a remote command, the connection included, runs its
// create again, so every script is idempotent: with nothing to do it says so and
// changes nothing. Only changed Triggers replace the command, which runs the old
// delete with the old connection. They are what names the machine, for a command
// that has something to undo there, and DeleteBeforeReplace has that done before
// the new create: the other order would uninstall what was just deployed.
package components
