package ingest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What the server had before is told from what is new, also when an answer was
// lost and when the server gives no sequences; a key that may not read is no
// reason to stop.
func TestSummaryTellsWhatIsNew(t *testing.T) {
	has := func(n int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			_, _ = fmt.Fprintf(w, `{"data":{"checkpoints":[]},"meta":{"total":%d}}`, n)
		}
	}
	refuses := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	for _, tt := range []struct {
		name    string
		list    func(http.ResponseWriter)
		answers []string // sequences of the answers to a, b, c; "" is lost on the way
		want    string
	}{
		{"a new job", refuses(http.StatusNotFound), []string{"1", "2", "3"}, "3 checkpoints stored (3 new), 0 not"},
		{"all there", has(3), []string{"1", "2", "3"}, "3 checkpoints stored (0 new), 0 not"},
		{"some there", has(2), []string{"1", "2", "3"}, "3 checkpoints stored (1 new), 0 not"},
		{"others' between", has(5), []string{"2", "9", "4"}, "3 checkpoints stored (1 new), 0 not"},
		{"the same twice", has(1), []string{"1", "2", "2"}, "3 checkpoints stored (1 new), 0 not"},
		{"a lost answer", has(1), []string{"1", "", "2", "3"}, "3 checkpoints stored (2 new), 0 not"},
		{"no sequences", has(7), []string{"0", "0", "0"}, "3 checkpoints stored (3 new), 0 not"},
		{"a key that only writes", refuses(http.StatusForbidden), []string{"1", "2", "3"}, "3 checkpoints stored, 0 not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub(t)
			lists := 0
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					lists++
					tt.list(w)
					return true
				}
				sequence := tt.answers[0]
				tt.answers = tt.answers[1:]
				if sequence == "" {
					panic(http.ErrAbortHandler)
				}
				_, _ = fmt.Fprintf(w, `{"data":{"checkpoint":{"id":%q,"sequence":%s}}}`, job, sequence)
				return true
			}
			p := s.poster(t)
			in := completed("a") + "\n" + completed("b") + "\n" + completed("c") + "\n"
			if err := Pipe(t.Context(), strings.NewReader(in), io.Discard, p, nil); err != nil {
				t.Fatal(err)
			}
			if got := p.Summary(); got != tt.want || lists != 1 {
				t.Errorf("%s, want %s; the job was asked for %d times", got, tt.want, lists)
			}
		})
	}
}
