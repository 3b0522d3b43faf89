package migrate

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var errLookaround = errors.New("mkd's regular expressions have no lookahead, lookbehind or backreference; write it with match and not")

// translateRegexp returns a regular expression of PCRE in RE2. One negative lookahead becomes a second expression that must
// not match; note is about where that is less exact.
func translateRegexp(text string, insensitive bool) (re, not, note string, err error) {
	without, inner, not, found := cutLookahead(text)
	if found {
		text = without
		note = fmt.Sprintf("the part (?!%s) is tried once for the whole path", inner)
	}
	if re, err = toRE2(text, insensitive); err != nil {
		return "", "", "", err
	}
	if not != "" {
		if not, err = toRE2(not, insensitive); err != nil {
			return "", "", "", err
		}
	}
	return re, not, note, nil
}

func toRE2(text string, insensitive bool) (string, error) {
	if insensitive {
		text = "(?i)" + text
	}
	if _, err := regexp.Compile(text); err != nil {
		return "", errLookaround
	}
	return text, nil
}

// cutLookahead takes the one negative lookahead out of a text. not is the part of the
// text that leads to it, with what must not follow.
func cutLookahead(text string) (without, inner, not string, found bool) {
	before, rest, found := strings.Cut(text, "(?!")
	if !found || strings.Contains(rest, "(?!") {
		return "", "", "", false
	}
	begin, open := 0, 0 // of the alternative, and groups open in it
	for i := 0; i < len(before); i++ {
		switch before[i] {
		case '\\':
			i++
		case '(':
			open++
		case ')':
			open--
		case '|':
			if open == 0 {
				begin = i + 1
			}
		}
	}
	depth := 1
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return before + rest[i+1:], rest[:i], before[begin:] + "(?:" + rest[:i] + ")" + strings.Repeat(")", max(open, 0)), true
			}
		}
	}
	return "", "", "", false
}
