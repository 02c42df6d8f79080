package app

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"milepost/internal/config"
)

// answering is a server whose /readyz answers with a code and a body.
func answering(t *testing.T, code int, body string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	})
	server := &http.Server{Handler: mux}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	cfg := new(config.Config)
	cfg.Server.AdminListen = "unix:" + path
	return cfg
}

func TestHealthIsTheAnswerOfReadyz(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  *config.Config
		want string // part of the error, "" for none
	}{
		"ready":     {answering(t, 200, "ready\n"), ""},
		"not ready": {answering(t, 503, "draining\nlow on disk space\n"), "not ready: draining; low on disk space"},
		"nobody":    {&config.Config{Server: config.Server{AdminListen: "unix:" + filepath.Join(t.TempDir(), "none")}}, "cannot reach"},
		"off":       {new(config.Config), "admin_listen is off"},
	} {
		err := Health(c.cfg)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
