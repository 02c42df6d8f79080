package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"milepost/internal/ingest/ingesttest"
)

// An export has what get prints. Imported into another server, over one that is
// killed in the middle, it reads back byte for byte: ids, runs and times too.
func TestExportAndImport(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret)
	trace := ingesttest.Read(t, recorded, "delegation")
	p.postTrace(trace, trace.Job)
	code, out, errors := runVerb(t, p.api, "", "export", trace.Job)
	lines := strings.SplitAfter(out, "\n")
	if code != 0 || !strings.HasPrefix(out, `{"milepost":"export","version":1,"job":"`+trace.Job+`"`) ||
		len(lines) != len(trace.Bodies)+2 || !strings.Contains(errors, "15 checkpoints") {
		t.Fatalf("exit %d, %d lines: %s", code, len(lines), errors)
	}
	for i, c := range p.list(trace.Job) {
		if _, got, _ := runVerb(t, p.api, "", "get", trace.Job, c["id"].(string)); got != lines[i+1] {
			t.Errorf("line %d: %.300s\nget prints %.300s", i+1, lines[i+1], got)
		}
	}

	dir := filepath.Join(t.TempDir(), "data")
	other := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	const known = "known0000000000000000001"
	other.post(known, 1, "completed")
	expert := other.list(known)[0]["expert"].(map[string]any)
	organization := expert["owner"].(map[string]any)["organizationId"].(string)
	bring := func(input, says string) {
		t.Helper()
		code, _, errors := runVerb(t, other.api, input, "import", "--organization", organization, "--data", dir, "--admin-listen", other.admin)
		if code != 0 || !strings.Contains(errors, "job "+trace.Job+": "+says) {
			t.Fatalf("import: exit %d: %s, want %q", code, errors, says)
		}
	}
	bring(strings.Join(lines[:8], ""), "7 checkpoints imported, 0 were there")
	_ = other.stop(syscall.SIGKILL)
	other = other.restart(dir)
	bring(out, "8 checkpoints imported, 7 were there")
	bring(out, "0 checkpoints imported, 15 were there")
	_, again, _ := runVerb(t, other.api, "", "export", trace.Job)
	if _, checkpoints, _ := strings.Cut(again, "\n"); checkpoints != strings.Join(lines[1:], "") {
		t.Errorf("the import reads back otherwise:\n%.300s\nwant\n%.300s", checkpoints, lines[1])
	}
	if _, list, _ := runVerb(t, other.api, "", "jobs", "--json"); strings.Count(list, "\n") != 2 || !strings.Contains(list, `"id":"`+trace.Job+`"`) {
		t.Errorf("jobs: %s", list)
	}
	changed := strings.Replace(out, `"proceeding"`, `"init"`, 1)
	if code, _, errors := runVerb(t, other.api, changed, "import", "--organization", organization, "--data", dir, "--admin-listen", other.admin); code != 1 || !strings.Contains(errors, "409: line 2") {
		t.Errorf("import of a changed export: exit %d: %s", code, errors)
	}
}
