// Package engine runs gateways on the Docker engine, by its API. It works with engines from API 1.41, Docker
// 20.10, on; the client agrees with the engine on the version that they speak. Where images are kept, by
// Docker itself or in containerd's store, does not matter.
//
// How a container is made stands in spec.go, once, for a gateway and for its preflight.
package engine
