package config

import (
	"strings"
	"testing"
)

func TestPrices(t *testing.T) {
	c := mustLoad(t, `
		[prices]
		currency = "EUR"
		[[prices.experts]]
		expert = "@acme/writer@1.0.0"
		input = 3
		output = 1_5.0
		cached_input = 0.30
		reasoning = 0
		[[prices.experts]]
		expert = "*"
		input = 1
		output = 2.5`)
	want := []Price{{"@acme/writer@1.0.0", 3, 15, 0.3, 0}, {"*", 1, 2.5, 1, 2.5}}
	if c.Prices.Currency != "EUR" || len(c.Prices.Experts) != 2 || c.Prices.Experts[0] != want[0] || c.Prices.Experts[1] != want[1] {
		t.Errorf("got %+v", c.Prices)
	}
	changed, refused := Default().Diff(c)
	if strings.Join(changed, " ") != "prices.currency prices.experts" || len(refused) != 0 {
		t.Errorf("a reload changes %v and refuses %v", changed, refused)
	}
}

func TestExamplePrice(t *testing.T) {
	text := strings.TrimPrefix(strings.ReplaceAll("\n"+examplePrice, "\n# ", "\n"), "\n")
	if p := mustLoad(t, text).Prices.Experts; len(p) != 1 || p[0] != (Price{"@acme/writer", 3, 15, 0.3, 15}) {
		t.Errorf("got %+v", p)
	}
}

func TestFaultsOfPrices(t *testing.T) {
	const price = "[[prices.experts]]\nexpert = \"a\"\ninput = 1\noutput = 1\n"
	for _, c := range []struct{ name, text, says string }{
		{"no table", "[prices]\nexperts = 1", "must be an array of tables"},
		{"a list", "[prices]\nexperts = [1]", "must be a table"},
		{"an empty list", "[prices]\nexperts = []", "must be an array of tables"},
		{"an unknown key", price + "tax = 1", "unknown key"},
		{"nothing", "[[prices.experts]]", "prices.experts[0].expert: is missing"},
		{"a text", strings.Replace(price, "input = 1", `input = "1"`, 1), "must be a number, got a string"},
		{"below nothing", strings.Replace(price, "input = 1", "input = -1", 1), "must be a number from 0"},
		{"not a number", strings.Replace(price, "input = 1", "input = nan", 1), "must be a number from 0"},
		{"endless", strings.Replace(price, "input = 1", "input = inf", 1), "must be a number from 0"},
		{"twice the same", price + price, "is also that of prices.experts[0]"},
		{"an empty expert", strings.Replace(price, `"a"`, `""`, 1), "must be the key or the name of an expert"},
		{"an expert that is no text", strings.Replace(price, `"a"`, `1`, 1), "must be a string"},
		{"a currency that is none", "[prices]\ncurrency = \"$\"", "three capital letters"},
	} {
		faults := faultsOf(t, c.text, nil, nil)
		if len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), c.says) {
			t.Errorf("%s: got %q, want %q", c.name, faults, c.says)
		}
	}
	// It has no variable.
	if faults := faultsOf(t, "", []string{"MILEPOST_PRICES_EXPERTS=x"}, nil); len(faults) != 1 {
		t.Errorf("got %q", faults)
	}
}
