package viewer

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/ui/", "index.html"},
		{"/ui/index.html", "index.html"},
		{"/ui/main.js", "main.js"},
		{"/ui/style.css", "style.css"},
		{"/ui", ""},
		{"/ui/nothing.js", ""},
		{"/ui/../viewer.go", ""},
		{"/ui//main.js", ""},
		{"/main.js", ""},
		{"", ""},
	} {
		f := Find(c.path)
		if got := f; (got == nil) != (c.want == "") || got != nil && got.Name != c.want {
			t.Errorf("%q: %+v, want %q", c.path, got, c.want)
		}
	}
}

func TestFilesHaveTypeAndTag(t *testing.T) {
	tag := regexp.MustCompile(`^[0-9a-f]{16}$`)
	tags := make(map[string]string)
	for name, f := range Files() {
		if f.Name != name || f.ContentType != contentTypes[path.Ext(name)] || !tag.MatchString(f.Tag) || len(f.Body) == 0 {
			t.Errorf("%s: %q, %q, %d bytes", f.Name, f.ContentType, f.Tag, len(f.Body))
		}
		if other := tags[f.Tag]; other != "" {
			t.Errorf("%s and %s have one tag", name, other)
		}
		tags[f.Tag] = name
	}
}

// What a client wrote must reach the page as text: nothing may parse markup or
// code, or load anything from elsewhere.
func TestScriptsParseNoMarkup(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|` +
		`createContextualFragment|setHTML|\beval\b|new Function|javascript:|https?://[a-z]`)
	for name, f := range Files() {
		for i, line := range strings.Split(string(f.Body), "\n") {
			if found := forbidden.FindString(line); found != "" && !strings.Contains(line, "http://www.w3.org/2000/svg") {
				t.Errorf("%s:%d: %s", name, i+1, found)
			}
		}
	}
}

// The policy forbids what is inline, so the page must have none.
func TestPageHasNothingInline(t *testing.T) {
	page := string(Find(Prefix).Body)
	for _, r := range []string{`<style`, `\sstyle=`, `\son[a-z]+=`, `<script(?:\s[^>]*)?>[^<]`} {
		if found := regexp.MustCompile(r).FindString(page); found != "" {
			t.Errorf("index.html has %q", found)
		}
	}
}
