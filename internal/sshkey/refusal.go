package sshkey

// Refusal says why a key cannot work.
type Refusal struct {
	// Given describes the key, never showing a private one. It is empty for a text that is nothing known.
	Given string
	// Want says what would be right.
	Want string
}
