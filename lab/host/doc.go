// Package host tests the parts of the host program on a real kernel and a real
// engine: packets between network namespaces, containers, units. As root, with
// Docker, like all tests of the lab.
package host
