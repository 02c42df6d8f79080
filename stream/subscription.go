package stream

// Reason says why a stream ended; its text is a label of the metric
// stream_closed_total.
type Reason uint8

// The reasons. The zero Reason is none.
const (
	ReasonClient   Reason = iota + 1 // the peer closed or vanished
	ReasonComplete                   // the job ended
	ReasonStalled                    // no byte was taken for the stall timeout
	ReasonRevoked                    // the key was removed
	ReasonDrain                      // the program ends
	ReasonLifetime                   // the connection reached its lifetime
	ReasonUpstream                   // the upstream could not be reached
	ReasonStorage                    // history could not be read
)

var reasonNames = [...]string{
	ReasonClient: "client", ReasonComplete: "complete", ReasonStalled: "stalled", ReasonRevoked: "revoked",
	ReasonDrain: "drain", ReasonLifetime: "lifetime", ReasonUpstream: "upstream", ReasonStorage: "storage",
}

// String returns the label.
func (r Reason) String() string { return reasonNames[r] }

// errorTypes are the types of the error event (semantics.md, "Streaming").
var errorTypes = map[Reason]string{
	ReasonRevoked: "revoked", ReasonDrain: "shutting_down", ReasonLifetime: "shutting_down",
	ReasonUpstream: "upstream_unavailable", ReasonStorage: "storage",
}

// Position is where a subscriber begins in a job.
type Position struct {
	Organization, Job string
	// After is the sequence of the last checkpoint that the subscriber has, 0 for
	// none.
	After uint64
	// Sure says that After and Completed are known to be right even where the
	// local copy does not reach them yet.
	Sure bool
	// Completed says that it also has the job's end, if the job still ends there.
	Completed bool
	// Gate, if set, is what the subscriber stands at: it gets nothing of the job
	// until Hub.OpenGate opens the gate of that name, and then all of it from the
	// start on. Whoever names the same gate may have the job at the same moment.
	Gate string
}

func (p *Position) key() placeKey { return placeKey{jobKey{p.Organization, p.Job}, p.Gate} }

// Subscription is what Admit needs to know.
type Subscription struct {
	Owner Owner
	// Jobs are one job, or several with Composite.
	Jobs []Position
	// Composite interleaves several jobs, with ids that hold the position in each
	// (see ParseComposite).
	Composite bool
	// Head is the head of the HTTP response, up to the empty line.
	Head []byte
	// Plain sends the body without chunks, for HTTP/1.0.
	Plain bool
	// OnClose, if set, is called once when an attached connection is gone.
	OnClose func()
	// OnLeave, if set, is called once when the subscriber has left, attached or
	// canceled.
	OnLeave func()
}
