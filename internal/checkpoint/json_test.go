package checkpoint

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What the reader takes for JSON is what encoding/json does. The guard refuses
// none of it, and knows how much of it is white space.
func TestReaderTakesTheGrammarOfJSON(t *testing.T) {
	pieces := []string{
		"", " ", "{", "}", "[", "]", ",", ":", `"a"`, `"`, `\`, "1", "-", "0", "01", ".", "1.5", "1.", "1e5", "1E+", "-0.1e-2",
		"true", "tru", "null", "false", `"\u00e9"`, `"\u00g9"`, `"\x"`, "\"\n\"", "\"\u007f\"", `"12345678901\"2345678"`, "\x00", "'a'",
		`{"a":1}`, `{"a" : [ ] , "b":{ }}`, `[1,[2,{"a":[]}],3]`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1 "b":2}`, `[1 2]`, `[}`, `{]`,
		"\t\r\n1\t\r\n", "\f1",
	}
	check := func(text string) {
		if got, want := isJSON([]byte(text)), json.Valid([]byte(text)); got != want {
			t.Errorf("%q: taken is %v, want %v", text, got, want)
		}
		spaces, err := inspect([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var compact bytes.Buffer
		if json.Compact(&compact, []byte(text)) != nil {
			return
		}
		if got := appendCompact(nil, []byte(text)); string(got) != compact.String() || len(got)+spaces != len(text) {
			t.Errorf("%q: compact is %q, with %d bytes less", text, got, spaces)
		}
	}
	for _, a := range pieces {
		for _, b := range pieces {
			check(a + b)
			check("[" + a + "," + b + "]")
			check(`{"x":` + a + `,"y":` + b + `}`)
		}
	}
}

// Each way of reading tells the same: an object by its members or as a whole.
func TestReaderRefusesTheSameInsideAndOutside(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":1}`, `{"a":1,"b":[1,2]}`, ` { "a" : 1 , "b" : 2 } `, `{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a":1;"b":2}`, `{a:1}`, `{"a":1]`,
		`{"a":1`, `{"a":`, `{"a"`, `{`, `{"a":1}}`, `{"a":}`, `{:1}`, `{"a":1 "b":2}`,
	} {
		err := members([]byte(text), func([]byte, []byte) error { return nil })
		if want := isJSON([]byte(text)); (err == nil) != want {
			t.Errorf("members of %s: %v, but it is JSON: %v", text, err, want)
		}
		list := strings.NewReplacer("{", "[", "}", "]", `"a":`, "", `"b":`, "").Replace(text)
		err = elements([]byte(list), func([]byte) error { return nil })
		if want := isJSON([]byte(list)); (err == nil) != want {
			t.Errorf("elements of %s: %v, but it is JSON: %v", list, err, want)
		}
	}
}

// BenchmarkReader is the grammar alone, which the JSON library checks.
func BenchmarkReader(b *testing.B) {
	benchBodies(b, func(body []byte) error {
		r := read(body)
		defer r.close()
		if _, err := r.value(); err != nil {
			return err
		}
		return r.end()
	})
}
