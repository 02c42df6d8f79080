package checkpoint

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// What a client may send to hurt costs no more than its size, times a small
// factor, and neither panics nor overflows the stack.
func TestHostileBodies(t *testing.T) {
	const mega = 1 << 20
	wrap := func(messages string) string {
		return strings.Replace(smallBody, `"messages":[]`, `"messages":[`+messages+`]`, 1)
	}
	for _, test := range []struct {
		name, body string
		want       string // "syntax", "faults" or "ok"
		factor     uint64 // bytes allocated for a byte of the body, in all
	}{
		{"10 MB of [", strings.Repeat("[", 10*mega), "syntax", 1},
		{"100,000 nested objects", strings.Repeat(`{"a":`, 100_000), "syntax", 1},
		{"100,000 nested objects, closed", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), "syntax", 1},
		{"a million unknown doubles", `{` + strings.Repeat(`"a":1,`, mega) + `"a":1}`, "faults", 1},
		{"a million unknown doubles in checkpoint", strings.Replace(smallBody, `{"checkpoint":{`, `{"checkpoint":{`+strings.Repeat(`"a":1,`, mega), 1), "ok", 12},
		{"a million doubles in a message", wrap(`{` + strings.Repeat(`"a":1,`, mega) + `"a":1}`), "ok", 3},
		{"a million known doubles", `{` + strings.Repeat(`"step":1,`, mega) + `"a":1}`, "syntax", 1},
		{"a million escaped names", `{` + strings.Repeat(`"\u0061":1,`, mega) + `"a":1}`, "faults", 3},
		{"a number of 10 MB", `{"a":` + strings.Repeat("1", 10*mega) + `}`, "syntax", 1},
		{"five million messages", wrap(strings.Repeat("1,", 5*mega) + "1"), "ok", 3},
		{"white space", wrap(strings.Repeat(" ", 10*mega)), "ok", 2},
		{"an endless string", `{"a":"` + strings.Repeat(`\\`, 5*mega), "syntax", 1},
		{"a long status", strings.Replace(smallBody, `"init"`, `"`+strings.Repeat("x", 10*mega)+`"`, 1), "faults", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(test.body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := ParseRequest(body)
			if err == nil {
				r.Encode(benchAssigned())
			}
			runtime.ReadMemStats(&after)
			var syntax *SyntaxError
			var faults Faults
			got := "ok"
			switch {
			case errors.As(err, &syntax):
				got = "syntax"
			case errors.As(err, &faults):
				got = "faults"
			}
			if got != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			// 4 MB beside: the parts that are kept apart, and what pools hold.
			if n := after.TotalAlloc - before.TotalAlloc; n > test.factor*uint64(len(body))+4*mega {
				t.Errorf("%d bytes allocated for a body of %d", n, len(body))
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// Beyond MaxParts elements are kept, in the document though not as parts.
func TestPartsAreBounded(t *testing.T) {
	messages := `"messages":[` + strings.Repeat("1,", MaxParts) + `2]`
	body := edit(t, smallBody, `"messages":[]`, messages)
	d := mustParse(t, edit(t, string(body), `"newMessages":[]`, `"newMessages":[3]`)).Encode(benchAssigned())
	if len(d.Parts) != MaxParts || !strings.Contains(string(d.JSON), messages) || !strings.Contains(string(d.JSON), `"newMessages":[3]`) {
		t.Errorf("%d parts", len(d.Parts))
	}
}

func TestHostileNestedTexts(t *testing.T) {
	for name, text := range map[string]string{
		"a deep text":        strings.Repeat("[", 1<<20),
		"a million doubles":  `{` + strings.Repeat(`"path":1,`, 1<<20) + `"path":"p"}`,
		"a long number":      `{"path":` + strings.Repeat("1", 1<<20) + `}`,
		"a million elements": `{"path":[` + strings.Repeat(`1,`, 1<<20) + `1]}`,
		"backslashes":        strings.Repeat(`\`, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			r := mustParse(t, baseBody(t, "deleteFile", "{}", text))
			if action, _ := r.Action(); len(action) > 100 {
				t.Errorf("an action of %d bytes", len(action))
			}
		})
	}
}
