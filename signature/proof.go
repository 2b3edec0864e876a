package signature

// Proof is a signature of an image together with the keys that it may be by. Who
// has it can tell by itself, without a registry, whether to start the image.
type Proof struct {
	// Keys are public keys in PEM format. One of them has to be the signature's.
	Keys []string `json:"keys"`
	Image
}
