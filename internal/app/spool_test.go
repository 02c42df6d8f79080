package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"milepost/cache/store"
)

// spoolOf is a server whose spool has these letters.
type spoolOf struct {
	store   *store.Store
	letters []store.Letter
	err     error
}

func (s spoolOf) Spooled() ([]store.Letter, error) { return s.letters, s.err }

func (s spoolOf) RetrySpooled(id string) (int, error) {
	n := 0
	for _, l := range s.letters {
		if l.Dead && (id == "" || l.ID == id) {
			n++
		}
	}
	if n == 0 && id != "" {
		return 0, store.ErrNotFound
	}
	return n, s.err
}

func (s spoolOf) DropSpooled(id string) error {
	for _, l := range s.letters {
		if l.ID == id {
			return s.err
		}
	}
	return store.ErrNotFound
}

func (s spoolOf) DeleteJob(job string) error { return s.store.Delete(job) }

func TestSpoolOverTheAdminListener(t *testing.T) {
	a, c := testAdmin(t, &readiness{})
	at := time.UnixMilli(1766560657248)
	a.server = spoolOf{letters: []store.Letter{
		{Job: "job", ID: "one", Size: 7, At: at},
		{Job: "job", ID: "two", At: at, Dead: true, Status: 422, Refusal: []byte(`{"code":422}`), RefusedAt: at},
	}}
	a.open("token", nil, nil)
	for _, q := range []struct {
		path, authorization, body string
		code                      int
		want                      string
	}{
		{"/spool/ls", "", "{}", 401, ""},
		{"/spool/drop", "Bearer wrong", `{"id":"one"}`, 401, ""},
		{"/spool/ls", "Bearer token", "{}", 200,
			`[{"id":"one","job":"job","state":"pending","size":7,"acceptedAt":"2025-12-24T07:17:37.248Z"},` +
				`{"id":"two","job":"job","state":"dead","size":0,"acceptedAt":"2025-12-24T07:17:37.248Z","status":422,"refusal":"{\"code\":422}","refusedAt":"2025-12-24T07:17:37.248Z"}]` + "\n"},
		{"/spool/retry", "Bearer token", `{"id":"two"}`, 200, "{\"retried\":1}\n"},
		{"/spool/retry", "Bearer token", `{}`, 200, "{\"retried\":1}\n"},
		{"/spool/retry", "Bearer token", `{"id":"one"}`, 404, ""},
		{"/spool/drop", "Bearer token", `{"id":"one"}`, 200, "{}\n"},
		{"/spool/drop", "Bearer token", `{"id":"three"}`, 404, ""},
	} {
		code, b := ask(t, c, http.MethodPost, q.path, q.authorization, q.body)
		if code != q.code || q.want != "" && b != q.want {
			t.Errorf("%s %s: %d %s", q.path, q.body, code, b)
		}
	}
	a.server = spoolOf{err: errors.New("no spool")}
	if code, b := ask(t, c, http.MethodPost, "/spool/ls", "Bearer token", "{}"); code != 500 || json.Valid([]byte(b)) {
		t.Errorf("without a spool: %d %s", code, b)
	}
}
