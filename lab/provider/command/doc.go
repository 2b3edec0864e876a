// Package command stands in for the pulumi-command plugin, version 1.2: a
// command's life cycle, here or on a remote host over SSH.
//
// A changed input of any kind, the connection included, is an update, which
// runs the update command or else the create command; changed triggers replace
// the resource. Copying files, path globs and the run function are not there.
//
// Unlike the plugin, a command ends when the engine cancels. The plugin waits
// for it, until a second interrupt ends the plugin's process and with it the
// connection.
package command
