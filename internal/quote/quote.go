// Package quote shows values in messages.
package quote

import (
	"strconv"
	"strings"
)

// longest keeps a pasted file out of a message.
const longest = 80

// Value shows a value in quotes, shortened. A private key, which may stand in
// any wrong place, is only named.
func Value(value string) string {
	switch {
	case strings.Contains(value, "PRIVATE KEY"):
		return "a private key"
	case len([]rune(value)) > longest:
		return strconv.Quote(string([]rune(value)[:longest])) + "…"
	}
	return strconv.Quote(value)
}
