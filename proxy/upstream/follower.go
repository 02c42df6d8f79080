package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"milepost/internal/checkpoint"
)

// Why a stream is opened again, besides the errors of the client.
var (
	errEnded        = errors.New("the stream ended before the job")
	errIdle         = errors.New("the stream brought nothing, not even heartbeats")
	errNotStream    = errors.New("the answer is no event stream")
	errRefused      = errors.New("the credential was refused")
	errNoCredential = errors.New("no subscriber has a credential that the upstream accepts")
	errHole         = errors.New("the list lacks a checkpoint that the stream has passed over")
	errContinued    = errors.New("the job has gone on after its end")
	errDiverged     = errors.New("the upstream has another checkpoint at a place of the local copy")
	errEmpty        = errors.New("the upstream says that a job without checkpoints is over")
)

// statusError is an answer that is no stream or list.
type statusError struct {
	code int
	// after is how long the upstream wants to be left alone.
	after time.Duration
}

func (e *statusError) Error() string { return fmt.Sprintf("the upstream answered %d", e.code) }

// streamError is an error event.
type streamError struct{ kind, message string }

func (e *streamError) Error() string {
	return fmt.Sprintf("the upstream ended the stream: %q %q", e.kind, e.message)
}

// maxTakeovers is how many credentials in a row are tried without a pause.
const maxTakeovers = 8

// follower keeps the upstream's stream of one job open.
type follower struct {
	*Followers
	job   string
	nudge chan struct{} // the job was wanted

	// Guarded by Followers.mu.
	wanted bool
	wants  uint64
	linger *time.Timer
	stop   context.CancelFunc // ends the turn

	// The rest belongs to the goroutine.

	// seen is wants before the job was over or given up: who came later has to
	// be told by the upstream whether it has gone on.
	seen uint64

	authorization string // of the attempt under way
	lastID        string // of the copy's part without a hole
	sequence      uint64
	// statusID is the checkpoint after which the job had this status.
	statusID string
	status   checkpoint.JobStatus
	// end is what the upstream said the last time that the job was over.
	end struct{ status, after string }

	// counting says that the upstream gives no dense sequence, so checkpoints are
	// numbered by their order; compared that the list was looked at for what this
	// connection may have passed over.
	counting, compared bool
	// sparse is the place of the list at which there was a greater number.
	sparse uint64
	take   int // checkpoints asked for in one page

	backoff backoff
	retry   time.Duration // what the streams have asked for
	// failing says that the stream failed and was not opened since; opened is when
	// that was, and progress that it has brought a checkpoint.
	failing  bool
	opened   time.Time
	progress bool
}

func newFollower(owner *Followers, job string) *follower {
	return &follower{
		Followers: owner, job: job, nudge: make(chan struct{}, 1), take: maxPage,
		backoff: backoff{max: owner.options.MaxBackoff},
	}
}

// turn begins a turn. Followers.mu is held.
func (f *follower) turn() context.Context {
	var ctx context.Context
	ctx, f.stop = context.WithCancel(f.ctx)
	return ctx
}

// live follows the job as long as it is wanted.
func (f *follower) live(ctx context.Context) {
	for goOn := true; goOn; {
		ended := f.follow(ctx)
		ctx, goOn = f.again(f, ended, f.seen)
	}
}

// follow opens the stream again and again. It reports whether the job is over
// or given up; else ctx is.
func (f *follower) follow(ctx context.Context) (ended bool) {
	var since time.Time // of the failure that none but failures followed
	takeovers := 0
	f.backoff.reset()
	for {
		f.opened, f.progress = time.Time{}, false
		err := f.connect(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		f.failing = true
		if f.progress || !f.opened.IsZero() && time.Since(f.opened) >= f.options.MaxBackoff {
			since, takeovers = time.Time{}, 0
			f.backoff.reset()
		}
		if since.IsZero() {
			since = time.Now()
			f.options.Logger.Warn("the upstream's stream of a job failed", "job", f.job, "error", err)
		}
		remaining := f.options.GiveUp - time.Since(since)
		if remaining <= 0 {
			f.options.Logger.Error("the upstream's stream of a job is given up", "job", f.job, "after", f.options.GiveUp, "error", err)
			f.seen = f.wantsOf(f)
			f.sink.GiveUp(f.job)
			return true
		}
		if errors.Is(err, errRefused) && f.refused() {
			if takeovers++; takeovers < maxTakeovers {
				continue
			}
		}
		f.backoff.asked = f.retry
		var status *statusError
		if errors.As(err, &status) {
			f.backoff.asked = max(f.retry, status.after)
		}
		if !f.pause(ctx, min(f.backoff.next(), remaining), errors.Is(err, errNoCredential)) {
			return false
		}
	}
}

// refused passes on that the upstream refused the credential in use, and reports
// whether there is another one.
func (f *follower) refused() bool {
	f.sink.Refused(f.job, CredentialOf([]byte(f.authorization)))
	next, ok := f.sink.Credential(f.job)
	return ok && next != f.authorization
}

// pause waits. It reports whether to go on; nudged says that a new subscriber is
// a reason to do so at once.
func (f *follower) pause(ctx context.Context, d time.Duration, nudged bool) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	var nudge chan struct{}
	if nudged {
		nudge = f.nudge
	}
	select {
	case <-t.C:
	case <-nudge:
	case <-ctx.Done():
		return false
	}
	return true
}

// locate asks the sink how far the copy is.
func (f *follower) locate() (err error) {
	f.lastID, f.sequence, err = f.sink.Position(f.job)
	return err
}
