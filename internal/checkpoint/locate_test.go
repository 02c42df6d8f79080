package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What our own server answers is located again: the same parts and summary.
func TestLocateFindsWhatEncodeWrote(t *testing.T) {
	for _, name := range traces {
		for i, body := range traceLines(t, name) {
			r := mustParse(t, body)
			doc := r.Encode(benchAssigned())
			got, err := Locate(doc.JSON)
			if err != nil {
				t.Fatalf("%s line %d: %v", name, i+1, err)
			}
			a := benchAssigned()
			if got.ID != a.ID || got.Sequence != a.Sequence || got.Status != r.Status {
				t.Errorf("%s line %d: %s %d %s", name, i+1, got.ID, got.Sequence, got.Status)
			}
			if !slices.Equal(got.Parts, doc.Parts) {
				t.Errorf("%s line %d: other parts than the document's", name, i+1)
			}
			if got.Delegated != (r.DelegatedBy != nil) || got.JobStatus() != JobStatusOf(r.Status, r.DelegatedBy != nil) {
				t.Errorf("%s line %d: delegated %t, %s", name, i+1, got.Delegated, got.JobStatus())
			}
			if got.ActionType != doc.ActionType || got.SkillName != r.SkillName || got.ToolName != r.ToolName {
				t.Errorf("%s line %d: summary %+v", name, i+1, got.Summary())
			}
		}
	}
}

const locatedID = `"id":"test12345678901234567890"`

func TestLocateToleratesWhatItDoesNotKnow(t *testing.T) {
	base := Located{ID: "test12345678901234567890"}
	with := func(change func(*Located)) Located {
		l := base
		change(&l)
		return l
	}
	for name, tt := range map[string]struct {
		json string
		want Located
	}{
		"an id alone":          {`{` + locatedID + `}`, base},
		"the last of a name":   {`{"id":7,"sequence":1,` + locatedID + `,"sequence":2}`, with(func(l *Located) { l.Sequence = 2 })},
		"an escaped name":      {`{"\u0069d":"test12345678901234567890"}`, base},
		"other case":           {`{"Sequence":4,"STATUS":"init",` + locatedID + `}`, base},
		"other types":          {`{` + locatedID + `,"sequence":"1","status":[1],"action":"a","expert":[{}],"messages":{"a":[1]},"skillName":null}`, base},
		"no whole sequence":    {`{` + locatedID + `,"sequence":1.5}`, base},
		"negative sequence":    {`{` + locatedID + `,"sequence":-1}`, base},
		"too large a sequence": {`{` + locatedID + `,"sequence":9007199254740992}`, base},
		"the greatest sequence": {`{` + locatedID + `,"sequence":9007199254740991}`,
			with(func(l *Located) { l.Sequence = 9007199254740991 })},
		"a status of later":   {`{"status":"paused",` + locatedID + `}`, with(func(l *Located) { l.Status = "paused" })},
		"not delegated":       {`{"delegatedBy":null,` + locatedID + `}`, base},
		"delegated somehow":   {`{"delegatedBy":"x",` + locatedID + `}`, with(func(l *Located) { l.Delegated = true })},
		"properties of later": {`{"x":{"id":"no","messages":[1]},` + locatedID + `,"y":[[]]}`, base},
		"delegated": {`{"delegatedBy":{"checkpointId":"c","toolCallId":"t","expert":{"key":"boss"}},"expert":{"key":"e"},` + locatedID + `}`,
			with(func(l *Located) {
				l.Delegated, l.ExpertKey = true, "e"
				l.Line = Line{CheckpointID: "c", ToolCallID: "t", ExpertKey: "e"}
			})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Locate([]byte(tt.json))
			if err != nil || got.Parts != nil {
				t.Fatalf("%v, parts %v", err, got.Parts)
			}
			if got.ID != tt.want.ID || got.Sequence != tt.want.Sequence || got.Status != tt.want.Status ||
				got.Delegated != tt.want.Delegated || got.Line != tt.want.Line || got.Summary() != tt.want.Summary() {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestLocateRefusesWhatIsNoCheckpoint(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `null`, `"x"`, `{"id":null}`, `{"id":"short"}`, `{"id":"TEST12345678901234567890"}`} {
		if _, err := Locate([]byte(text)); !errors.Is(err, ErrNotCheckpoint) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{``, `{`, `{` + locatedID, `{` + locatedID + `}}`, `{` + locatedID + `,}`, `{"a"}`, `{1:2}`, `{"messages":[1 2]}`} {
		var syntax *SyntaxError
		if _, err := Locate([]byte(text)); !errors.As(err, &syntax) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLocateBoundsTheParts(t *testing.T) {
	many := `{` + locatedID + `,"messages":[` + strings.Repeat("1,", MaxParts+5) + `1]}`
	if got, err := Locate([]byte(many)); err != nil || len(got.Parts) != MaxParts {
		t.Errorf("%d parts, %v", len(got.Parts), err)
	}
	if _, err := LocateList([]byte(`{"data":{"checkpoints":[` + strings.Repeat("1,", maxListed) + `1]}}`)); !errors.Is(err, ErrNotCheckpoint) {
		t.Errorf("a list of too many: %v", err)
	}
}

func TestLocateOneAndList(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":{"checkpoint":{"a":1}}}`:                                     `{"a":1}`,
		` { "data" : { "x":[], "checkpoint" : { "a" : [ ] } , "y":1 } } `:     `{ "a" : [ ] }`,
		`{"checkpoint":{},"data":{"checkpoint":1,"checkpoint":{"last":1}}}`:   `{"last":1}`,
		`{"data":{"checkpoint":{}},"data":{}}`:                                ``,
		`{"data":{"checkpoint":[]}}`:                                          ``,
		`{"data":[{"checkpoint":{}}]}`:                                        ``,
		`{"data":null}`:                                                       ``,
		`{"data":{"checkpoint":{}}`:                                           ``,
		`{"data":{"checkpoint":{}}} x`:                                        ``,
		`{"d\u0061ta":{"checkpoint":{"\u00e9":"\ud800"}},"meta":{"total":1}}`: `{"\u00e9":"\ud800"}`,
	} {
		at, err := LocateOne([]byte(body))
		if got := body[at.Start:at.End]; got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
	list := []byte(`{"meta":{"total":12,"take":2},"data":{"checkpoints":[ {"a":1} , 2,[3]],"x":1}}`)
	got, err := LocateList(list)
	if err != nil || got.Total != 12 || !got.HasTotal {
		t.Fatalf("%+v, %v", got, err)
	}
	compareSpans(t, list, got.Checkpoints, []json.RawMessage{[]byte(`{"a":1}`), []byte(`2`), []byte(`[3]`)})
	if got, err := LocateList([]byte(`{"data":{"checkpoints":[]},"meta":{"total":"1"}}`)); err != nil || got.HasTotal || got.Checkpoints != nil {
		t.Errorf("an empty list: %+v, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"data":{"checkpoints":{}}}`, `{"data":{"checkpoints":[]},"data":1}`, `[]`} {
		if _, err := LocateList([]byte(body)); !errors.Is(err, ErrNotCheckpoint) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestOneLine(t *testing.T) {
	line := []byte(`{"a": "\n b"}`)
	if got := OneLine(line); &got[0] != &line[0] {
		t.Error("what is one line was copied")
	}
	if got := OneLine([]byte("{\r\n  \"a b\": [ 1,\n2 ]\n}")); string(got) != `{"a b":[1,2]}` {
		t.Errorf("got %s", got)
	}
}

// FuzzLocate compares the three with encoding/json.
func FuzzLocate(f *testing.F) {
	for _, body := range []string{
		`{` + locatedID + `,"sequence":3,"status":"init","action":{"type":"retry"},"messages":[1,{"a":[]}],"delegatedBy":{}}`,
		`{"data":{"checkpoint":{"id":1}}}`, `{"data":{"checkpoints":[{},1]},"meta":{"total":3}}`, `{"data":{"checkpoints":[]},"data":null}`,
		`{"messages":[ 1 ],"messages":[2 ,3]}`, `[]`, ``, `{"id":"\ud800"}`, "{\"\xff\":1}", `{"data":{},"meta":{"total":-0}}`, `{1:2}`, `{"a":1]`,
	} {
		f.Add([]byte(body))
	}
	f.Add(mustParse(f, traceLines(f, "short")[1]).Encode(benchAssigned()).JSON)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		located, err := Locate(body)
		var syntax *SyntaxError
		if valid := json.Valid(body); valid == errors.As(err, &syntax) {
			t.Fatalf("valid %t, but %v", valid, err)
		} else if !valid {
			return
		}
		if err == nil {
			checkLocated(t, body, located)
		}
		top := object(body)
		one, err := LocateOne(body)
		want := object(top["data"])["checkpoint"]
		if (err == nil) != (kindOf(want) == kindObject) || err == nil && string(one.of(body)) != string(want) {
			t.Errorf("one: %s, %v; want %s", one.of(body), err, want)
		}
		list, err := LocateList(body)
		var all []json.RawMessage
		isList := false
		if raw := object(top["data"])["checkpoints"]; kindOf(raw) == kindArray {
			isList = json.Unmarshal(raw, &all) == nil
		}
		if (err == nil) != (isList && len(all) <= maxListed) {
			t.Fatalf("list: %v", err)
		}
		if err == nil {
			compareSpans(t, body, list.Checkpoints, all)
			var total json.Number
			_ = json.Unmarshal(object(top["meta"])["total"], &total)
			if n, err := total.Int64(); list.HasTotal && (err != nil || uint64(n) != list.Total) {
				t.Errorf("total %d of %s", list.Total, total)
			}
		}
		if !bytes.Equal(OneLine(body), body) {
			var compact bytes.Buffer
			if err := json.Compact(&compact, body); err != nil || compact.String() != string(OneLine(body)) {
				t.Errorf("one line: %s", OneLine(body))
			}
		}
		if !bytes.Equal(body, before) {
			t.Error("the body was changed")
		}
	})
}

func checkLocated(t *testing.T, body []byte, l Located) {
	top := object(body)
	same := func(what, got string, raw json.RawMessage) {
		var want string
		if kindOf(raw) == kindString {
			_ = json.Unmarshal(raw, &want)
		}
		// Where surrogates stand alone the two differ on purpose, see unquote.
		if got != want && utf8.Valid(raw) && !strings.ContainsRune(want, utf8.RuneError) {
			t.Errorf("%s %q, want %q", what, got, want)
		}
	}
	same("id", l.ID, top["id"])
	same("status", string(l.Status), top["status"])
	same("skillName", l.SkillName, top["skillName"])
	same("toolName", l.ToolName, top["toolName"])
	same("action", l.ActionType, object(top["action"])["type"])
	same("expert", l.ExpertKey, object(top["expert"])["key"])
	if by, ok := top["delegatedBy"]; l.Delegated != (ok && string(by) != "null") {
		t.Errorf("delegated %t by %s", l.Delegated, by)
	}
	var sequence uint64
	_ = json.Unmarshal(top["sequence"], &sequence)
	if sequence > maxSequence || kindOf(top["sequence"]) != kindNumber {
		sequence = 0
	}
	if l.Sequence != sequence {
		t.Errorf("sequence %d of %s", l.Sequence, top["sequence"])
	}
	var parts []json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		var v json.RawMessage
		_ = d.Decode(&v)
		switch name {
		case "messages", "newMessages", "inputMessages":
			var some []json.RawMessage
			if kindOf(v) == kindArray && json.Unmarshal(v, &some) == nil {
				parts = append(parts, some...)
			}
		}
	}
	compareSpans(t, body, l.Parts, parts[:min(len(parts), MaxParts)])
}

// object decodes an object, nil if raw is none. Of a name that is there twice
// the last counts.
func object(raw []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(raw, &m)
	return m
}

func compareSpans(t *testing.T, body []byte, got []Span, want []json.RawMessage) {
	if len(got) != len(want) {
		t.Fatalf("%d places, want %d", len(got), len(want))
	}
	for i, at := range got {
		if string(at.of(body)) != string(want[i]) {
			t.Errorf("place %d holds %s, want %s", i, at.of(body), want[i])
		}
	}
}

// BenchmarkLocate reads a checkpoint of 110 KB.
func BenchmarkLocate(b *testing.B) {
	doc := mustParse(b, benchBody(b, largeBench)).Encode(benchAssigned())
	b.SetBytes(int64(len(doc.JSON)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Locate(doc.JSON); err != nil {
			b.Fatal(err)
		}
	}
}
