package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/metrics"
	"milepost/proxy"
)

// openSpool opens what waits for the upstream. It is nil without an upstream.
func openSpool(cfg *config.Config, s *store.Store, m *metrics.Metrics, log *slog.Logger) (*store.Spool, error) {
	if cfg.Upstream.URL == "" {
		return nil, nil
	}
	spool, err := store.OpenSpool(s, int64(cfg.Upstream.SpoolMax))
	if err != nil {
		return nil, err
	}
	m.RegisterSpool(func() metrics.SpoolFigures { return metrics.SpoolFigures(spool.Figures()) })
	if f := spool.Figures(); f.Pending > 0 && cfg.Upstream.Auth != "local" {
		log.Warn(`what is spooled is not delivered: that needs upstream.auth "local"`, "checkpoints", f.Pending, "oldest", f.Oldest)
	}
	return spool, nil
}

// Spooled is a checkpoint in the spool, as the admin listener tells of it.
type Spooled struct {
	ID       string    `json:"id"` // as long as the upstream has given none
	Job      string    `json:"job"`
	State    string    `json:"state"` // pending, or dead: the upstream has refused it
	Size     int       `json:"size"`  // of the request's body in bytes
	Accepted time.Time `json:"acceptedAt"`
	// Status, Refusal and RefusedAt are of a dead one: what the upstream said, its
	// body as text of at most 4 KiB, and when.
	Status    int        `json:"status,omitempty"`
	Refusal   string     `json:"refusal,omitempty"`
	RefusedAt *time.Time `json:"refusedAt,omitempty"`
}

func newSpooled(l store.Letter) Spooled {
	s := Spooled{ID: l.ID, Job: l.Job, State: "pending", Size: l.Size, Accepted: l.At.UTC()}
	if l.Dead {
		at := l.RefusedAt.UTC()
		s.State, s.Status, s.Refusal, s.RefusedAt = "dead", l.Status, string(l.Refusal), &at
	}
	return s
}

// spooler is what the admin listener needs of the server for the spool.
type spooler interface {
	Spooled() ([]store.Letter, error)
	RetrySpooled(id string) (int, error)
	DropSpooled(id string) error
	DeleteJob(job string) error
}

var _ spooler = (*proxy.Server)(nil)

func (a *admin) listSpool(adminRequest) (any, error) {
	letters, err := a.server.Spooled()
	list := make([]Spooled, 0, len(letters))
	for _, l := range letters {
		list = append(list, newSpooled(l))
	}
	return list, err
}

// retried is the answer to a request to retry.
type retried struct {
	Retried int `json:"retried"`
}

func (a *admin) retrySpool(q adminRequest) (any, error) {
	n, err := a.server.RetrySpooled(q.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("refused checkpoint %q in the spool: %w", q.ID, err)
	}
	if n > 0 {
		a.log.Info("refused checkpoints are delivered again", "checkpoints", n)
	}
	return retried{n}, err
}

func (a *admin) dropSpool(q adminRequest) (any, error) {
	err := a.server.DropSpooled(q.ID)
	if err == nil {
		a.log.Info("a spooled checkpoint was dropped", "id", q.ID)
	}
	return struct{}{}, err
}

// asked is guarded for requests that have an answer.
func (a *admin) asked(do func(adminRequest) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any
		code, err := a.change(w, r, func(_ *adminState, q adminRequest) (err error) {
			answer, err = do(q)
			return err
		})
		if err != nil {
			http.Error(w, err.Error(), code)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // who asked is gone if it fails
	}
}

// Spool asks the running server what is in its spool.
func Spool(cfg *config.Config) (list []Spooled, err error) {
	return list, askAdminFor(cfg, "/spool/ls", adminRequest{}, &list)
}

// RetrySpool asks the running server to deliver a checkpoint again that the
// upstream has refused, all of them if id is empty. It returns how many.
func RetrySpool(cfg *config.Config, id string) (int, error) {
	var done retried
	err := askAdminFor(cfg, "/spool/retry", adminRequest{ID: id}, &done)
	return done.Retried, err
}

// DropSpool asks the running server to give up a checkpoint of its spool.
func DropSpool(cfg *config.Config, id string) error {
	return askAdminFor(cfg, "/spool/drop", adminRequest{ID: id}, &struct{}{})
}
