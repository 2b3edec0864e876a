// Package smoke tests the product's smoke test with Docker: images of the lab's
// gateway, sound and with one thing wrong at a time, are put into a registry and
// proven by the program that proves the real one.
//
// It needs a Docker engine, and fails without one.
package smoke
