// Package site is everything of the lab that stands around the Pulumi stack:
// the engine, the machines and their network, the registry, BuildKit, the
// provider stand-ins, and the gateway's build context.
//
// A site belongs to one checkout and one name. It is opened by one command at a
// time, and all that it keeps is below its directory.
package site
