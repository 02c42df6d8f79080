package deploytest

import (
	"encoding/json"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v4"
)

var (
	selector = regexp.MustCompile(`\b((?:milepost|go|process)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-zA-Z_]+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\b(?:by|without|on)\s*\(([^)]*)\)`)
	word     = regexp.MustCompile(`[a-z_]+`)
)

// scraped are the labels that Prometheus adds.
var scraped = map[string]bool{"job": true, "instance": true}

// checkExpression returns the series of an expression, and what of it the
// program does not have.
func checkExpression(all map[string]family, expression string) (used, faults []string) {
	labels := map[string]bool{"le": true}
	for _, m := range selector.FindAllStringSubmatch(expression, -1) {
		f, ok := lookUp(all, m[1])
		if !ok {
			faults = append(faults, "no series "+m[1])
			continue
		}
		used = append(used, m[1])
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !f.labels[l[1]] && !scraped[l[1]] {
				faults = append(faults, m[1]+" has no label "+l[1])
			}
		}
		for l := range f.labels {
			labels[l] = true
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expression, -1) {
		for _, l := range word.FindAllString(g[1], -1) {
			if !labels[l] && !scraped[l] {
				faults = append(faults, "nothing in it has the label "+l)
			}
		}
	}
	return used, faults
}

// dashboard is what a test reads of deploy/grafana.
type dashboard struct {
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

// Every series of the dashboard exists, and every series of ours is on it.
func TestDashboardShowsTheRegistry(t *testing.T) {
	all := registry(t)
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/milepost.json")), &d); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	ids := map[int]string{}
	cells := map[[2]int]string{}
	for _, p := range d.Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%q and %q have the same id", p.Title, other)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := cells[[2]int{x, y}]; ok {
					t.Fatalf("%q and %q overlap", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			used, faults := checkExpression(all, target.Expr)
			if len(used) == 0 || len(faults) > 0 {
				t.Errorf("%q: %s uses %q, faults: %q", p.Title, target.Expr, used, faults)
			}
			for _, name := range used {
				shown[name] = true
			}
		}
	}
	for _, v := range d.Templating.List {
		if _, faults := checkExpression(all, v.Definition); len(faults) > 0 {
			t.Errorf("variable %s: %q", v.Name, faults)
		}
	}
	for name, f := range all {
		if f.histogram {
			name += "_bucket"
		}
		if ours.MatchString(name) && !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

var ours = regexp.MustCompile(`^milepost_`)

// alertRules is what a test reads of deploy/prometheus.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func alerts(t *testing.T) alertRules {
	t.Helper()
	var r alertRules
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/alerts.yaml")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAlertsUseTheRegistry(t *testing.T) {
	all := registry(t)
	count := 0
	for _, g := range alerts(t).Groups {
		for _, r := range g.Rules {
			count++
			// up is a series of Prometheus itself.
			if used, faults := checkExpression(all, r.Expr); len(faults) > 0 || len(used) == 0 && r.Alert != "MilepostDown" {
				t.Errorf("%s: %s uses %q, faults: %q", r.Alert, r.Expr, used, faults)
			}
			if r.Labels["severity"] != "critical" && r.Labels["severity"] != "warning" {
				t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
			}
			if r.Annotations["summary"] == "" {
				t.Errorf("%s has no summary", r.Alert)
			}
		}
	}
	if count == 0 {
		t.Error("no alerts")
	}
}

func TestCheckExpressionFindsWhatIsNotThere(t *testing.T) {
	all := registry(t)
	for _, wrong := range []string{
		"milepost_nothing_total", "milepost_store_commit_duration_seconds", "milepost_store_free_bytes_sum",
		`milepost_http_requests_total{path="x"}`, "sum by (reason) (milepost_store_free_bytes)",
	} {
		if _, faults := checkExpression(all, wrong); len(faults) == 0 {
			t.Errorf("%s passes", wrong)
		}
	}
}
