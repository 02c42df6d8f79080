package app

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
	"milepost/stream"
)

const (
	// importLines and importBytes bound what an import holds in memory at a time,
	// beside one line: the checkpoints that share a sync.
	importLines = 64
	importBytes = 8 << 20
)

// importer makes the lines of an export part of a job (package terminal has the
// format and the request). One job a request, one request at a time.
type importer struct {
	admin   *admin
	maxLine int
	// owns is false in front of an upstream, which alone gives checkpoints.
	owns bool
	busy chan struct{} // holds a value during an import
}

func newImporter(a *admin, cfg *config.Config) *importer {
	return &importer{
		// A checkpoint is larger than the body that made it: by what its action
		// repeats and the digests of its experts.
		admin: a, maxLine: 2*int(cfg.Server.MaxBody) + 1<<20, owns: cfg.Upstream.URL == "", busy: make(chan struct{}, 1),
	}
}

// importError is why an import ended, with the status of the answer.
type importError struct {
	code int
	err  error
}

func (e *importError) Error() string { return e.err.Error() }

func (e *importError) Unwrap() error { return e.err }

func refuse(code int, format string, args ...any) error {
	return &importError{code, fmt.Errorf(format, args...)}
}

// imported is the answer.
type imported struct {
	Job         string `json:"job"`
	Checkpoints int    `json:"checkpoints"` // stored now
	Present     int    `json:"present"`     // found there, with the same bytes
}

// ServeHTTP answers POST /import.
func (i *importer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	got, err := i.run(r)
	if err != nil {
		code := http.StatusInternalServerError
		var e *importError
		switch {
		case errors.As(err, &e):
			code = e.code
		case errors.Is(err, store.ErrLowSpace):
			code = http.StatusInsufficientStorage
		case errors.Is(err, store.ErrFailed):
			code = http.StatusServiceUnavailable
		case errors.Is(err, store.ErrImportConflict), errors.Is(err, store.ErrCopiedJob):
			code = http.StatusConflict
		case errors.Is(err, store.ErrImportOrder):
			code = http.StatusBadRequest
		}
		// What is still to come of the body is not wanted.
		w.Header().Set("Connection", "close")
		http.Error(w, err.Error(), code)
		return
	}
	i.admin.log.Info("job imported", "job", got.Job, "checkpoints", got.Checkpoints, "present", got.Present, "took", time.Since(began))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(got) // the client is gone
}

func (i *importer) run(r *http.Request) (imported, error) {
	if err := i.authorized(r); err != nil {
		return imported{}, err
	}
	if !i.owns {
		return imported{}, refuse(http.StatusConflict, "in front of an upstream there is nothing to import into: its jobs are its own")
	}
	select {
	case i.busy <- struct{}{}:
		defer func() { <-i.busy }()
	default:
		return imported{}, refuse(http.StatusServiceUnavailable, "another import is under way")
	}
	job := importedJob{importer: i}
	job.setBody(r.Body)
	if err := job.named(r.URL.Query()); err != nil {
		return imported{}, err
	}
	err := job.all()
	return imported{job.id, job.stored, job.present}, err
}

// authorized checks the token.
func (i *importer) authorized(r *http.Request) error {
	i.admin.mu.RLock()
	defer i.admin.mu.RUnlock()
	s := i.admin.state
	if s == nil {
		return errNotOpen
	}
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) != 1 {
		return refuse(http.StatusUnauthorized, "the token in the data directory's file %s is needed", tokenFile)
	}
	return nil
}

var errNotOpen = refuse(http.StatusServiceUnavailable, "the server is starting or ending")

// importedJob is an import under way.
type importedJob struct {
	*importer
	id, organization, application string

	lines   *bufio.Reader
	number  int  // of the last line, from 1
	ended   bool // nothing more is to come
	stored  int
	present int
}

func (j *importedJob) setBody(r io.Reader) { j.lines = bufio.NewReaderSize(r, 64<<10) }

// named reads whose job it is from the query. Without a job there, the header or
// the first checkpoint names it.
func (j *importedJob) named(q url.Values) error {
	j.id, j.organization, j.application = q.Get("job"), q.Get("organization"), q.Get("application")
	if j.application == "" {
		j.application = j.organization
	}
	for _, p := range []struct {
		name, id string
		optional bool
	}{{"organization", j.organization, false}, {"application", j.application, false}, {"job", j.id, true}} {
		if !checkpoint.ValidID(p.id) && !(p.optional && p.id == "") {
			return refuse(http.StatusBadRequest, "%s: must be 24 characters of a-z and 0-9", p.name)
		}
	}
	return nil
}

// importedLine is a checkpoint that was read.
type importedLine struct {
	number int
	store.Import
}

// all takes line after line. A part is read before anything is locked, since its
// sender may be slow.
func (j *importedJob) all() error {
	for !j.ended {
		part, unread := j.part()
		if err := j.store(part); err != nil {
			return err
		}
		if unread != nil {
			return unread
		}
	}
	if j.stored+j.present == 0 {
		return refuse(http.StatusBadRequest, "there is no checkpoint")
	}
	return nil
}

// part reads the next checkpoints. Those before an error are good.
func (j *importedJob) part() (part []importedLine, err error) {
	for size := 0; len(part) < importLines && size < importBytes; {
		line, err := j.line()
		if errors.Is(err, io.EOF) {
			j.ended = true
			return part, nil
		}
		if err != nil {
			return part, j.fault(err)
		}
		if len(line) == 0 {
			continue
		}
		if j.number == 1 && bytes.HasPrefix(line, []byte(`{"milepost":`)) {
			if err := j.header(line); err != nil {
				return part, j.fault(err)
			}
			continue
		}
		parsed, err := checkpoint.ParseImported(line)
		if err != nil {
			return part, j.fault(&importError{http.StatusBadRequest, err})
		}
		if j.id == "" {
			j.id = parsed.JobID
		}
		if parsed.JobID != j.id {
			return part, j.fault(refuse(http.StatusBadRequest, "the checkpoint is of the job %s", parsed.JobID))
		}
		size += len(line)
		part = append(part, importedLine{j.number, store.Import{
			Organization: j.organization, Application: j.application, JSON: line, Parsed: parsed,
		}})
	}
	return part, nil
}

// header reads the first line of an export, which need not be there.
func (j *importedJob) header(line []byte) error {
	var h struct {
		Version int
		Job     string
	}
	if err := json.Unmarshal(line, &h); err != nil || h.Version != 1 || !checkpoint.ValidID(h.Job) {
		return refuse(http.StatusBadRequest, "the header of the export is not understood")
	}
	if j.id != "" && j.id != h.Job {
		return refuse(http.StatusBadRequest, "the export is of the job %s", h.Job)
	}
	j.id = h.Job
	return nil
}

// line reads a line without its end, into memory of its own.
func (j *importedJob) line() ([]byte, error) {
	var line []byte
	for {
		piece, err := j.lines.ReadSlice('\n')
		if len(line)+len(piece) > j.maxLine {
			j.number++
			return nil, refuse(http.StatusRequestEntityTooLarge, "longer than %d bytes, twice server.max_body", j.maxLine)
		}
		line = append(line, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			j.number++
			return bytes.TrimRight(line, "\r\n"), nil
		case errors.Is(err, io.EOF):
			return nil, err
		default:
			j.number++
			return nil, refuse(http.StatusBadRequest, "the body was cut: %w", err)
		}
	}
}

// fault says in which line an error is.
func (j *importedJob) fault(err error) error { return faultIn(j.number, err) }

func faultIn(line int, err error) error { return fmt.Errorf("line %d: %w", line, err) }

// store stores checkpoints, waits until they are on disk and shows them. What
// comes before an error is stored.
func (j *importedJob) store(part []importedLine) (err error) {
	a := j.admin
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.state == nil {
		return errNotOpen
	}
	if len(part) == 0 {
		return nil
	}
	job := a.state.store.Hold(j.id)
	defer job.Release()
	var commits []*store.Commit
	var shown []store.Import
	defer func() {
		for i, c := range commits {
			if failed := c.Wait(); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
			j.stored++
			j.show(&shown[i])
		}
	}()
	for i := range part {
		p := &part[i]
		commit, err := j.append(job, &p.Import)
		if err != nil {
			return faultIn(p.number, err)
		}
		if commit == nil {
			j.present++
			continue
		}
		commits, shown = append(commits, commit), append(shown, p.Import)
	}
	return nil
}

func (j *importedJob) append(job *store.Job, c *store.Import) (*store.Commit, error) {
	if err := job.Lock(); err != nil {
		return nil, err
	}
	defer job.Unlock()
	return job.Import(c)
}

// show gives a checkpoint to those who watch the job.
func (j *importedJob) show(c *store.Import) {
	s := stream.Checkpoint{ID: c.Parsed.ID, Sequence: c.Parsed.Sequence, JSON: c.JSON}
	if status := c.Parsed.JobStatus(); status.Ended() {
		s.Ended = string(status)
	}
	j.admin.publish(j.organization, j.id, s)
}
