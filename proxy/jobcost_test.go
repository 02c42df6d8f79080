package proxy

import (
	"encoding/json"
	"math"
	"testing"

	"milepost/internal/checkpoint"
	"milepost/internal/config"
)

func TestCost(t *testing.T) {
	table := newPriceTable(&config.Prices{Currency: "EUR", Experts: []config.Price{
		{Expert: "a", Input: 10, Output: 100, CachedInput: 1, Reasoning: 50},
		{Expert: "a@1.0.0", Input: 20, Output: 20, CachedInput: 20, Reasoning: 20},
		{Expert: "@x/a", Input: 0, Output: 1},
	}})
	usage := checkpoint.Usage{Input: 1000, CachedInput: 400, Output: 100, Reasoning: 60, Total: 1100}
	for _, c := range []struct {
		expert, want string
	}{
		{"a@1.0.0", `{"amount":0.022,"currency":"EUR","complete":true}`},
		{"a@2.0.0", `{"amount":0.0134,"currency":"EUR","complete":true}`},
		{"a", `{"amount":0.0134,"currency":"EUR","complete":true}`},
		{"@x/a@latest", `{"amount":0.00004,"currency":"EUR","complete":true}`},
		{"b", `{"amount":0,"currency":"EUR","complete":false}`},
	} {
		var sum cost
		sum.add(table, c.expert, usage)
		if got := string(table.appendCost(nil, sum)); got != `,"cost":`+c.want {
			t.Errorf("%s: %s, want %s", c.expert, got, c.want)
		}
	}
	any := newPriceTable(&config.Prices{Currency: "USD", Experts: []config.Price{{Expert: config.AnyExpert, Input: 1}}})
	if p, ok := any.of("b@1.0.0"); !ok || p.Input != 1 {
		t.Errorf("the price of any: %+v, %t", p, ok)
	}
	var none cost
	none.add(table, "b", checkpoint.Usage{})
	if none.partial {
		t.Error("no tokens need a price")
	}
	if b := (*priceTable)(nil).appendCost(nil, cost{}); len(b) != 0 {
		t.Errorf("without a table: %s", b)
	}
}

// Whatever numbers a runtime sends, the answer is JSON.
func TestSumsAreAlwaysNumbers(t *testing.T) {
	for _, f := range []float64{0, 0.1, -1, 1 << 53, 1e300, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64} {
		for _, doc := range [][]byte{
			appendNumber(nil, f), append(append([]byte(`{"a":1`), newPriceTable(&config.Prices{Experts: make([]config.Price, 1)}).appendCost(nil, cost{amount: f})...), '}'),
		} {
			if !json.Valid(doc) {
				t.Errorf("%v: %s", f, doc)
			}
		}
	}
}
