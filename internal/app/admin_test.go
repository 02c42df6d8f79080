package app

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/metrics"
)

// testAdmin starts the admin listener on a socket.
func testAdmin(t *testing.T, ready *readiness) (*admin, *http.Client) {
	t.Helper()
	cfg := config.Default()
	cfg.Server.AdminListen = "unix:" + filepath.Join(t.TempDir(), "admin")
	a, err := startAdmin(cfg, metrics.New(), ready, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	client := adminHTTP(cfg.Server.AdminListen)
	t.Cleanup(client.CloseIdleConnections)
	return a, client
}

func ask(t *testing.T, c *http.Client, method, path, authorization, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestReadinessNamesItsReasons(t *testing.T) {
	ready := &readiness{reason: "starting"}
	_, c := testAdmin(t, ready)
	for _, step := range []struct {
		before func()
		code   int
		says   string
	}{
		{func() {}, 503, "starting\n"},
		{func() { ready.set(nil) }, 200, "ready\n"},
		{ready.drain, 503, "draining\n"},
	} {
		step.before()
		if code, b := ask(t, c, "GET", "/readyz", "", ""); code != step.code || b != step.says {
			t.Errorf("readyz: %d %q, want %d %q", code, b, step.code, step.says)
		}
		if code, _ := ask(t, c, "GET", "/healthz", "", ""); code != 200 {
			t.Errorf("healthz: %d", code)
		}
	}
}

func TestChangesNeedTheTokenAndAnOpenStore(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	token, err := writeToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, c := testAdmin(t, &readiness{})
	const body = `{"job":"abcdefghijklmnopqrstuvwx"}`
	if code, _ := ask(t, c, "POST", "/delete", "Bearer "+token, body); code != 503 {
		t.Errorf("before the store is open: %d", code)
	}
	a.server = spoolOf{store: s}
	a.open(token, s, func(string) {})
	for _, q := range []struct {
		method, authorization, body string
		code                        int
	}{
		{"POST", "", body, 401},
		{"POST", "Bearer ", body, 401},
		{"POST", "Bearer " + token[1:], body, 401},
		{"POST", "", "no JSON", 401},
		{"POST", "Bearer " + token, "no JSON", 400},
		{"POST", "Bearer " + token, body, 404},
		{"GET", "Bearer " + token, "", 405},
	} {
		if code, b := ask(t, c, q.method, "/delete", q.authorization, q.body); code != q.code {
			t.Errorf("%+v: %d %s", q, code, b)
		}
	}
}

// TestCloseWaitsForAChange is why the store may be closed after the listener.
func TestCloseWaitsForAChange(t *testing.T) {
	a, _ := testAdmin(t, &readiness{})
	a.open("token", nil, nil)
	begun, finish, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	answered := make(chan error, 1)
	change := a.guarded(func(*adminState, adminRequest) error { close(begun); <-finish; return nil })
	request := func() *http.Request {
		r := httptest.NewRequest("POST", "/backup", bytes.NewBufferString("{}"))
		r.Header.Set("Authorization", "Bearer token")
		return r
	}
	go func() {
		w := httptest.NewRecorder()
		change(w, request())
		if w.Code != 200 {
			answered <- errors.New(w.Body.String())
		}
		close(answered)
	}()
	<-begun
	go func() { a.close(); close(closed) }()
	<-a.done
	select {
	case <-closed:
		t.Error("closed during a change")
	default:
	}
	close(finish)
	<-closed
	if err := <-answered; err != nil {
		t.Error(err)
	}
	w := httptest.NewRecorder()
	change(w, request())
	if w.Code != 503 {
		t.Errorf("after the end: %d", w.Code)
	}
}
