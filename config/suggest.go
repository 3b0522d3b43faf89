package config

import (
	"fmt"
	"strings"
)

// maxSuggested is the longest word that is compared with others.
const maxSuggested = 64

// suggest returns the candidate that word was probably meant to be, or "".
func suggest(word string, candidates []string) string {
	if len(word) > maxSuggested {
		return ""
	}
	best, least := "", 3
	for _, c := range candidates {
		if plain(c) == plain(word) { // maxMessage, max-message
			return c
		}
		// Up to two slips of the finger, but never more than a third of the word.
		if d := distance(word, c); d < least && 3*d <= max(len(c), 3) {
			best, least = c, d
		}
	}
	return best
}

// suggest is the function suggest as long as its result will be shown:
// comparing every word of a large file with all others takes its time.
func (w *walker) suggest(word string, candidates []string) string {
	if w.spent || len(w.errs) >= maxShown {
		return ""
	}
	return suggest(word, candidates)
}

// didYouMean returns what to do about an unknown word: "; did you mean ..." if
// something is near, or else which words are known.
func didYouMean(near string, candidates []string) string {
	if near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(candidates) == 0 {
		return "; there are none"
	}
	return "; known here: " + shortList(candidates)
}

// shortList joins words by commas, the first few of them.
func shortList(words []string) string {
	const most = 20
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}

// plain is a word without case and separators.
func plain(s string) string {
	return strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(s, "_", ""), "-", ""))
}

// distance is the number of letters to put in, take out, change or swap with
// their neighbour until a is b.
func distance(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, old, row = old, row, older
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := old[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(old[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
