package network

import (
	"crypto/sha256"
	"encoding/hex"
)

// Prefix begins the name of every gateway's bridge, and of nothing else.
const Prefix = "clawft-"

// Bridge returns the name of the interface of a network, such as clawft-1f2e3d4c. It does not hold the
// network's own name, since an interface's name has at most 15 characters.
func Bridge(network string) string {
	sum := sha256.Sum256([]byte(network))
	return Prefix + hex.EncodeToString(sum[:4])
}
