// Package tls stands in for the pulumi-tls plugin, version 5: keys, and the
// public half of a key. Certificates are not there.
package tls
