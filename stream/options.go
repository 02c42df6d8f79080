package stream

import (
	"log/slog"
	"runtime"
	"time"

	"milepost/metrics"
)

// Checkpoint is one entry of a job's log.
type Checkpoint struct {
	ID       string
	Sequence uint64 // 1, 2, 3 … within the job
	JSON     []byte // one line; it is not kept
	// Ended is the status of the job if this checkpoint ended it, else empty.
	Ended string
}

// Tail is the end of a job's log as readers may see it.
type Tail struct {
	Sequence uint64 // 0: nothing yet
	ID       string // of the last checkpoint
	Ended    string // as in Checkpoint
}

// History is the local copy of the jobs' logs. Its methods may block.
type History interface {
	// Tail returns the end of a job's log, the zero Tail if the organization has
	// no such job.
	Tail(organization, job string) (Tail, error)
	// Read calls visit for the checkpoints of a job from a sequence on, in order,
	// until it returns false or there are no more. JSON is valid only during the
	// call.
	Read(job string, from uint64, visit func(Checkpoint) bool) error
}

// Source is told of each subscriber which job it wants and leaves, where
// checkpoints must be fetched first. The calls for one job may come in any order:
// it has subscribers while it was wanted more often than left.
type Source interface {
	Want(organization, job string)
	Leave(organization, job string)
}

// Limits bound the subscribers; 0 is no bound.
type Limits struct {
	Subscribers int // in all
	PerKey      int
	PerJob      int
}

// Options configure a Hub. History and Metrics are required.
type Options struct {
	History History
	Metrics *metrics.Stream
	Logger  *slog.Logger
	// Source, if set, is told which jobs are wanted.
	Source Source

	// Heartbeat is how long a stream may be quiet before a comment is sent.
	Heartbeat time.Duration
	// StallTimeout is how long a subscriber may take no byte at all while there
	// are some for it.
	StallTimeout time.Duration
	// MaxLifetime ends a stream at a random 80 to 100 % of it; 0 never does.
	MaxLifetime time.Duration
	// Buffer bounds the recent frames of all jobs with subscribers in bytes, and
	// separately the frames read from history. Each job keeps its last frame
	// whatever the bound.
	Buffer int64
	// SendBuffer is the send buffer of a subscriber's socket in bytes; the kernel
	// doubles it for its own bookkeeping.
	SendBuffer int
	// Shards is the number of event loops (default: one a usable core).
	Shards int
	// Portable serves every connection by a goroutine of its own, as where there
	// are no event loops.
	Portable bool

	Limits Limits
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = 30 * time.Second
	}
	if o.Buffer == 0 {
		o.Buffer = 64 << 20
	}
	if o.SendBuffer == 0 {
		o.SendBuffer = 64 << 10
	}
	if o.Shards == 0 {
		o.Shards = min(runtime.GOMAXPROCS(0), maxShards)
	}
}

// maxShards leaves a bit of broadcaster.engines for the portable engine.
const maxShards = 31
