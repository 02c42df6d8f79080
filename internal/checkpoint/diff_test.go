package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// told is a Difference in words.
func told(from, to string, d Difference) string {
	var b strings.Builder
	for _, m := range d.Added {
		fmt.Fprintf(&b, "+%d %s\n", m.Index, m.At.of([]byte(to)))
	}
	for _, i := range d.Removed {
		fmt.Fprintf(&b, "-%d\n", i)
	}
	for _, c := range d.Changed {
		fmt.Fprintf(&b, "%s: %s -> %s\n", c.Name, c.From.of([]byte(from)), c.To.of([]byte(to)))
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"nothing", `{"messages":[1]}`, `{"messages":[1]}`, ""},
		{"what is appended", `{"messages":[1,2]}`, `{"messages":[1,2,{"a": 1.10}]}`, "+2 {\"a\": 1.10}\n"},
		{"what is dropped in the middle", `{"messages":[1,2,3]}`, `{"messages":[1,3,4]}`, "+2 4\n-1\n"},
		{"what moved is kept", `{"messages":[1,2,3]}`, `{"messages":[3,2,1]}`, ""},
		{"a double counts as often as it stands", `{"messages":[0,1]}`, `{"messages":[1,1,0,1]}`, "+1 1\n+3 1\n"},
		{"other bytes are another message", `{"messages":["\u0061"]}`, `{"messages":["a"]}`, "+0 \"a\"\n-0\n"},
		{"messages begin or end", `{"messages":[1]}`, `{"messages":null}`, "-0\n"},
		{"changed properties in the second's order", `{"a":1,"b":2,"c":{}}`, `{"d":[],"b":2.0,"a":1}`,
			"d:  -> []\nb: 2 -> 2.0\nc: {} -> \n"},
		{"the lists of a step are its own", `{"newMessages":[1],"inputMessages":[1]}`, `{"newMessages":[2]}`, ""},
		{"the last of two names counts", `{"a":1,"messages":[1],"a":2}`, `{"a":2,"messages":[9],"messages":[1]}`, ""},
		{"a name in escapes is the same name", `{"a":1}`, `{"\u0061":1}`, ""},
	} {
		d, err := Compare([]byte(c.from), []byte(c.to))
		if got := told(c.from, c.to, d); err != nil || got != c.want {
			t.Errorf("%s: %v, got\n%swant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	many := `{"messages":[` + strings.Repeat("1,", MaxParts) + `1]}`
	var names strings.Builder
	for i := range maxCompared + 1 {
		fmt.Fprintf(&names, `"p%d":1,`, i)
	}
	for _, c := range []struct {
		doc  string
		want error
	}{
		{`[]`, ErrNotCheckpoint}, {`null`, ErrNotCheckpoint}, {many, ErrTooLarge}, {"{" + names.String() + `"z":1}`, ErrTooLarge},
	} {
		for _, pair := range [][2]string{{`{}`, c.doc}, {c.doc, `{}`}} {
			if _, err := Compare([]byte(pair[0]), []byte(pair[1])); !errors.Is(err, c.want) {
				t.Errorf("%.20s and %.20s: %v, want %v", pair[0], pair[1], err, c.want)
			}
		}
	}
	var syntax *SyntaxError
	for _, doc := range []string{``, `{`, `{"a":1}x`, `{"messages":[1,}`} {
		if _, err := Compare([]byte(`{}`), []byte(doc)); !errors.As(err, &syntax) {
			t.Errorf("%q: %v", doc, err)
		}
	}
}

// TestCompareAgreesWithCounting holds random lists against a count of each
// element: whoever takes away what is removed and puts in what is added has the
// second list.
func TestCompareAgreesWithCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 12)
		a, b := list.Draw(t, "from"), list.Draw(t, "to")
		doc := func(l []int) []byte {
			return []byte(strings.ReplaceAll(fmt.Sprintf(`{"messages":%v}`, l), " ", ","))
		}
		d, err := Compare(doc(a), doc(b))
		if err != nil {
			t.Fatal(err)
		}
		rest := slices.Clone(a)
		for _, i := range slices.Backward(d.Removed) {
			rest = slices.Delete(rest, i, i+1)
		}
		for _, m := range d.Added {
			if fmt.Sprint(b[m.Index]) != string(m.At.of(doc(b))) {
				t.Fatalf("message %d is not at %v", m.Index, m.At)
			}
			rest = append(rest, b[m.Index])
		}
		for _, m := range d.Added {
			for _, i := range d.Removed {
				if a[i] == b[m.Index] {
					t.Fatalf("%d was both added and removed", a[i])
				}
			}
		}
		slices.Sort(rest)
		want := slices.Sorted(slices.Values(b))
		if !slices.Equal(rest, want) {
			t.Fatalf("%v and %v: +%v -%v", a, b, d.Added, d.Removed)
		}
	})
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte(`{"messages":[1],"a":1}`), []byte(`{"messages":[1,2],"b":{}}`))
	f.Fuzz(func(t *testing.T, from, to []byte) {
		d, err := Compare(from, to)
		if err != nil {
			return
		}
		for _, c := range d.Changed {
			a, b := c.From.of(from), c.To.of(to)
			if string(a) == string(b) {
				t.Errorf("%q has changed from %q to itself", c.Name, a)
			}
		}
		if same, err := Compare(to, to); err != nil || len(same.Added)+len(same.Removed)+len(same.Changed) > 0 {
			t.Errorf("a checkpoint differs from itself: %+v, %v", same, err)
		}
	})
}
