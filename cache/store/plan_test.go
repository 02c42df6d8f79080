package store

import "testing"

// A plan allocates what the line remembers, and nothing for what is stored.
func TestPlanAllocatesWithinBudget(t *testing.T) {
	const budget = 2 // the line and its parts
	doc := benchDocuments(1)[0]
	w := new(scratch)
	if got := testing.AllocsPerRun(100, func() { makePlan(w, doc, nil, 0) }); got > budget {
		t.Errorf("%v allocations for a new checkpoint, budget %d", got, budget)
	}
	last := makePlan(w, doc, nil, 0).next
	if got := testing.AllocsPerRun(100, func() { makePlan(w, doc, last, 3) }); got > budget {
		t.Errorf("%v allocations for a repeated checkpoint, budget %d", got, budget)
	}
}
