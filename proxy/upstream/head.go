package upstream

import (
	"bytes"
	"sync"

	"github.com/valyala/fasthttp"
)

// field is a header as it was sent.
type field struct{ name, value []byte }

// request is what is known of a request before it is sent: its head as the
// upstream gets it, and what decides how to go on.
type request struct {
	head []byte // with the body behind it, if that is short

	method     string
	target     []byte
	length     int // of the body; -1 in chunks
	repeatable bool
	old        bool // HTTP/1.0, which knows no chunks
	continues  bool // expects 100 (Continue)

	fields     []field // to be passed on
	named      [][]byte
	trailers   []byte // the header Trailer
	takesParts bool   // TE: trailers
	origin     origin
}

var requests = sync.Pool{New: func() any { return new(request) }}

// maxKeptHead bounds the memory, in bytes, that is kept for the next request.
const maxKeptHead = 64 << 10

func (r *request) release() {
	if cap(r.head) > maxKeptHead {
		return
	}
	clear(r.fields)
	clear(r.named)
	*r = request{
		head: r.head[:0], fields: r.fields[:0], named: r.named[:0],
		origin: origin{forwardedFor: r.origin.forwardedFor[:0], forwarded: r.origin.forwarded[:0]},
	}
	requests.Put(r)
}

// read takes what is to be passed on from a request, or refuses it. It reads the
// head as it was sent once more: fasthttp keeps only some of what it met.
func (r *request) read(c *Client, ctx *fasthttp.RequestCtx) error {
	h := &ctx.Request.Header
	r.method, r.length, r.old = method(h.Method()), h.ContentLength(), !h.IsHTTP11()
	if r.length < -1 { // neither length nor chunks: there is no body
		r.length = 0
	}
	if h.IsConnect() {
		return errConnect
	}
	r.origin.of(c, ctx)
	r.origin.host = h.Host()
	if err := r.readTarget(h.RequestURI()); err != nil {
		return err
	}
	var s scan
	for raw := h.RawHeaders(); len(raw) > 0; {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			break
		}
		raw = rest
		name, value, ok := bytes.Cut(line, []byte{':'})
		value = bytes.Trim(value, " \t")
		// A line that begins with space goes on with the one before it: what that
		// means depends on who reads it.
		if !ok || !validName(name) || !validValue(value) {
			return errHeader
		}
		if err := r.take(&s, c, name, value); err != nil {
			return err
		}
	}
	if err := s.check(r); err != nil {
		return err
	}
	r.repeatable = repeatable(r.method, s.idempotent && !r.isNamed([]byte("Idempotency-Key")))
	return nil
}

// scan is what is counted while a head is read.
type scan struct {
	lengths, encodings, authorizations int
	upgrades, asked                    bool // the header Upgrade, and that Connection names it
	idempotent                         bool
}

// check refuses what the headers say together.
func (s *scan) check(r *request) error {
	switch {
	case s.lengths > 1, s.encodings > 1, s.lengths+s.encodings > 1,
		s.encodings > 0 && r.length != -1: // identity, or with HTTP/1.0
		return errFraming
	case s.authorizations > 1:
		return errTwice
	case s.upgrades && s.asked:
		return errUpgrade
	}
	return nil
}

// take sorts one header.
func (r *request) take(s *scan, c *Client, name, value []byte) error {
	k, disguised := kindOf(name)
	if disguised && k != other {
		return nil // no better than what it is taken for
	}
	switch k {
	case other:
		if len(name) == len("idempotency-key") && bytes.EqualFold(name, []byte("idempotency-key")) {
			s.idempotent = true
		}
		r.fields = append(r.fields, field{name, value})
	case connection:
		eachToken(value, func(token []byte) {
			s.asked = s.asked || bytes.EqualFold(token, []byte("upgrade"))
			r.named = append(r.named, token)
		})
	case te:
		r.takesParts = r.takesParts || hasToken(value, "trailers")
	case trailer:
		r.trailers = value
	case transferEncoding:
		s.encodings++
		if !bytes.EqualFold(value, []byte("chunked")) {
			return errFraming
		}
	case contentLength:
		s.lengths++
	case upgrade:
		s.upgrades = true
	case expect:
		if bytes.EqualFold(value, []byte("100-continue")) {
			r.continues = !r.old
		} else {
			r.fields = append(r.fields, field{name, value})
		}
	case authorization:
		s.authorizations++
		if c.o.Authorization == "" {
			r.fields = append(r.fields, field{name, value})
		}
	case forwarded, forwardedFor, forwardedProto, forwardedHost:
		r.origin.keep(k, value)
	case forwardedOther:
		if r.origin.trusts {
			r.fields = append(r.fields, field{name, value})
		}
	}
	return nil
}

// readTarget takes the path and query byte for byte. What comes before them in
// an absolute target names the server, which is us.
func (r *request) readTarget(uri []byte) error {
	r.target = uri
	if len(uri) > 0 && uri[0] != '/' && !(len(uri) == 1 && uri[0] == '*') {
		i := bytes.Index(uri, []byte("://"))
		if i < 0 {
			return errTarget
		}
		rest := uri[i+len("://"):]
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		r.origin.host, r.target = rest[:end], rest[end:]
		if len(r.target) == 0 && r.method == fasthttp.MethodOptions {
			r.target = []byte{'*'}
		} else if len(r.target) == 0 {
			r.target = []byte{'/'}
		}
	}
	for _, b := range r.target {
		if b <= ' ' || b == 0x7f {
			return errTarget
		}
	}
	return nil
}

// write makes the head. expecting says that the upstream is to be asked for 100
// (Continue) before the body.
func (r *request) write(c *Client, expecting bool) {
	b := append(r.head[:0], r.method...)
	b = append(b, ' ')
	if r.target[0] != '*' {
		b = append(b, c.prefix...)
		if r.target[0] != '/' { // an absolute target with a query and no path
			b = append(b, '/')
		}
	}
	b = append(b, r.target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.host...)
	b = append(b, "\r\n"...)
	for _, f := range r.fields {
		if !r.isNamed(f.name) {
			b = append(b, f.name...)
			b = append(b, ": "...)
			b = append(b, f.value...)
			b = append(b, "\r\n"...)
		}
	}
	if c.o.Authorization != "" {
		b = append(b, "Authorization: "...)
		b = append(b, c.o.Authorization...)
		b = append(b, "\r\n"...)
	}
	b = r.origin.appendTo(b)
	if r.old {
		b = append(b, "Via: 1.0 milepost\r\n"...)
	} else {
		b = append(b, "Via: 1.1 milepost\r\n"...)
	}
	if r.takesParts {
		b = append(b, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	switch {
	case r.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(r.trailers) > 0 {
			b = append(b, "Trailer: "...)
			b = append(b, r.trailers...)
			b = append(b, "\r\n"...)
		}
	case r.length > 0 || !bodiless(r.method):
		b = append(b, "Content-Length: "...)
		b = fasthttp.AppendUint(b, r.length)
		b = append(b, "\r\n"...)
	}
	if expecting {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	r.head = append(b, "\r\n"...)
}

// isNamed reports whether the header Connection names a header.
func (r *request) isNamed(name []byte) bool {
	for _, n := range r.named {
		if bytes.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// bodiless reports whether requests of a method have no body as a rule, so that
// the lack of one need not be said (RFC 9110, section 8.6).
func bodiless(method string) bool {
	switch method {
	case fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodOptions, fasthttp.MethodDelete, fasthttp.MethodTrace:
		return true
	}
	return false
}

// method returns a method as a string, the usual ones without taking memory.
func method(m []byte) string {
	switch string(m) {
	case fasthttp.MethodGet:
		return fasthttp.MethodGet
	case fasthttp.MethodHead:
		return fasthttp.MethodHead
	case fasthttp.MethodPost:
		return fasthttp.MethodPost
	case fasthttp.MethodPut:
		return fasthttp.MethodPut
	}
	return string(m)
}
