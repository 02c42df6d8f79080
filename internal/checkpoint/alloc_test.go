package checkpoint

import "testing"

// The budget of a POST in allocations: what the JSON library takes to start a
// reader, the Request, its parts and its names, the action, and the document.
// It does not grow with the number of messages.
func TestParseAndEncodeAllocateWithinBudget(t *testing.T) {
	const budget = 40
	body := benchBody(t)
	a := benchAssigned()
	got := testing.AllocsPerRun(50, func() {
		r, err := ParseRequest(body)
		if err != nil {
			t.Fatal(err)
		}
		r.Encode(a)
	})
	if got > budget {
		t.Errorf("%v allocations, budget %d", got, budget)
	}
}

// The document is one allocation of the right size: it never grows, and wastes
// little.
func TestEncodeSizesTheDocumentOnce(t *testing.T) {
	for _, name := range traces {
		for i, body := range traceLines(t, name) {
			d := mustParse(t, body).Encode(benchAssigned())
			if waste := cap(d.JSON) - len(d.JSON); waste > 2*fixedLen+len(d.JSON)/8 {
				t.Errorf("%s line %d: %d bytes allocated for %d", name, i+1, cap(d.JSON), len(d.JSON))
			}
			if bound := mustParse(t, body).encodedLen(benchAssigned()); bound+len(d.JSON) < len(d.JSON) {
				t.Errorf("%s line %d: bound %d", name, i+1, bound)
			}
		}
	}
}
