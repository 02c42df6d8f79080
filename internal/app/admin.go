package app

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
	"milepost/metrics"
	"milepost/stream"
)

// readiness is whether the server may get traffic, and if not why.
type readiness struct {
	mu     sync.Mutex
	reason string
	store  *store.Store
	// down reports whether the upstream cannot be reached; nil without one. The
	// server is of use all the same: it has a copy.
	down  func() bool
	spool *store.Spool // nil without an upstream
}

func (r *readiness) upstream(down func() bool, spool *store.Spool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down, r.spool = down, spool
}

// details are what an operator may want to know of a server that is ready.
func (r *readiness) details() (lines []string) {
	r.mu.Lock()
	down, spool := r.down, r.spool
	r.mu.Unlock()
	switch {
	case down == nil:
		return nil
	case down():
		lines = append(lines, "upstream: cannot be reached")
	default:
		lines = append(lines, "upstream: reachable")
	}
	if f := spool.Figures(); f.Pending+f.Dead > 0 {
		lines = append(lines, fmt.Sprintf("spool: %d checkpoints wait, %d were refused", f.Pending, f.Dead))
	}
	return lines
}

func (r *readiness) set(s *store.Store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason, r.store = "", s
}

func (r *readiness) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = "draining"
}

func (r *readiness) reasons() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reason != "" {
		out = append(out, r.reason)
	}
	if r.store != nil {
		if err := r.store.Err(); err != nil {
			out = append(out, err.Error())
		}
	}
	return out
}

// admin is the listener for operators: health, metrics, profiles, and what
// changes something, which needs the token.
type admin struct {
	http    *http.Server
	log     *slog.Logger
	metrics *metrics.Metrics
	done    chan struct{} // closed when the listener has ended
	// publish shows an imported checkpoint; it is set before open.
	publish func(organization, job string, c stream.Checkpoint)
	// server holds the spool and deletes jobs; it is set before open.
	server spooler

	// mu is held for reading by a request that changes something, so that close
	// waits for it. It is never held over the write of the answer.
	mu    sync.RWMutex
	state *adminState
}

// adminState is there from when the store is open until it is about to close.
type adminState struct {
	token  string
	store  *store.Store
	forget func(job string) // tells the rest of the program of a deletion
}

// tokenFile holds the admin token within the data directory.
const tokenFile = "admin-token"

// writeToken makes a new token for this run. Whoever can read the file may
// change things: the user of the server, and no web page.
func writeToken(dir string) (string, error) {
	token := NewSecret()
	path := filepath.Join(dir, tokenFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cannot replace the admin token: %w", err)
	}
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the admin token: %w", err)
	}
	return token, nil
}

func startAdmin(cfg *config.Config, m *metrics.Metrics, ready *readiness, log *slog.Logger) (*admin, error) {
	a := &admin{log: log, metrics: m, done: make(chan struct{})}
	if cfg.Server.AdminListen == "" {
		close(a.done)
		return a, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		lines := ready.reasons()
		if len(lines) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			lines = append(lines, "ready")
		}
		if r.URL.Query().Has("verbose") {
			lines = append(lines, ready.details()...)
		}
		_, _ = fmt.Fprintln(w, strings.Join(lines, "\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("POST /backup", a.guarded(a.backup))
	mux.HandleFunc("POST /delete", a.guarded(a.delete))
	mux.HandleFunc("POST /spool/ls", a.asked(a.listSpool))
	mux.HandleFunc("POST /spool/retry", a.asked(a.retrySpool))
	mux.HandleFunc("POST /spool/drop", a.asked(a.dropSpool))
	mux.Handle("POST /import", newImporter(a, cfg))
	ln, err := listen(cfg.Server.AdminListen, nil)
	if err != nil {
		return nil, fmt.Errorf("server.admin_listen: %w", err)
	}
	a.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(a.done)
		if err := a.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin listener failed", "error", err)
		}
	}()
	return a, nil
}

func (a *admin) open(token string, s *store.Store, forget func(job string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = &adminState{token, s, forget}
}

// close ends the listener and returns when no request uses the store any more.
// It may be called twice.
func (a *admin) close() {
	if a.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := a.http.Shutdown(ctx); err != nil {
			_ = a.http.Close()
		}
	}
	<-a.done
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = nil
}

// adminRequest is the body of the requests that change something.
type adminRequest struct {
	Dir string `json:"dir"`
	Job string `json:"job"`
	ID  string `json:"id"` // of a spooled checkpoint
}

func (a *admin) guarded(do func(*adminState, adminRequest) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code, err := a.change(w, r, do)
		if err != nil {
			http.Error(w, err.Error(), code)
			return
		}
		_, _ = fmt.Fprintln(w, "done")
	}
}

// change does what a request asks for, if it has the token. The status is that
// of the error.
func (a *admin) change(w http.ResponseWriter, r *http.Request, do func(*adminState, adminRequest) error) (int, error) {
	// The body is read before the lock is taken: its sender may be slow.
	var q adminRequest
	malformed := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q)
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.state == nil {
		return http.StatusServiceUnavailable, errors.New("the server is starting or ending")
	}
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(a.state.token)) != 1 {
		return http.StatusUnauthorized, fmt.Errorf("the token in the data directory's file %s is needed", tokenFile)
	}
	if malformed != nil {
		return http.StatusBadRequest, malformed
	}
	err := do(a.state, q)
	if errors.Is(err, store.ErrNotFound) {
		return http.StatusNotFound, err
	}
	return http.StatusInternalServerError, err
}

func (a *admin) backup(s *adminState, q adminRequest) error {
	began := time.Now()
	if err := s.store.Backup(q.Dir); err != nil {
		return err
	}
	a.log.Info("backup is complete", "dir", q.Dir, "took", time.Since(began))
	return nil
}

func (a *admin) delete(s *adminState, q adminRequest) error {
	if !checkpoint.ValidID(q.Job) {
		return fmt.Errorf("job id %q: must be 24 characters of a-z and 0-9", q.Job)
	}
	if err := a.server.DeleteJob(q.Job); err != nil {
		return fmt.Errorf("job %s: %w", q.Job, err)
	}
	s.forget(q.Job)
	a.metrics.JobsDeleted.WithLabelValues("request").Inc()
	a.log.Info("job deleted", "job", q.Job)
	return nil
}
