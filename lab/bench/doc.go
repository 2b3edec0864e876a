// Package bench measures what the pipeline costs.
//
// [Lab] times the commands of a lab of its own, each from the call to its end,
// and splits the time by what was at work: the engine, the program, the server,
// the image's build, SSH, and the deployment's phases as the host reports them.
// Every moment is counted once, so that the columns of a row add up to its total.
//
// [Previews] times previews that find nothing to do, at growing numbers of
// hosts that exist in a state only, beside a bare program with as many
// resources. It says what the components and the validation cost on top of
// Pulumi itself.
package bench
