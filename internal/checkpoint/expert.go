package checkpoint

import "strings"

// The longest expert key, name and version, in characters (all of them ASCII).
const (
	maxExpertKey     = 511
	maxExpertName    = 255
	maxExpertVersion = 255
)

// Valid reports whether the key and the name match their patterns. The version
// need not be one: a digest leaves it out when it is none.
func (e ExpertRef) Valid() bool {
	_, _, _, ok := ParseExpertKey(e.Key)
	return ok && ValidExpertName(e.Name)
}

// ParseExpertKey splits the key of an expert into its name and the version or
// the tag behind it, of which at most one is there. The pattern, at most 511
// characters:
//
//	^((?:@[a-z0-9][a-z0-9_.-]*\/)?[a-z0-9][a-z0-9_.-]*)(?:@(VERSION)|@([a-z0-9][a-z0-9_.-]*))?$
//
// What can be read both ways, such as 1.0.0-rc.1, is a version.
func ParseExpertKey(key string) (name, version, tag string, ok bool) {
	if key == "" || len(key) > maxExpertKey {
		return "", "", "", false
	}
	scope := 0 // where the name proper begins
	if key[0] == '@' {
		slash := strings.IndexByte(key, '/')
		if slash < 0 || !isWord(key[1:slash]) {
			return "", "", "", false
		}
		scope = slash + 1
	}
	name, suffix, found := strings.Cut(key[scope:], "@")
	if !isWord(name) {
		return "", "", "", false
	}
	name = key[:scope+len(name)]
	switch {
	case !found:
		return name, "", "", true
	case isVersion(suffix):
		return name, suffix, "", true
	case isWord(suffix):
		return name, "", suffix, true
	}
	return "", "", "", false
}

// ValidExpertName reports whether s is the name of an expert: 1 to 255
// characters, ^(@[a-z0-9][a-z0-9_-]*\/)?[a-z0-9][a-z0-9_-]*$.
func ValidExpertName(s string) bool {
	if len(s) > maxExpertName || strings.IndexByte(s, '.') >= 0 {
		return false
	}
	if scope, name, found := strings.Cut(s, "/"); found {
		return len(scope) > 1 && scope[0] == '@' && isWord(scope[1:]) && isWord(name)
	}
	return isWord(s)
}

// ValidExpertVersion reports whether s is a semantic version of at most 255
// characters: ^N\.N\.N(?:-[\w.-]+)?(?:\+[\w.-]+)?$, N being a whole number
// without leading zeros.
func ValidExpertVersion(s string) bool {
	return len(s) <= maxExpertVersion && isVersion(s)
}

// isWord reports whether s matches ^[a-z0-9][a-z0-9_.-]*$.
func isWord(s string) bool {
	if s == "" || !isLowerAlnum(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !isLowerAlnum(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// isVersion is ValidExpertVersion without a bound.
func isVersion(s string) bool {
	core, build, found := strings.Cut(s, "+")
	if found && !isLabel(build) {
		return false
	}
	core, label, found := strings.Cut(core, "-")
	if found && !isLabel(label) {
		return false
	}
	for range 2 {
		var n string
		if n, core, found = strings.Cut(core, "."); !found || !isWhole(n) {
			return false
		}
	}
	return isWhole(core)
}

// isLabel reports whether s matches ^[\w.-]+$.
func isLabel(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLowerAlnum(c) && (c < 'A' || c > 'Z') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

// isWhole reports whether s matches ^(?:0|[1-9]\d*)$.
func isWhole(s string) bool {
	if s == "" || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
