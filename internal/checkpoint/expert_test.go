package checkpoint

import (
	"regexp"
	"strings"
	"testing"
)

// The patterns as the document gives them.
var (
	keyPattern     = regexp.MustCompile(`^((?:@[a-z0-9][a-z0-9_.-]*\/)?[a-z0-9][a-z0-9_.-]*)(?:@((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[\w.-]+)?(?:\+[\w.-]+)?)|@([a-z0-9][a-z0-9_.-]*))?$`)
	namePattern    = regexp.MustCompile(`^(@[a-z0-9][a-z0-9_-]*\/)?[a-z0-9][a-z0-9_-]*$`)
	versionPattern = regexp.MustCompile(`^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[\w.-]+)?(?:\+[\w.-]+)?$`)
)

// checkPatterns compares the functions with the patterns.
func checkPatterns(t *testing.T, s string) {
	t.Helper()
	name, version, tag, ok := ParseExpertKey(s)
	if m := keyPattern.FindStringSubmatch(s); ok != (m != nil && len(s) <= maxExpertKey) {
		t.Errorf("key %q: %v", s, ok)
	} else if ok && (name != m[1] || version != m[2] || tag != m[3]) {
		t.Errorf("key %q: %q %q %q, want %q", s, name, version, tag, m[1:])
	}
	if got, want := ValidExpertName(s), namePattern.MatchString(s) && len(s) <= maxExpertName; got != want {
		t.Errorf("name %q: %v", s, got)
	}
	if got, want := ValidExpertVersion(s), versionPattern.MatchString(s) && len(s) <= maxExpertVersion; got != want {
		t.Errorf("version %q: %v", s, got)
	}
}

var expertSeeds = []string{
	"a", "@acme/a", "@acme/a@1.2.3", "a@latest", "a@1.2.3-rc.1+b.5", "a@01.2.3", "a@1.2", "a@1.2.3-", "a@1.2.3+", "a@1.2.3-A",
	"@acme", "@/a", "@acme/", "acme/a", "@acme/a/b", "@a.b/c.d", "a@", "a@@1.0.0", "a@b@c", "@a@b/c", "A", "-a", "_", "", "@",
	"1.2.3", "0.0.0", "1.2.3-rc+b", "1.2.3+b-c", "1.2.3+b+c", "10.20.30", "1.2.3.4", "1..3", "a\n", "é", "a@1.2.3\n", "@é/a",
}

func TestExpertPatterns(t *testing.T) {
	for _, s := range expertSeeds {
		checkPatterns(t, s)
	}
	for _, n := range []int{maxExpertName, maxExpertName + 1, maxExpertKey, maxExpertKey + 1} {
		checkPatterns(t, strings.Repeat("a", n))
		checkPatterns(t, "1.2."+strings.Repeat("3", n-4))
	}
}

func TestExpertRefValid(t *testing.T) {
	for ref, want := range map[ExpertRef]bool{
		{"@acme/a@1.0.0", "@acme/a", "1.0.0"}: true,
		{"a", "a", "not a version"}:           true,
		{"a", "", "1.0.0"}:                    false,
		{"a", "a.b", "1.0.0"}:                 false,
		{"", "a", "1.0.0"}:                    false,
	} {
		if ref.Valid() != want {
			t.Errorf("%+v: want %v", ref, want)
		}
	}
}

func FuzzExpertKey(f *testing.F) {
	for _, s := range expertSeeds {
		f.Add(s)
	}
	f.Fuzz(checkPatterns)
}
