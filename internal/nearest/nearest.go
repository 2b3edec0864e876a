// Package nearest finds the word that was probably meant.
package nearest

import (
	"slices"
	"strings"
)

// To returns the candidate that was probably meant, or "". Case and word
// separators do not count, so that bot_token_env finds botTokenEnv.
func To(name string, candidates []string) string {
	wanted := foldName(name)
	best, shortest := "", max(1, len(wanted)/3)+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if distance := Distance(wanted, foldName(candidate)); distance < shortest {
			best, shortest = candidate, distance
		}
	}
	if best != "" || len(wanted) < 4 {
		return best
	}
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		folded := foldName(candidate)
		if strings.Contains(folded, wanted) || strings.Contains(wanted, folded) {
			return candidate
		}
	}
	return ""
}

func foldName(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// Distance is the Levenshtein distance, with a swap of two neighbours
// counted as one edit.
func Distance(a, b string) int {
	var before []int
	previous := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current := make([]int, len(b)+1)
		current[0] = i
		for j := 1; j <= len(b); j++ {
			substitution := previous[j-1]
			if a[i-1] != b[j-1] {
				substitution++
			}
			current[j] = min(substitution, previous[j]+1, current[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}
