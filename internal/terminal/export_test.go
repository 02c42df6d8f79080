package terminal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func nothing(json.RawMessage) error { return nil }

// lister serves a job of total checkpoints; each answer whose number is in cuts
// ends in the middle.
func lister(total int, cuts ...int) http.Handler {
	answers := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/milepost/v1/jobs/"+job {
			_, _ = io.WriteString(w, `{"data":{"job":{"organizationId":"org000000000000000000001"}}}`)
			return
		}
		answers++
		skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
		take, _ := strconv.Atoi(r.URL.Query().Get("take"))
		var page []string
		for n := skip + 1; n <= min(skip+take, total); n++ {
			page = append(page, checkpointLine(n))
		}
		body := fmt.Sprintf(`{"data":{"checkpoints":[%s]},"meta":{"total":%d,"take":%d,"skip":%d}}`, strings.Join(page, ","), total, take, skip)
		for _, n := range cuts {
			if n == answers {
				_, _ = io.WriteString(w, body[:len(body)/2])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		}
		_, _ = io.WriteString(w, body)
	})
}

// checkpointLine has what a careless decoder would change.
func checkpointLine(n int) string {
	return fmt.Sprintf(`{"sequence":%d,"b":1.10,"a":12345678901234567890,"t":"\u00e9é\ud800 <"}`, n)
}

func exported(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		b.WriteString(checkpointLine(n) + "\n")
	}
	return b.String()
}

const header = `{"milepost":"export","version":1,"job":"` + job + `","organization":"org000000000000000000001"}` + "\n"

// An export has every checkpoint once, in its own bytes, whatever is cut.
func TestExport(t *testing.T) {
	for _, tt := range []struct {
		name  string
		total int
		cuts  []int
	}{{"one", 1, nil}, {"a page", 100, nil}, {"pages", 250, nil}, {"cut", 250, []int{1, 2, 4}}} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(lister(tt.total, tt.cuts...))
			defer server.Close()
			var b bytes.Buffer
			n, err := newClient(t, server.URL).Export(t.Context(), job, &b)
			if err != nil || n != tt.total || b.String() != header+exported(1, tt.total) {
				t.Errorf("%d checkpoints, %v:\n%.600s", n, err, b.String())
			}
		})
	}
}

func TestExportOfNothingWritesNothing(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var b bytes.Buffer
	if _, err := newClient(t, server.URL).Export(t.Context(), job, &b); err == nil || b.Len() > 0 {
		t.Errorf("%v, wrote %q", err, b.String())
	}
}

// importRequest is what the admin listener was sent.
type importRequest struct{ query, authorization, contentType, body string }

// adminStub is an admin listener that takes imports, and the importer of it.
func adminStub(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) (*Importer, *[]importRequest) {
	t.Helper()
	var got []importRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/import" {
			http.NotFound(w, r)
			return
		}
		if answer != nil && answer(w, r) {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the body: %v", err)
		}
		got = append(got, importRequest{r.URL.Query().Encode(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)})
		_, _ = fmt.Fprintf(w, `{"checkpoints":%d,"present":1}`, bytes.Count(body, []byte("\n"))-1)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, adminToken), []byte("the-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Importer{Admin: strings.TrimPrefix(server.URL, "http://"), DataDir: dir}, &got
}

// Each job of an export goes in a request of its own, with its lines as they are.
func TestImport(t *testing.T) {
	im, got := adminStub(t, nil)
	im.Application = "app000000000000000000001"
	second := strings.Replace(strings.Replace(header, "job0", "job2", 1), "org0", "org2", 1)
	var done []Imported
	in := header + exported(1, 3) + "\n" + second + strings.TrimSuffix(exported(1, 2), "\n")
	if err := im.Import(t.Context(), strings.NewReader(in), func(i Imported) { done = append(done, i) }); err != nil {
		t.Fatal(err)
	}
	want := []importRequest{
		{"application=app000000000000000000001&job=job000000000000000000001&organization=org000000000000000000001", "Bearer the-token", "application/x-ndjson", exported(1, 3)},
		{"application=app000000000000000000001&job=job200000000000000000001&organization=org200000000000000000001", "Bearer the-token", "application/x-ndjson", exported(1, 2)},
	}
	if fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", *got, want)
	}
	if fmt.Sprint(done) != "[{job000000000000000000001 2 1} {job200000000000000000001 1 1}]" {
		t.Errorf("told %v", done)
	}
}

// --organization stands above what the export says.
func TestImportForAnother(t *testing.T) {
	im, got := adminStub(t, nil)
	im.Organization = "other0000000000000000001"
	if err := im.Import(t.Context(), strings.NewReader(header), func(Imported) {}); err != nil || !strings.Contains((*got)[0].query, "organization=other0000000000000000001") {
		t.Errorf("%v %q", err, *got)
	}
}

func TestImportWithFaults(t *testing.T) {
	nobody := strings.Replace(header, `,"organization":"org000000000000000000001"`, "", 1)
	for _, tt := range []struct{ name, in, says string }{
		{"no header", exported(1, 1), "line 1: an export begins with its header"},
		{"another version", "\n" + strings.Replace(header, `"version":1`, `"version":2`, 1), "line 2: version 2"},
		{"no job", `{"milepost":"export","version":1}`, "line 1: the header names no valid job"},
		{"nobody's", nobody, "--organization"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			im, got := adminStub(t, nil)
			err := im.Import(t.Context(), strings.NewReader(tt.in), func(Imported) {})
			if err == nil || !strings.Contains(err.Error(), tt.says) || len(*got) > 0 {
				t.Errorf("%v, sent %q", err, *got)
			}
		})
	}
	im := &Importer{DataDir: t.TempDir()}
	if err := im.Import(t.Context(), strings.NewReader(header), nil); err == nil || !strings.Contains(err.Error(), "admin_listen is off") {
		t.Errorf("without a listener: %v", err)
	}
	im.Admin = "127.0.0.1:1"
	if err := im.Import(t.Context(), strings.NewReader(header), nil); err == nil || !strings.Contains(err.Error(), "admin token") {
		t.Errorf("without a token: %v", err)
	}
}

// A server that refuses in the middle of a large job is heard, and the import
// ends with what it said.
func TestImportRefused(t *testing.T) {
	for _, before := range []int{0, 1 << 20} {
		im, _ := adminStub(t, func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.CopyN(io.Discard, r.Body, int64(before))
			http.Error(w, "line 7: its sequence is not the next", http.StatusBadRequest)
			return true
		})
		err := im.Import(t.Context(), strings.NewReader(header+exported(1, 100_000)), func(Imported) {})
		if err == nil || !strings.Contains(err.Error(), "refused with 400: line 7: its sequence is not the next") {
			t.Errorf("after %d bytes: %v", before, err)
		}
	}
}

// An export that cannot be read to its end is not sent as a whole one.
func TestImportOfABrokenFile(t *testing.T) {
	im, got := adminStub(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("the server saw the body's end")
		}
		return true
	})
	broken := errors.New("broken")
	in := io.MultiReader(strings.NewReader(header+exported(1, 3)), failing{broken})
	if err := im.Import(t.Context(), in, func(Imported) {}); !errors.Is(err, broken) || len(*got) > 0 {
		t.Errorf("%v, sent %q", err, *got)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
