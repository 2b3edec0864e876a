// Package registry is the lab's OCI registry: distribution's own handlers,
// served in process, so that pushes, pulls, tag lists and deletions behave as
// at a real one.
//
// Content and credentials live in one directory. Stopping the process loses
// nothing: the next Start on the same directory serves the same manifests and
// tags, with the same certificate authority and the same password.
//
// It is as strict as a registry on the internet. It speaks TLS only, under a
// certificate authority of its own that clients have to be told about, and
// nothing can be read or written without the password.
package registry
