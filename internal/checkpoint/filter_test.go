package checkpoint

import (
	"strings"
	"testing"
)

func TestFilterExpressions(t *testing.T) {
	const doc = `{"status":"completed","stepNumber":5.0,"big":1E400,"s":"b","esc":"\u0062","n":null,"o":{"x-y":{"_z":1}},"twice":1,"twice":2,` +
		`"newMessages":[{"type":"userMessage","contents":[{"n":1},{"n":2}]},{"type":"toolMessage"},7],"empty":[]}`
	for filter, want := range map[string]bool{
		`.status == "completed"`: true,
		`.status=="completed"`:   true,
		`.status == "Completed"`: false,
		`.status != "init"`:      true,
		`.stepNumber >= 5`:       true,
		`.stepNumber == 5e0`:     true,
		`.stepNumber > 5`:        false,
		`.stepNumber < 5.5`:      true,
		`.stepNumber <= 4`:       false,
		`.big > 1e308`:           true,
		`.s > "a"`:               true,
		`.s < "a"`:               false,
		`.s <= "b"`:              true,
		`.esc == "b"`:            true,
		`.s == "\u0062"`:         true,
		`.o.x-y._z == 1`:         true,
		`.twice == 2`:            true,
		`.twice == 1`:            false,

		// [] is any element.
		`.newMessages[].type == "toolMessage"`: true,
		`.newMessages[].type == "x"`:           false,
		`.newMessages[].contents[].n == 2`:     true,
		`.newMessages[].contents[].n > 2`:      false,
		`.newMessages[] == 7`:                  true,
		`.newMessages[].type != "userMessage"`: true,

		// A missing path or another type matches only !=.
		`.missing == "x"`:          false,
		`.missing != "x"`:          true,
		`.missing < 1`:             false,
		`.missing.deeper != 1`:     true,
		`.status > 1`:              false,
		`.status != 1`:             true,
		`.stepNumber == "5.0"`:     false,
		`.n == 0`:                  false,
		`.n != 0`:                  true,
		`.o == "x"`:                false,
		`.status.x == 1`:           false,
		`.status[] == "completed"`: false,
		`.status[] != "completed"`: true,
		`.empty[] == 1`:            false,
		`.empty[] != 1`:            true,
		`.newMessages.type == 1`:   false,
	} {
		f, err := ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := f.Match([]byte(doc), Summary{}); got != want {
			t.Errorf("%s: %v", filter, got)
		}
		if f.TextOnly() {
			t.Errorf("%s is taken for text", filter)
		}
		if got, want := f.NeedsMessages(), strings.HasPrefix(filter, ".newMessages"); got != want {
			t.Errorf("%s needs messages: %v", filter, got)
		}
		if f.Match([]byte(`{"status":`), Summary{}) || f.Match(nil, Summary{}) != (f.op == "!=") {
			t.Errorf("%s and what is no document", filter)
		}
	}
}

func TestFilterMalformedExpressions(t *testing.T) {
	for _, filter := range []string{
		`.`, `..a == 1`, `.a`, `.a =`, `.a = 1`, `.a ==`, `.a == x`, `.a == true`, `.a == null`, `.a == 'x'`, `.a == "x`, `.a == "x" y`,
		`.a == {}`, `.a == [1]`, `.a == 01`, `.a == 1e999`, `.a[0] == 1`, `.a[ == 1`, `.[] == 1`, `.a b == 1`, `.a. == 1`, `.é == 1`,
		`.a === 1`, ".a == \"\xff\"", `.a == 1 && .b == 2`,
	} {
		if f, err := ParseFilter(filter); err == nil {
			t.Errorf("%s is taken: %+v", filter, f)
		} else if !strings.HasPrefix(err.Error(), "filter: ") {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

func TestFilterText(t *testing.T) {
	s := Summary{Status: "proceeding", ActionType: "readTextFile", ExpertKey: "@acme/a@1.0.0", SkillName: "Überblick", ToolName: "getÀll"}
	for text, want := range map[string]bool{
		"PROCEED": true, "textfile": true, "@acme/": true, "über": true, "getàLL": true, "": true,
		"completed": false, "proceedingread": false, `== "proceeding"`: false, " ": false,
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if !f.TextOnly() || f.NeedsMessages() {
			t.Errorf("%q is not taken for text", text)
		}
		if got := f.Match(nil, s); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`.status == "completed"`, `{"status":"completed"}`)
	f.Add(`.newMessages[].contents[].n >= 1e0`, `{"newMessages":[{"contents":[{"n":1}]},null]}`)
	f.Add(`.a[][] != "\ud800"`, `{"a":[[],["\ud800"]]}`)
	f.Add(`text`, `{}`)
	f.Add(`.a < 1`, `[`)
	f.Fuzz(func(t *testing.T, text, doc string) {
		filter, err := ParseFilter(text)
		if err != nil {
			return
		}
		match := filter.Match([]byte(doc), Summary{Status: doc})
		if filter.TextOnly() || !isJSON([]byte(doc)) {
			return
		}
		// What is equal is not unequal, where there is no choice of elements.
		if filter.op == "==" && !strings.Contains(text, "[]") {
			opposite := *filter
			opposite.op = "!="
			if opposite.Match([]byte(doc), Summary{}) == match {
				t.Errorf("%s and its opposite agree on %s", text, doc)
			}
		}
	})
}
