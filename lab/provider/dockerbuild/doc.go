// Package dockerbuild stands in for the docker-build plugin: Image builds and
// pushes with BuildKit, Index puts a tag on what was pushed.
//
// Both are done by the real buildx and a real BuildKit. Where the plugin has
// rules of its own, this package has the same, also those that surprise:
//
//   - The context hash covers what the build could read, with names and modes
//     but without any absolute path, and decides whether an image is rebuilt.
//
//   - An image whose context is a git URL has a Dockerfile from that
//     repository, unless the Dockerfile is inline or its path is absolute.
//
//   - A preview neither builds nor pushes unless buildOnPreview is set, which it
//     is by default; what it builds is not pushed.
//
//   - In the preview of an update that is due only to a changed context, digest
//     and ref are known to be empty rather than unknown.
//
//   - Without a builder's name the current one builds. If that is Docker's own,
//     the first other one that answers does, and without any, one that is made.
//
//   - Changed registry passwords change nothing.
//
//   - Deleting an Index deletes the manifest that it points at, and so every
//     other tag of it.
//
//   - Of a local build cache the mode is dropped, and compression settings
//     without a level are.
//
// What it cannot vouch for are caches in s3 and azblob: they are passed on to
// buildx, and nothing here has ever tried them.
package dockerbuild
