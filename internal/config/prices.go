package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// AnyExpert is the Expert of the price of all that no other price is for.
const AnyExpert = "*"

// Price is one entry of prices.experts: what the tokens of an expert cost, in
// prices.currency per million.
type Price struct {
	// Expert is the expert's key, or its name, which stands for all its versions
	// and tags, or AnyExpert.
	Expert string
	// Input and Output are of the tokens that are neither CachedInput nor
	// Reasoning; the usage counts those among the input and output, too.
	Input, Output float64
	// CachedInput and Reasoning are Input and Output where they are not given.
	CachedInput, Reasoning float64
}

// pricesPath is the key of the price table.
const pricesPath = "prices.experts"

// maxPrice bounds a price. Nothing costs that much; it is there to be summed up
// without overflow.
const maxPrice = 1e9

// isTables reports whether a field is an array of tables, which only a file has.
func (f field) isTables() bool { return f.path == keysPath || f.path == pricesPath }

// prices applies prices.experts.
func (l *loader) prices(v *value) {
	if v.kind != unstable.Array || len(v.items) == 0 {
		l.wrongKind(pricesPath, v, "an array of tables, each under [[prices.experts]]")
		return
	}
	experts := map[string]string{}
	for i, table := range v.items {
		path := fmt.Sprintf("%s[%d]", pricesPath, i)
		if table.kind != unstable.Table {
			l.wrongKind(path, table, "a table")
			continue
		}
		before := len(l.faults)
		p := l.price(path, table)
		if first, twice := experts[p.Expert]; twice && p.Expert != "" {
			l.fault(table.entry("expert").val.at, join(path, "expert"), "is also that of %s", first)
		}
		experts[p.Expert] = path
		if len(l.faults) == before {
			l.cfg.Prices.Experts = append(l.cfg.Prices.Experts, p)
		}
	}
}

func (l *loader) price(path string, table *value) Price {
	var p Price
	amounts := map[string]*float64{"input": &p.Input, "output": &p.Output, "cached_input": &p.CachedInput, "reasoning": &p.Reasoning}
	for _, e := range table.entries {
		at := join(path, e.name)
		amount := amounts[e.name]
		switch {
		case e.name == "expert":
			p.Expert = l.pricedExpert(at, e.val)
		case amount == nil:
			l.fault(e.at, at, "unknown %s", keyOrTable(e.val))
		case e.val.kind != unstable.Integer && e.val.kind != unstable.Float:
			l.wrongKind(at, e.val, "a number")
		default:
			n, err := strconv.ParseFloat(strings.ReplaceAll(e.val.text, "_", ""), 64)
			if err != nil || !(n >= 0 && n <= maxPrice) {
				l.fault(e.val.at, at, "must be a number from 0 to %d, got %s", int64(maxPrice), quote(e.val.text))
			}
			*amount = n
		}
	}
	for _, name := range []string{"expert", "input", "output"} {
		if table.entry(name) == nil {
			l.fault(table.at, join(path, name), "is missing")
		}
	}
	if table.entry("cached_input") == nil {
		p.CachedInput = p.Input
	}
	if table.entry("reasoning") == nil {
		p.Reasoning = p.Output
	}
	return p
}

func (l *loader) pricedExpert(path string, v *value) string {
	if v.kind != unstable.String {
		l.wrongKind(path, v, "a string")
		return ""
	}
	if v.text == "" || len(v.text) > 511 || strings.ContainsFunc(v.text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		l.fault(v.at, path, `must be the key or the name of an expert, or "*", got %s`, quote(v.text))
		return ""
	}
	return v.text
}

// currency wants a code such as USD (ISO 4217), which is shown and nothing more.
func currency(s string) error {
	if len(s) != 3 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return errors.New("must be a code of three capital letters, such as USD, got " + quote(s))
	}
	return nil
}
