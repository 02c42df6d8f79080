package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// runScenarioAgainst runs a scenario's smoke against s and returns its report.
func runScenarioAgainst(t *testing.T, s *stub, name string) (report, string, error) {
	t.Helper()
	var out, progress bytes.Buffer
	var err error
	for _, c := range commands() {
		if c.name == name {
			err = c.run(t.Context(), []string{"--smoke", "--json", "--dir", t.TempDir(), "--target", s.URL, "--key", stubKey}, &out, &progress)
		}
	}
	var r report
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("the report is no JSON: %v\n%s", err, out.String())
		}
	}
	var text bytes.Buffer
	r.print(&text)
	return r, text.String(), err
}

func TestScenariosCheckAServerThatIsRight(t *testing.T) {
	for name, want := range map[string]int{"write": 4, "read": 2, "list": 4} {
		r, text, err := runScenarioAgainst(t, newStub(t), name)
		if err != nil || r.Failed {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if len(r.Series) != want {
			t.Errorf("%s: %d series, not %d\n%s", name, len(r.Series), want, text)
		}
		for _, s := range r.Series {
			if s.Runs[0].Requests == 0 || s.Runs[0].P50 <= 0 {
				t.Errorf("%s: nothing was measured\n%s", name, text)
			}
		}
	}
}

func TestScenariosReportAServerThatIsWrong(t *testing.T) {
	cases := map[string]struct {
		scenario string
		alter    func(n int, created map[string]any)
		want     string
	}{
		"a sequence is skipped": {"write", func(n int, created map[string]any) {
			if n == 20 {
				created["sequence"] = 5000
			}
		}, "sequence is 5000"},
		"a message is changed": {"write", func(_ int, created map[string]any) {
			created["messages"] = []int{1}
		}, "messages differ"},
		"another action is derived": {"write", func(_ int, created map[string]any) {
			created["action"] = object{"type": "error"}
		}, `action.type is "error"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.altering(c.alter)
			r, text, err := runScenarioAgainst(t, s, c.scenario)
			if !errors.Is(err, errReported) || !r.Failed {
				t.Errorf("error %v, failed %v", err, r.Failed)
			}
			if !strings.Contains(text, c.want) || !strings.Contains(text, "FIGURES NOT VALID") {
				t.Errorf("the report does not say %q:\n%s", c.want, text)
			}
		})
	}
}

func TestLoaderFindsDoubledSequences(t *testing.T) {
	s := newStub(t)
	s.alter = func(n int, created map[string]any) {
		if n == 150 {
			created["sequence"] = 7
		}
	}
	l := loader{addr: s.Listener.Addr().String(), key: stubKey, size: minTemplate(), total: 200, perJob: 200}
	err := l.load(t.Context(), []string{"j00000000000000000000000"})
	if err == nil || !strings.Contains(err.Error(), "sequence 7 is wrong or was given before") {
		t.Errorf("got %v", err)
	}
}

func TestReportJudgesFigures(t *testing.T) {
	r := report{
		Comparisons: []comparison{
			{Name: "c", ratio: ratio{Median: 2, Runs: 1}, AtLeast: 2.5},
			{Name: "d", ratio: ratio{Mean: 1, Median: 1, Low: 0.9, High: 1.1, Runs: 3}, AtMost: 1.3, Errors: 2},
		},
		Figures: []figure{{Name: "f", Value: 49, Unit: "MiB", AtMost: 50}},
	}
	var b bytes.Buffer
	r.print(&b)
	for _, want := range []string{"2.00  [wanted: at least 2.5, MISSED]", "NOT VALID: 2 errors", "f: 49.00 MiB  [wanted: at most 50, met]"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestDispatch(t *testing.T) {
	var out, progress bytes.Buffer
	if status := dispatch(t.Context(), nil, &out, &progress); status != 0 || !strings.Contains(out.String(), "runtime") {
		t.Errorf("status %d\n%s", status, out.String())
	}
	if status := dispatch(t.Context(), []string{"nothing"}, &out, &progress); status != 2 {
		t.Errorf("an unknown subcommand gives %d", status)
	}
	if status := dispatch(t.Context(), []string{"write", "--nothing"}, &out, &progress); status != 2 {
		t.Errorf("an unknown flag gives %d", status)
	}
}

func TestEverySubcommandSaysWhatItIs(t *testing.T) {
	document, err := os.ReadFile("../docs/BENCHMARKS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		var out, help bytes.Buffer
		if status := dispatch(t.Context(), []string{c.name, "--help"}, &out, &help); status != 0 {
			t.Errorf("%s --help gives %d", c.name, status)
		}
		if !strings.Contains(help.String(), c.summary) || !strings.Contains(help.String(), "\n  -") {
			t.Errorf("%s --help prints\n%s", c.name, help.String())
		}
		switch c.name {
		case "runtime", "report", "smoke":
		default:
			if !strings.Contains(help.String(), "\n  -json\n") {
				t.Errorf("%s has no --json", c.name)
			}
		}
		if !bytes.Contains(document, []byte("| `"+c.name+"` |")) {
			t.Errorf("%s is not in the table of docs/BENCHMARKS.md", c.name)
		}
	}
}
