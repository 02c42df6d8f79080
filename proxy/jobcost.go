package proxy

import (
	"math"
	"strconv"

	"milepost/internal/checkpoint"
	"milepost/internal/config"
)

// priceTable finds what the tokens of an expert cost.
type priceTable struct {
	currency string
	experts  map[string]config.Price // by key, name or config.AnyExpert
}

// newPriceTable returns the table of a configuration, nil if it has no price.
func newPriceTable(c *config.Prices) *priceTable {
	if len(c.Experts) == 0 {
		return nil
	}
	t := &priceTable{currency: c.Currency, experts: make(map[string]config.Price, len(c.Experts))}
	for _, p := range c.Experts {
		t.experts[p.Expert] = p
	}
	return t
}

// of returns the price of an expert: that of its key, or of its name, or of any.
func (t *priceTable) of(key string) (config.Price, bool) {
	if p, ok := t.experts[key]; ok {
		return p, true
	}
	if name, _, _, ok := checkpoint.ParseExpertKey(key); ok {
		if p, ok := t.experts[name]; ok {
			return p, true
		}
	}
	p, ok := t.experts[config.AnyExpert]
	return p, ok
}

// cost adds up what tokens cost. The zero cost is of none.
type cost struct {
	amount  float64
	partial bool // some tokens have no price
}

// add adds what tokens of an expert cost. Cached input is counted in the input,
// and reasoning in the output (as the reference runtime's usage does).
func (c *cost) add(t *priceTable, expert string, u checkpoint.Usage) {
	if u == (checkpoint.Usage{}) {
		return
	}
	p, ok := t.of(expert)
	if !ok {
		c.partial = true
		return
	}
	const million = 1e6
	c.amount += (max(0, u.Input-u.CachedInput)*p.Input + u.CachedInput*p.CachedInput +
		max(0, u.Output-u.Reasoning)*p.Output + u.Reasoning*p.Reasoning) / million
}

// appendCost appends a cost as a property, if there are prices.
func (t *priceTable) appendCost(b []byte, c cost) []byte {
	if t == nil {
		return b
	}
	amount := c.amount
	if rounded := math.Round(amount*1e9) / 1e9; !math.IsInf(rounded, 0) {
		amount = rounded // a billionth is below the price of a token
	}
	if math.IsInf(amount, 0) || math.IsNaN(amount) {
		amount, c.partial = 0, true // usages whose sum is no number
	}
	b = append(b, `,"cost":{"amount":`...)
	b = strconv.AppendFloat(b, amount, 'f', -1, 64)
	b = append(b, `,"currency":"`...)
	b = append(b, t.currency...)
	b = append(b, `","complete":`...)
	b = strconv.AppendBool(b, !c.partial)
	return append(b, '}')
}
