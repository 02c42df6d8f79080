package proxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
)

// A stream ticket stands in for a key where a header cannot be sent: a
// browser's EventSource. It names its key and up to 100 jobs, is signed with a
// key of the store, and is good for their streams only. It must be used within
// ticketFirstUse; from then on it serves reconnects until it expires, so that an
// address that leaks later than that is worth something only if the page was
// really opened.
const (
	ticketFirstUse = 60 * time.Second
	maxTicketJobs  = 100
	maxTicketBody  = 64 << 10

	ticketVersion = 1
	ticketIDLen   = 16
	ticketKeyLen  = 16
	ticketJobLen  = 8
	ticketSumLen  = 16
	ticketHeadLen = 1 + ticketIDLen + ticketKeyLen + 8 + 8
)

// ticketText is how a ticket is written: in one way only.
var ticketText = base64.RawURLEncoding.Strict()

// ticketMaker issues and reads tickets.
type ticketMaker struct {
	secret []byte
	ttl    time.Duration
	now    func() time.Time
}

// ticket is one that was read: its signature is right and it has not expired.
type ticket struct {
	id              string
	key             [ticketKeyLen]byte // of the caller's key
	issued, expires time.Time
	jobs            []byte // tags, one after the other
}

func (m *ticketMaker) sum(purpose byte, data []byte) []byte {
	h := hmac.New(sha256.New, m.secret)
	_, _ = h.Write([]byte{purpose})
	_, _ = h.Write(data)
	return h.Sum(nil)
}

// keyTag names a caller's key in a ticket without telling its hash.
func (m *ticketMaker) keyTag(hash [sha256.Size]byte) [ticketKeyLen]byte {
	return [ticketKeyLen]byte(m.sum('k', hash[:])[:ticketKeyLen])
}

func (m *ticketMaker) jobTag(job []byte) []byte { return m.sum('j', job)[:ticketJobLen] }

// issue makes a ticket of a caller for jobs.
func (m *ticketMaker) issue(c *caller, jobs []string) (text string, expires time.Time) {
	now := m.now()
	expires = now.Add(m.ttl).Truncate(time.Second)
	b := append(make([]byte, 0, ticketHeadLen+len(jobs)*ticketJobLen+ticketSumLen), ticketVersion)
	var id [ticketIDLen]byte
	_, _ = rand.Read(id[:]) // does not fail (crypto/rand)
	b = append(b, id[:]...)
	tag := m.keyTag(c.Hash)
	b = append(b, tag[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(expires.UnixMilli()))
	for _, j := range jobs {
		b = append(b, m.jobTag([]byte(j))...)
	}
	b = append(b, m.sum('t', b)[:ticketSumLen]...)
	return ticketText.EncodeToString(b), expires
}

// read checks a ticket's signature and expiry.
func (m *ticketMaker) read(text []byte) (*ticket, bool) {
	b, err := ticketText.AppendDecode(nil, text)
	// The length, because a decoder passes over line ends.
	if err != nil || len(b) < ticketHeadLen+ticketSumLen || b[0] != ticketVersion || len(text) != ticketText.EncodedLen(len(b)) {
		return nil, false
	}
	b, sum := b[:len(b)-ticketSumLen], b[len(b)-ticketSumLen:]
	if subtle.ConstantTimeCompare(m.sum('t', b)[:ticketSumLen], sum) != 1 {
		return nil, false
	}
	t := &ticket{jobs: b[ticketHeadLen:]}
	b = b[1:]
	t.id, b = string(b[:ticketIDLen]), b[ticketIDLen:]
	t.key, b = [ticketKeyLen]byte(b), b[ticketKeyLen:]
	t.issued = time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	t.expires = time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:])))
	return t, m.now().Before(t.expires)
}

// covers reports whether a ticket is for a job.
func (m *ticketMaker) covers(t *ticket, job []byte) bool {
	tag := m.jobTag(job)
	for i := 0; i+ticketJobLen <= len(t.jobs); i += ticketJobLen {
		if subtle.ConstantTimeCompare(t.jobs[i:i+ticketJobLen], tag) == 1 {
			return true
		}
	}
	return false
}

// redeem returns the caller that a ticket stands for, nil if it may not open the
// streams of these jobs.
func (s *Server) redeem(text []byte, jobs [][]byte, of func(*ticket) *caller) (*caller, error) {
	m := &s.tickets
	t, ok := m.read(text)
	if !ok {
		return s.refuseTicket("ticket_invalid"), nil
	}
	for _, j := range jobs {
		if !m.covers(t, j) {
			return s.refuseTicket("ticket_job"), nil
		}
	}
	c := of(t)
	if c == nil {
		return s.refuseTicket("ticket_key"), nil
	}
	used, err := s.store.TicketUsed(t.id, t.expires)
	if err != nil || used {
		return c, err
	}
	now := m.now()
	if now.Sub(t.issued) > ticketFirstUse {
		return s.refuseTicket("ticket_late"), nil
	}
	if err := s.store.UseTicket(t.id, t.expires, now); err != nil {
		return nil, err
	}
	return c, nil
}

// ticketKey is the caller that a ticket stands for.
func (s *Server) ticketKey(t *ticket) *caller {
	for _, known := range *s.auth.callers.Load() {
		if s.tickets.keyTag(known.Hash) == t.key {
			return known
		}
	}
	return nil
}

// byTicket reports whether a request may name its caller by a ticket and does.
func byTicket(ctx *fasthttp.RequestCtx, t target) bool {
	return (t.route == routeStream || t.route == routeStreams) && len(ctx.QueryArgs().Peek("ticket")) > 0
}

// ticketJobs are the jobs that the ticket of a request must cover.
func ticketJobs(ctx *fasthttp.RequestCtx, t target) [][]byte {
	if t.route == routeStreams {
		return ctx.QueryArgs().PeekMulti("job")
	}
	return [][]byte{t.job}
}

func (s *Server) refuseTicket(reason string) *caller {
	s.metrics.AuthFailures.WithLabelValues(reason).Inc()
	return nil
}

// issueTicket answers POST of a ticket. seal, if set, returns what follows the
// ticket.
func (s *Server) issueTicket(ctx *fasthttp.RequestCtx, c *caller, may func(job string) error, seal func(ticket string) string) error {
	l := *s.limits.Load()
	l.maxBody = min(l.maxBody, maxTicketBody)
	body, free, err := s.body(ctx, &l)
	if errors.Is(err, errBodyTooLarge) {
		return errTicketTooLarge
	}
	if err != nil {
		return err
	}
	defer free()
	jobs, err := checkpoint.ParseJobs(body, maxTicketJobs)
	if err != nil {
		return err
	}
	slices.Sort(jobs)
	jobs = slices.Compact(jobs)
	for _, j := range jobs {
		if err := may(j); err != nil {
			return err
		}
	}
	text, expires := s.tickets.issue(c, jobs)
	if seal != nil {
		text += seal(text)
	}
	out := append(ctx.Response.Body()[:0], `{"data":{"ticket":"`...)
	out = append(append(out, text...), `","expiresAt":"`...)
	out = checkpoint.AppendTime(out, expires.UnixMilli())
	out = append(out, `"}}`...)
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	ctx.SetBody(out)
	return nil
}
