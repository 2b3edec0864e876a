// Package registry reads what a container registry holds of a repository, and
// knows which public tags a release moves there.
//
// It only reads: images are pushed by the build, and tags by a Publication.
package registry
