// Package docker stands in for the pulumi-docker plugin, of which the pipeline
// uses one resource: the named buildx builder.
//
// The builder is made by the real buildx client, so names, drivers, endpoints
// and their errors are buildx' own. As with the plugin, a builder that exists
// already is an error unless its node is named too, and every change replaces
// the builder.
package docker
