package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// reportLimit is when no further scenario begins, so that a whole report
	// takes less than half an hour.
	reportLimit = 24 * time.Minute
	// resultsDir keeps a report per release.
	resultsDir = "bench/results"
)

// runReport is `bench report`.
func runReport(ctx context.Context, args []string, out, progress io.Writer) error {
	s := &scenario{ctx: ctx, progress: progress, flags: flag.NewFlagSet("bench report", flag.ContinueOnError)}
	s.flags.SetOutput(progress)
	s.flags.StringVar(&s.binary, "milepost", "", "measure this `FILE` instead of building milepost")
	s.flags.StringVar(&s.dir, "dir", "", "put all data under this `DIR` (default a temporary one); it decides the disk")
	s.flags.BoolVar(&s.smoke, "smoke", false, "tiny numbers, to see that it works")
	brief := s.flags.Bool("short", false, "a few minutes: single runs, without lists, store and start")
	limit := s.flags.Duration("limit", reportLimit, "begin no scenario after this time")
	target := s.flags.String("out", filepath.Join(resultsDir, time.Now().UTC().Format("2006-01-02")), "write the report into this `DIR`")
	again := s.flags.String("again", "", "measure nothing, but write the report in this `DIR` anew from its results.json")
	only := s.flags.String("only", "", "run the scenarios with these `TITLES` alone, with commas between")
	if err := parseFlags(s.flags, args); err != nil {
		return err
	}
	if *again != "" {
		return renderAgain(*again, out)
	}
	steps, err := chosenSteps(*brief, s.smoke, *only)
	if err != nil {
		return err
	}
	failed := false
	err = s.inWorkingDir(func() error {
		r, err := makeReport(s, steps, *brief, *limit)
		if err != nil {
			return err
		}
		if err := r.write(*target); err != nil {
			return err
		}
		failed = r.failed()
		fmt.Fprintf(out, "%s\n", filepath.Join(*target, "README.md"))
		return nil
	})
	if err == nil && failed {
		err = errReported
	}
	return err
}

// fullReport is what all scenarios of one report found.
type fullReport struct {
	Machine machine      `json:"machine"`
	Command string       `json:"command"`
	Brief   bool         `json:"short,omitempty"`
	Smoke   bool         `json:"smoke,omitempty"`
	Minutes float64      `json:"minutes"`
	Steps   []stepResult `json:"steps"`
}

// stepResult is what one scenario found.
type stepResult struct {
	Title   string  `json:"title"`
	Command string  `json:"command"`
	Seconds float64 `json:"seconds"`
	// Left is why it was not run, Error why it ended early.
	Left  string `json:"left_out,omitempty"`
	Error string `json:"error,omitempty"`
	// Found is what the scenario printed as JSON.
	Found json.RawMessage `json:"found,omitempty"`

	found report
}

// makeReport runs the scenarios one after another and shows how far it is.
func makeReport(s *scenario, steps []reportStep, brief bool, limit time.Duration) (*fullReport, error) {
	binary, err := s.milepostBinary()
	if err != nil {
		return nil, err
	}
	r := &fullReport{Machine: describeMachine(s.ctx, binary, s.dir), Brief: brief, Smoke: s.smoke, Command: "go run ./bench report"}
	switch {
	case s.smoke:
		r.Command += " --smoke"
	case brief:
		r.Command += " --short"
	}
	begin := time.Now()
	for i, step := range steps {
		args, _ := step.args(brief, s.smoke)
		x := stepResult{Title: step.title, Command: strings.TrimSpace("go run ./bench " + step.scenario + " " + strings.Join(args, " "))}
		if time.Since(begin) > limit {
			x.Left = fmt.Sprintf("the report had taken %s by then", limit)
			s.say("[%d of %d] %s: left out, %s", i+1, len(steps), step.title, x.Left)
			r.Steps = append(r.Steps, x)
			continue
		}
		s.say("[%d of %d, after %s] %s", i+1, len(steps), time.Since(begin).Round(time.Second), x.Command)
		if err := x.run(s, step.scenario, append(args, "--json", "--milepost", binary, "--dir", s.dir)); err != nil {
			return nil, err
		}
		r.Steps = append(r.Steps, x)
	}
	r.Minutes = time.Since(begin).Minutes()
	return r, nil
}

// run runs the scenario. That it fails is a result; the error is for the end of
// the whole report.
func (x *stepResult) run(s *scenario, name string, args []string) error {
	command, ok := commandNamed(name)
	if !ok {
		return fmt.Errorf("no scenario is called %q", name)
	}
	begin := time.Now()
	var out bytes.Buffer
	err := command.run(s.ctx, args, &out, s.progress)
	x.Seconds = time.Since(begin).Seconds()
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if err != nil && !errors.Is(err, errReported) {
		x.Error = err.Error()
	}
	if out.Len() == 0 {
		return nil
	}
	return x.decode(out.Bytes())
}

// decode reads what a scenario printed.
func (x *stepResult) decode(found []byte) error {
	x.Found = bytes.TrimSpace(found)
	if err := json.Unmarshal(x.Found, &x.found); err != nil {
		return fmt.Errorf("the report of %s cannot be read: %w", x.Title, err)
	}
	return nil
}

// renderAgain writes the report in dir anew from its data.
func renderAgain(dir string, out io.Writer) error {
	raw, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return fmt.Errorf("cannot read the results: %w", err)
	}
	var r fullReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("cannot read the results in %s: %w", dir, err)
	}
	for i := range r.Steps {
		if len(r.Steps[i].Found) == 0 {
			continue
		}
		if err := r.Steps[i].decode(r.Steps[i].Found); err != nil {
			return err
		}
	}
	if err := r.write(dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", filepath.Join(dir, "README.md"))
	return nil
}

// commandNamed finds a subcommand.
func commandNamed(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// failed tells whether any figure is not valid or missing.
func (r *fullReport) failed() bool {
	for _, x := range r.Steps {
		if x.Error != "" || x.found.Failed {
			return true
		}
	}
	return false
}

// write writes the report, its charts and its data into dir.
func (r *fullReport) write(dir string) error {
	files := r.charts()
	files["README.md"] = r.markdown()
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot encode the report: %w", err)
	}
	files["results.json"] = append(data, '\n')
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	return nil
}
