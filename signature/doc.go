// Package signature signs images and says whether they are signed, in the format
// of cosign: what `cosign verify --key` accepts is accepted here, and the other
// way round. Keys are of the curve P-256, and signatures are ECDSA over SHA-256.
//
// A signature is for one image by its digest, so it holds wherever the image is
// and under whatever tag. Nothing here reads or writes a registry.
//
// The format: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
package signature
