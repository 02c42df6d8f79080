package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// checkTimeout bounds one check.
const checkTimeout = 30 * time.Second

// conformanceCheck is one rule of the API and how a server is asked about it.
type conformanceCheck struct {
	// area is the part of the API, rule what must hold.
	area, rule string
	// beyond tells that the API document leaves the rule open: another server of
	// this API may decide it in another way.
	beyond bool
	// secondKey tells that the check needs the key of a second organization.
	secondKey bool
	check     func(*verifier) error
}

// conformanceChecks returns all checks in the order in which they run.
func conformanceChecks() []conformanceCheck {
	var all []conformanceCheck
	for _, part := range [][]conformanceCheck{errorChecks(), createChecks(), readChecks(), listChecks(), streamChecks(), tenancyChecks()} {
		all = append(all, part...)
	}
	return all
}

// checkResult is what became of one check.
type checkResult struct {
	Area   string `json:"area"`
	Rule   string `json:"rule"`
	Beyond bool   `json:"beyond_the_document,omitempty"`
	// Left is why the check was not made.
	Left  string `json:"left_out,omitempty"`
	Fault string `json:"fault,omitempty"`
}

// runVerify is `bench verify`.
func runVerify(ctx context.Context, args []string, out, progress io.Writer) error {
	s := &scenario{ctx: ctx, progress: progress, flags: flag.NewFlagSet("bench verify", flag.ContinueOnError)}
	s.flags.SetOutput(progress)
	s.flags.StringVar(&s.target, "target", "", "check the server at `URL` instead of starting milepost here")
	s.flags.StringVar(&s.key, "key", "", "API key of the target that may read and write (default $MILEPOST_API_KEY)")
	s.flags.StringVar(&s.binary, "milepost", "", "check this `FILE` instead of building milepost")
	other := s.flags.String("other-key", "", "API key of another organization, to check what it may not see")
	document := s.flags.Bool("document", false, "check what the API document says and leave out what it leaves open")
	asJSON := s.flags.Bool("json", false, "print one line of JSON a check")
	if err := parseFlags(s.flags, args); err != nil {
		return err
	}
	if s.key == "" {
		s.key = os.Getenv("MILEPOST_API_KEY")
	}
	failed := 0
	err := s.inWorkingDir(func() error {
		if s.target == "" {
			m, err := s.startTwoOrganizations()
			if err != nil {
				return err
			}
			s.target, s.key, *other = "http://"+m.addr, benchKey, otherBenchKey
		}
		if s.key == "" {
			return usageError{errors.New("no API key: set --key or MILEPOST_API_KEY")}
		}
		v, err := newVerifier(ctx, s.target, s.key, *other)
		if err != nil {
			return err
		}
		defer v.http.CloseIdleConnections()
		failed, err = v.runAll(conformanceChecks(), *document, verifyPrinter(out, *asJSON))
		return err
	})
	if err == nil && failed > 0 {
		err = errReported
	}
	return err
}

// runAll makes the checks and returns how many failed. With document, those
// beyond the API document are left out.
func (v *verifier) runAll(checks []conformanceCheck, document bool, print func(checkResult)) (failed int, err error) {
	passed, left := 0, 0
	for _, c := range checks {
		r := checkResult{Area: c.area, Rule: c.rule, Beyond: c.beyond}
		switch {
		case c.beyond && document:
			r.Left = "beyond the API document"
		case c.secondKey && v.other == "":
			r.Left = "no --other-key"
		}
		if r.Left != "" {
			left++
			print(r)
			continue
		}
		if fault := v.once(c); fault != nil {
			r.Fault = fault.Error()
			failed++
		} else {
			passed++
		}
		print(r)
		if v.whole.Err() != nil {
			return failed, context.Cause(v.whole)
		}
	}
	print(checkResult{Area: "all", Rule: fmt.Sprintf("%d passed, %d failed, %d left out", passed, failed, left)})
	if passed+failed == 0 {
		return failed, errors.New("no check was made")
	}
	return failed, nil
}

// once makes one check within its time.
func (v *verifier) once(c conformanceCheck) error {
	ctx, cancel := context.WithTimeoutCause(v.whole, checkTimeout, fmt.Errorf("no answer within %s", checkTimeout))
	defer cancel()
	v.ctx = ctx
	err := c.check(v)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return err
}

// verifyPrinter returns what prints a result: a line to read, or of JSON.
func verifyPrinter(out io.Writer, asJSON bool) func(checkResult) {
	if asJSON {
		e := json.NewEncoder(out)
		return func(r checkResult) { _ = e.Encode(r) }
	}
	return func(r checkResult) {
		if r.Area == "all" {
			fmt.Fprintln(out, r.Rule)
			return
		}
		word, why := "ok  ", ""
		switch {
		case r.Left != "":
			word, why = "left", " ("+r.Left+")"
		case r.Fault != "":
			word, why = "FAIL", "\n      "+r.Fault
		}
		mark := " "
		if r.Beyond {
			mark = "+"
		}
		fmt.Fprintf(out, "%s %s %-7s %s%s\n", word, mark, r.Area, r.Rule, why)
	}
}

// otherBenchKey belongs to another organization than benchKey.
const otherBenchKey = "other-key-on-loopback-only-0123456789"

// twoOrganizations configures benchKey and otherBenchKey.
const twoOrganizations = `
[[auth.keys]]
name            = "bench"
secret          = "` + benchKey + `"
organization_id = "benchorganization0000001"
application_id  = "benchapplication00000001"
scopes          = ["read", "write"]

[[auth.keys]]
name            = "other"
secret          = "` + otherBenchKey + `"
organization_id = "otherorganization0000001"
application_id  = "otherapplication00000001"
scopes          = ["read", "write"]
`

// startTwoOrganizations starts milepost with a key for each of two
// organizations.
func (s *scenario) startTwoOrganizations() (*milepostServer, error) {
	file := filepath.Join(s.dir, "milepost.toml")
	if err := os.WriteFile(file, []byte(twoOrganizations), 0o600); err != nil {
		return nil, err
	}
	return s.startServer(s.path(dataDir), "--config="+file)
}
