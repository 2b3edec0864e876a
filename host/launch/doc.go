// Package launch carries a gateway's environment, its secrets, into its container.
//
// The engine would keep an environment that it is given in files and in answers that every user of the
// engine reads. What comes in by standard input exists in the gateway's process alone. The program is
// bind-mounted into the container and needs nothing of the image, not even a shell.
package launch
