package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The scenario reads back all that it writes, so a run without an error has
// seen every way of storing give the same bytes.
func TestStoreScenarioMeasuresEveryWayOfStoring(t *testing.T) {
	for name, args := range map[string][]string{
		"the growing job":          {"--smoke", "--json", "--dir", t.TempDir()},
		"a trace with delegations": {"--smoke", "--json", "--dir", t.TempDir(), "--trace", "testdata/delegation.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, progress bytes.Buffer
			if err := runStore(t.Context(), args, &out, &progress); err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			var r report
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("the report is no JSON: %v\n%s", err, out.String())
			}
			if len(r.Series) != 9 || len(r.Comparisons) != 6 {
				t.Errorf("%d series and %d comparisons\n%s", len(r.Series), len(r.Comparisons), out.String())
			}
			for _, s := range r.Series {
				if m := s.Runs[0]; m.Requests == 0 || m.Seconds <= 0 || m.P50 <= 0 {
					t.Errorf("%s, %s: nothing was measured", s.Case, s.System)
				}
			}
			for _, c := range r.Comparisons {
				if c.Median <= 0 || c.AtMost == 0 {
					t.Errorf("%s", c)
				}
			}
		})
	}
}

func TestStoreVerificationFindsOtherBytes(t *testing.T) {
	docs, err := documentsOf(growingJob{seed: 1, steps: 5})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kind := storeKind{byContent, newContentKeeper, openContentReader}
	if _, err := kind.measureWrites(dir, docs); err != nil {
		t.Fatal(err)
	}
	docs[4].JSON = append(docs[4].JSON[:len(docs[4].JSON)-1], ' ', '}')
	if err := kind.verify(dir, docs); err == nil {
		t.Error("other bytes are taken for what was written")
	}
	if _, err := kind.measureReads(dir, docs[:5], 1, false); err == nil {
		t.Error("a read of other bytes counts")
	}
}
