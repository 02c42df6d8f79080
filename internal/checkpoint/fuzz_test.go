package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode/utf8"
)

// FuzzParseRequest compares ParseRequest with encoding/json: the two take the
// same bodies for JSON but for what ParseRequest says it refuses beside, and
// what is made of a valid one has the same values with the same literals.
func FuzzParseRequest(f *testing.F) {
	for _, body := range []string{
		fullBody, smallBody, `{}`, `[]`, `null`, ``, ` `, `{"checkpoint":{},"checkpoint":{}}`, `{"step":{"usage":{},"us\u0061ge":{}}}`,
		`{"checkpoint":{"status":"\ud800","x":[1E400,{"a":1,"a":2}]}}`, "{\"a\":\"\xff\"}", `[[[[[[`, `{"a":1}{`, `{"a":01}`, "\ufeff{}",
		`{"checkpoint":{"messages":[ 1 , [ ] ,{ } ]}}`,
	} {
		f.Add([]byte(body))
	}
	for _, name := range []string{"short", "error"} {
		f.Add(traceLines(f, name)[1])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		r, err := ParseRequest(body)
		var syntax *SyntaxError
		var faults Faults
		switch {
		case errors.As(err, &syntax):
			if syntax.Offset < 0 || syntax.Offset > int64(len(body)) {
				t.Errorf("offset %d of %d", syntax.Offset, len(body))
			}
			if json.Valid(body) && !refused(body) {
				t.Errorf("%v, but encoding/json takes %s", err, body)
			}
		case errors.As(err, &faults), err == nil:
			if !json.Valid(body) || refused(body) {
				t.Errorf("taken: %s", body)
			}
		default:
			t.Errorf("neither syntax nor faults: %v", err)
		}
		if err == nil {
			// The names in another case than the schema's would mislead the
			// check, which decodes as encoding/json does.
			if d := r.Encode(benchAssigned()); sameCase(body) {
				checkDocument(t, body, d)
			} else if !json.Valid(d.JSON) {
				t.Errorf("no JSON: %s", d.JSON)
			}
		}
		if !bytes.Equal(body, before) {
			t.Error("the body was changed")
		}
	})
}

// refused reports whether ParseRequest refuses a body that is JSON.
func refused(body []byte) bool {
	return !utf8.Valid(body) || tooMuch(body) || namedTwice(body, &requestSchema)
}

// tooMuch reports whether body is nested too deep or has too long a number.
func tooMuch(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for depth := 0; ; {
		token, err := d.Token()
		if err == io.EOF {
			return false
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
		case json.Number:
			if len(v) > MaxNumberLen {
				return true
			}
		}
		if depth > MaxDepth {
			return true
		}
	}
}

// namedTwice reports whether a property that p knows is there twice.
func namedTwice(value []byte, p *property) bool {
	d := json.NewDecoder(bytes.NewReader(value))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return false
	}
	seen := map[string]bool{}
	for d.More() {
		name, _ := d.Token()
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return false
		}
		i := find(p.of, []byte(name.(string)))
		if i < 0 {
			continue
		}
		if seen[name.(string)] || p.of[i].is == typeObject && namedTwice(v, &p.of[i]) {
			return true
		}
		seen[name.(string)] = true
	}
	return false
}

// sameCase reports whether the body and its checkpoint and step, which have
// their properties once, have none whose name differs in case only.
func sameCase(body []byte) bool {
	names := map[string]bool{}
	ok := true
	check := func(name, value []byte) error {
		folded := string(bytes.ToLower(name))
		if names[folded] {
			ok = false
		}
		names[folded] = true
		return nil
	}
	members(body, func(name, value []byte) error {
		if kindOf(value) == kindObject && (string(name) == "checkpoint" || string(name) == "step") {
			clear(names)
			members(value, check)
		}
		return nil
	})
	clear(names)
	members(body, check)
	return ok
}
