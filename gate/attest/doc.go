// Package attest makes an image that was proven recognisable: it signs its
// digest, and attaches signed statements of what it is made of and what it was
// built from. Hosts that require a signature start nothing else.
//
// Everything is in the format of cosign and attached where cosign looks for it,
// so `cosign verify` and `cosign verify-attestation` read it. What is there
// already is not made again.
package attest
