// Package health asks a gateway whether it is well, and of which version it is.
package health
