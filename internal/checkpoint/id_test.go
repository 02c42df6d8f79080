package checkpoint

import (
	"strings"
	"testing"
)

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"test12345678901234567890":  true,
		"000000000000000000000000":  true,
		"test1234567890123456789":   false,
		"test123456789012345678901": false,
		"Test12345678901234567890":  false,
		"test1234567890123456789é":  false,
		"test1234567890123456789\n": false,
		"":                          false,
	} {
		if ValidID(id) != want || ValidIDBytes([]byte(id)) != want {
			t.Errorf("%q: want %v", id, want)
		}
	}
}

func TestNewIDStartsWithALetterAndUsesEveryCharacter(t *testing.T) {
	seen := map[string]bool{}
	var all strings.Builder
	for range 2000 {
		id := NewID()
		if !ValidID(id) || id[0] < 'a' || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
		all.WriteString(id[1:])
	}
	for _, c := range idChars {
		// 46,000 characters, 36 kinds: 1278 of each, give or take 35.
		if n := strings.Count(all.String(), string(c)); n < 1000 || n > 1560 {
			t.Errorf("%q occurs %d times", c, n)
		}
	}
}
