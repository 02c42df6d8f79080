//go:build !race

package checkpoint

// With the race detector a sync.Pool drops at random what it is given, so that
// nothing can be said about allocations.

import "testing"

// The budget of a POST in allocations: what the JSON library takes to start a
// reader, of the body and of what the action looks into, the Request, its parts
// and its names, the action, and the document. It does not grow with the number
// of messages.
func TestParseAndEncodeAllocateWithinBudget(t *testing.T) {
	const budget = 30
	a := benchAssigned()
	for _, size := range []int{smallBench, largeBench} {
		body := benchBody(t, size)
		got := testing.AllocsPerRun(50, func() {
			r, err := ParseRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			r.Encode(a)
		})
		if got > budget {
			t.Errorf("%d bytes: %v allocations, budget %d", len(body), got, budget)
		}
	}
}

func TestEncodeAllocatesTheDocumentOnce(t *testing.T) {
	for _, name := range traces {
		for i, body := range traceLines(t, name) {
			r := mustParse(t, body)
			action, _ := r.Action()
			d := r.Encode(benchAssigned())
			bound := r.encodedLen(benchAssigned()) + len(action)
			if len(d.JSON) > bound || bound > len(d.JSON)+fixedLen {
				t.Errorf("%s line %d: asked for %d bytes to hold %d", name, i+1, bound, len(d.JSON))
			}
		}
	}
}
