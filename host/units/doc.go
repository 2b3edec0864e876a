// Package units has the units of systemd and works with them over D-Bus.
//
// What counts is what systemd has loaded, not what stands in a file: a process may end between the two.
package units
