// Package release has the documents that a host is told and tells: what a gateway
// is to run (Release), whose it is (Owner), and what a deployment did (Report).
// All of them are JSON. What is accepted, and the limits, stand here and nowhere
// else.
package release
