// Package shell runs scripts on a machine over SSH, for the few that run between two steps of the engine
// and so cannot be commands of pulumi-command.
package shell
