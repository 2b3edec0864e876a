package gateway

import (
	"strings"
	"unicode"
)

// Key is what the gateway makes of a key when it reads config.json: it turns
// every key into snake_case, also where the key is a name and not part of the
// format.
func Key(key string) string {
	var rewritten strings.Builder
	letters := []rune(key)
	for i, letter := range letters {
		if i > 0 && unicode.IsUpper(letter) {
			previous := letters[i-1]
			endOfAcronym := i+1 < len(letters) && unicode.IsUpper(previous) && unicode.IsLower(letters[i+1])
			if unicode.IsLower(previous) || endOfAcronym {
				rewritten.WriteByte('_')
			}
		}
		rewritten.WriteRune(unicode.ToLower(letter))
	}
	return rewritten.String()
}
