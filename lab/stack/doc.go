// Package stack runs the product's own program as a Pulumi stack on this
// machine: the real engine through the Automation API, a file backend, a
// generated passphrase and providers that are attached rather than downloaded.
// Everything it writes is under the lab's directory.
package stack
