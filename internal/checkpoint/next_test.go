package checkpoint

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// messagesOf returns the messages of the checkpoint that body makes.
func messagesOf(t testing.TB, body []byte) []Messages {
	t.Helper()
	d := mustParse(t, body).Encode(benchAssigned())
	if len(d.Messages) == 0 {
		return nil
	}
	return []Messages{{JSON: d.JSON, Elements: d.Messages}}
}

// wantSame compares ParseNext with ParseRequest, and reports whether messages
// of before were found.
func wantSame(t *testing.T, body []byte, before []Messages) bool {
	t.Helper()
	want, wantErr := ParseRequest(body)
	got, err := ParseNext(body, before)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%v, want %v for %.500s", err, wantErr, body)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("another request than ParseRequest makes of %.500s", body)
	}
	if err == nil {
		a := benchAssigned()
		if got, want := got.Encode(a), want.Encode(a); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s, want %s", got.JSON, want.JSON)
		}
	}
	return parseRest(body, before) != nil
}

// A body that goes on from an earlier one gives the same request as if all of it
// were read, and most of it is not.
func TestNextOfTraces(t *testing.T) {
	for _, name := range traces {
		var before []Messages
		found := 0
		for _, body := range traceLines(t, name) {
			if wantSame(t, body, before) {
				found++
			}
			before = append(before, messagesOf(t, body)...)
		}
		if found == 0 {
			t.Errorf("%s: no checkpoint goes on from one before it", name)
		}
	}
}

// What comes after the known messages is read with all its faults.
func TestNextThatGoesOn(t *testing.T) {
	known := `{"n":12345678901234567890},"two"`
	before := messagesOf(t, []byte(fullBody))
	for _, c := range []struct {
		next  string
		found bool
	}{
		{known, true},
		{known + `,3`, true},
		{known + `,{"a":[1]},"x"`, true},
		{known + `,`, false},
		{known + `, `, false},
		{known + ` ,3`, false},
		{known + `,3 `, false},
		{known + `,"\ud800",1E400`, true},
		{known + `,01`, false},
		{known + `,` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), false},
		{known + `,` + strings.Repeat("1", MaxNumberLen+1), false},
		{known + ",\"\xff\"", false},
		{known + `x`, false},
		{known + `]`, false},
		{known[:len(known)-1] + `o"`, false},
		{`{"n":12345678901234567890}`, false},
		{`0,` + known, false},
		{``, false},
	} {
		body := edit(t, fullBody, `[`+known+`]`, `[`+c.next+`]`)
		if found := wantSame(t, body, before); found != c.found {
			t.Errorf("[%s]: found %t", c.next, found)
		}
	}
	for _, c := range [][2]string{
		{`"messages":[`, `"x":{"messages":[` + known + `]},"messages":[`},                            // of something else
		{`"messages":[`, `"a\"messages":[` + known + `],"messages":[`},                               // the end of another name
		{`"messages":[`, `"a":"\"messages\":[` + known[:1] + `","messages":[`},                       // in a string
		{`"messages":[`, `"messages":[],"messages":[`},                                               // twice
		{`"messages":[`, `"messages" :[`},                                                            // not compact
		{`"status":"proceeding"`, `"status":"none"`},                                                 // a fault before
		{`"startedAt":1767323045678`, `"startedAt":"now"`},                                           // a fault behind
		{`"finishedAt":1767323045679.9}}`, `"finishedAt":1767323045679.9}`},                          // cut
		{`"finishedAt":1767323045679.9}}`, `"finishedAt":1767323045679.9}} {}`},                      // too long
		{`"finishedAt":1767323045679.9}}`, `"finishedAt":` + strings.Repeat("[", 600) + `}}`},        // too deep
		{`"inputMessages":[null]`, `"inputMessages":[` + strings.Repeat("0,", MaxParts-1) + `null]`}, // many
	} {
		wantSame(t, edit(t, fullBody, c[0], c[1]), before)
	}
	// The lists of the step stand before the checkpoint.
	checkpoint, step, _ := strings.Cut(strings.TrimSuffix(fullBody, "}"), `,"step":`)
	swapped := `{"step":` + step + `,` + strings.TrimPrefix(checkpoint, "{") + `}`
	if !wantSame(t, []byte(swapped), before) {
		t.Error("the known messages are not found behind the step")
	}
	many := edit(t, swapped, `"inputMessages":[null]`, `"inputMessages":[`+strings.Repeat("0,", MaxParts-2)+`null]`)
	if wantSame(t, many, before) {
		t.Error("more parts than there may be")
	}
}

// The longest of several is taken.
func TestNextOfSeveral(t *testing.T) {
	short := messagesOf(t, edit(t, smallBody, `"messages":[]`, `"messages":["a"]`))
	long := messagesOf(t, edit(t, smallBody, `"messages":[]`, `"messages":["a","b"]`))
	other := messagesOf(t, edit(t, smallBody, `"messages":[]`, `"messages":["a","c"]`))
	body := edit(t, smallBody, `"messages":[]`, `"messages":["a","b","d"]`)
	for _, before := range [][]Messages{append(append(short, long...), other...), append(append(other, long...), short...)} {
		if left, known := repeated(body, before); len(known) != 2 || left.length != len(`"a","b",`) {
			t.Errorf("a gap of %d bytes with %d messages", left.length, len(known))
		}
		wantSame(t, body, before)
	}
}

// FuzzParseNext compares ParseNext with ParseRequest.
func FuzzParseNext(f *testing.F) {
	first := []byte(fullBody)
	for _, next := range []string{`,3`, `,`, `]`, ` `, `,[`, `,"messages":[`, `}`, "\xff"} {
		f.Add(first, bytes.Replace(first, []byte(`"two"`), []byte(`"two"`+next), 1))
	}
	lines := traceLines(f, "short")
	f.Add(lines[1], lines[2])
	f.Fuzz(func(t *testing.T, earlier, body []byte) {
		r, err := ParseRequest(earlier)
		if err != nil {
			return
		}
		d := r.Encode(benchAssigned())
		if len(d.Messages) > 0 {
			wantSame(t, body, []Messages{{JSON: d.JSON, Elements: d.Messages}})
		}
	})
}

// BenchmarkParseNext parses a body of which all but the last two messages are
// known.
func BenchmarkParseNext(b *testing.B) {
	for _, size := range []int{smallBench, largeBench} {
		body := benchBody(b, size)
		r := mustParse(b, body)
		d := r.Encode(benchAssigned())
		before := []Messages{{JSON: d.JSON, Elements: d.Messages[:len(d.Messages)-2]}}
		b.Run(fmt.Sprintf("%dB", len(body)), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseNext(body, before); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
