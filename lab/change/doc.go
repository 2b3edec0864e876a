// Package change tests what a changed configuration would do to servers, to
// addresses and to what runs on hosts: with the real engine, over every key that
// is documented, against a state that was deployed. Behind the engine are records
// only.
package change
