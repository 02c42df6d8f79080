package upstream

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"milepost/internal/checkpoint"
	"milepost/metrics"
)

// Checkpoint is one checkpoint as the upstream gave it.
type Checkpoint struct {
	ID string
	// Sequence is the place in the job: 1, 2, 3 … It is the upstream's own, or the
	// order in which the upstream gives them where it gives no dense one.
	Sequence uint64
	// JSON is one line. Where the upstream gives it on several, insignificant
	// white space is gone.
	JSON []byte
	// Located says what stands where in JSON. Its sequence is that above.
	Located checkpoint.Located
}

// Sink is what followers feed: the local copy and the broadcaster. Each job's
// calls come from one goroutine, which waits for them; those of different jobs
// come together. Writes of others may fill the same copy meanwhile.
type Sink interface {
	// Position returns the end of what the local copy holds from the start on
	// without a hole: "" and 0 if it is empty.
	Position(job string) (lastID string, sequence uint64, err error)
	// Sequence returns the place of a checkpoint within that part, 0 if it is not
	// in it.
	Sequence(job, id string) (uint64, error)
	// Put takes the checkpoint that follows the last one, in order and each once.
	// It may be there already through a write that was passed on. When it
	// returns, the copy has it. After an error, Position is asked again.
	Put(job string, c Checkpoint) error
	// Complete says that the job has ended with its last checkpoint. Nothing
	// follows until the job is wanted again.
	Complete(job, status string)
	// Live says that the stream is open again after a failure.
	Live(job string)
	// GiveUp says that FollowOptions.GiveUp has passed without a stream: its
	// subscribers are to end. Nothing follows until the job is wanted again.
	GiveUp(job string)
	// Refused says that the upstream has answered 401, 403 or 404 to a credential.
	Refused(job string, c Credential)
	// Credential returns the Authorization of a subscriber that the upstream
	// accepts for the job, "" for one without. ok is false if there is none.
	Credential(job string) (authorization string, ok bool)
	// Diverged says that the upstream has another checkpoint at a place that the
	// copy holds: the job was deleted and made anew, or the upstream restored
	// from a backup. The copy and who read it are of no use any more.
	Diverged(job string) error
}

// FollowOptions are the times and bounds of followers. What is 0 or less has
// the default, but for Linger.
type FollowOptions struct {
	// Idle is how long a stream may bring no byte: 45 s, three heartbeats.
	Idle time.Duration
	// Linger is how long a stream stays open after Leave.
	Linger time.Duration
	// GiveUp is how long to try before subscribers are let go: 10 min.
	GiveUp time.Duration
	// MaxBackoff bounds the pause between two attempts: 5 s. A stream that lasts
	// as long, or brings a checkpoint, ends a series of failures.
	MaxBackoff time.Duration
	// MaxEvent bounds one event in bytes: 64 MiB.
	MaxEvent int64

	Metrics *metrics.Upstream
	Logger  *slog.Logger
}

func (o FollowOptions) withDefaults() FollowOptions {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&o.Idle, 45 * time.Second}, {&o.GiveUp, 10 * time.Minute}, {&o.MaxBackoff, 5 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if o.MaxEvent <= 0 {
		o.MaxEvent = 64 << 20
	}
	return o
}

// opener is what followers need of a Client.
type opener interface {
	Open(ctx context.Context, route, target string, h http.Header) (*http.Response, error)
	Do(ctx context.Context, route string, r Request) (*Answer, error)
}

// Followers keep one stream of the upstream a job that somebody watches.
type Followers struct {
	api     opener
	sink    Sink
	options FollowOptions

	ctx     context.Context // of all streams
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*follower
}

// NewFollowers returns followers that open their streams with c, a *Client, and
// feed s. Close must be called.
func NewFollowers(c opener, s Sink, o FollowOptions) *Followers {
	ctx, cancel := context.WithCancel(context.Background())
	return &Followers{
		api: c, sink: s, options: o.withDefaults(), ctx: ctx, cancel: cancel, jobs: make(map[string]*follower),
	}
}

// Want says that a job has a new subscriber: its stream is opened if it has
// none, and closed no more. It does not wait.
func (f *Followers) Want(job string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return
	}
	j := f.jobs[job]
	if j == nil {
		j = newFollower(f, job)
		f.jobs[job] = j
		ctx := j.turn()
		f.running.Go(func() { j.live(ctx) })
	}
	j.wanted = true
	j.wants++
	if j.linger != nil {
		j.linger.Stop()
		j.linger = nil
	}
	select {
	case j.nudge <- struct{}{}:
	default:
	}
}

// Leave says that a job has no subscriber any more: its stream closes after the
// linger. It does not wait.
func (f *Followers) Leave(job string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[job]
	if j == nil || !j.wanted {
		return
	}
	j.wanted = false
	wants := j.wants
	j.linger = time.AfterFunc(f.options.Linger, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !j.wanted && j.wants == wants {
			j.stop()
		}
	})
}

// Close closes all streams and waits for what is under way in the sink.
func (f *Followers) Close() {
	f.mu.Lock()
	f.cancel()
	f.mu.Unlock()
	f.running.Wait()
}

// again returns the context of a follower's next turn, or reports that it has
// to end. ended says that its job was over or given up, before which it had
// seen so many wants.
func (f *Followers) again(j *follower, ended bool, seen uint64) (context.Context, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j.stop()
	if f.ctx.Err() == nil && j.wanted && !(ended && j.wants == seen) {
		return j.turn(), true
	}
	if j.linger != nil {
		j.linger.Stop()
	}
	delete(f.jobs, j.job)
	return nil, false
}

// wantsOf returns how often a follower's job has been wanted.
func (f *Followers) wantsOf(j *follower) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return j.wants
}
