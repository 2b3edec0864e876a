// Package sshkey tells the SSH keys that connect from those that cannot.
//
// Connections are made by the pulumi-command plugin, with Go's SSH client. As host key algorithm it offers
// the pinned key's own type and nothing else, and OpenSSH 8.8 and newer, which every supported system has,
// signs with an RSA key by other algorithms only. What is accepted here is proven to connect to a real
// sshd by the lab's end-to-end tests.
package sshkey
