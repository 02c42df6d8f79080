package upstream

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// replayWait is how long an open stream may bring no checkpoint before the list
// is looked at: an upstream need not replay what there is already.
const replayWait = time.Second

// connect opens the stream and feeds the sink from it. It returns nil when the
// job is over, else why the stream has to be opened again.
func (f *follower) connect(ctx context.Context) error {
	var ok bool
	if f.authorization, ok = f.sink.Credential(f.job); !ok {
		return errNoCredential
	}
	if err := f.locate(); err != nil {
		return err
	}
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	if s == nil {
		return f.finish(ctx, "", false)
	}
	defer f.close(s)
	f.compared = false
	quiet := time.NewTimer(replayWait)
	defer quiet.Stop()
	for {
		select {
		case <-quiet.C:
			if err := f.catchUp(ctx, 0); err != nil {
				return err
			}
		case e, ok := <-s.events:
			if !ok {
				return s.err
			}
			switch e.Type {
			case "message":
				quiet.Stop()
				err = f.message(ctx, e)
			case "complete":
				done, err := f.complete(ctx, e)
				if done || err != nil {
					return err
				}
			case "error":
				err = errorOf(e)
			}
			if err != nil {
				return err
			}
		}
	}
}

// errorOf returns the error that an error event tells.
func errorOf(e Event) error {
	var data struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		data.Message = err.Error()
	}
	return &streamError{data.Type, data.Message}
}

// feed is an open stream. Its goroutine reads one event ahead.
type feed struct {
	body   io.Closer
	reader *EventReader
	cancel context.CancelCauseFunc
	events chan Event
	err    error // why events was closed
}

// open asks for the stream. It returns nil if the upstream has nothing more to
// send (204).
func (f *follower) open(ctx context.Context) (*feed, error) {
	h := f.header("text/event-stream")
	// Decompressors hold back what is not a full block.
	h.Set("Accept-Encoding", "identity")
	h.Set("Cache-Control", "no-store")
	if f.lastID != "" {
		h.Set("Last-Event-ID", f.lastID)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	response, err := f.api.Open(ctx, "stream", checkpointsOf(f.job)+"stream", h)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if err := streamFault(response); err != nil || response.StatusCode == http.StatusNoContent {
		cancel(nil)
		_ = response.Body.Close() // nothing was to be read
		return nil, err
	}
	watch := &watch{r: response.Body, idle: f.options.Idle}
	watch.timer = time.AfterFunc(watch.idle, func() { cancel(errIdle) })
	s := &feed{
		body: response.Body, reader: NewEventReader(watch, f.options.MaxEvent),
		cancel: cancel, events: make(chan Event),
	}
	go s.pump(ctx)
	f.opened = time.Now()
	f.options.Metrics.Streams.Inc()
	if f.failing {
		f.failing = false
		f.options.Metrics.Reconnects.Inc()
		f.sink.Live(f.job)
	}
	return s, nil
}

// close closes the stream and waits for its goroutine.
func (f *follower) close(s *feed) {
	s.cancel(nil)
	_ = s.body.Close() // the stream is given up
	for range s.events {
	}
	if wait, ok := s.reader.Retry(); ok {
		f.retry = wait
	}
	f.options.Metrics.Streams.Dec()
}

// pump reads the stream until it ends or is closed.
func (s *feed) pump(ctx context.Context) {
	defer close(s.events)
	for {
		e, err := s.reader.Next()
		if err != nil {
			if s.err = err; err == io.EOF {
				s.err = errEnded
			}
			if cause := context.Cause(ctx); cause != nil {
				s.err = cause
			}
			return
		}
		select {
		case s.events <- e:
		case <-ctx.Done():
			s.err = context.Cause(ctx)
			return
		}
	}
}

// watch calls the timer off while nobody waits for bytes, so that a sink that
// takes its time is not the upstream's fault.
type watch struct {
	r     io.Reader
	idle  time.Duration
	timer *time.Timer
}

func (w *watch) Read(p []byte) (int, error) {
	w.timer.Reset(w.idle)
	n, err := w.r.Read(p)
	w.timer.Stop()
	return n, err
}

// header returns the headers of a request under the credential in use.
func (f *follower) header(accept string) http.Header {
	h := http.Header{"Accept": {accept}}
	if f.authorization != "" {
		h.Set("Authorization", f.authorization)
	}
	return h
}

// streamFault returns what is wrong with the answer to a request for a stream.
func streamFault(r *http.Response) error {
	if err := faultOf(r.StatusCode, r.Header, http.StatusOK, http.StatusNoContent); err != nil {
		return err
	}
	if r.StatusCode == http.StatusOK {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "text/event-stream" {
			return errNotStream
		}
	}
	return nil
}

// faultOf returns the error of a status that is none of those wanted.
func faultOf(code int, h http.Header, wanted ...int) error {
	for _, w := range wanted {
		if code == w {
			return nil
		}
	}
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return errRefused
	}
	after, _ := strconv.Atoi(h.Get("Retry-After")) // a date, or nothing, is no pause
	return &statusError{code, time.Duration(min(max(after, 0), 3600)) * time.Second}
}
