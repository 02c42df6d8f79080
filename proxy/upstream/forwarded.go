package upstream

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// origin is who sent a request, as the upstream is told.
type origin struct {
	peer   netip.Addr // invalid if it came over a Unix socket
	proto  string     // http or https
	host   []byte     // as the caller addressed it
	trusts bool       // the peer is one of Options.Trusted

	// What a trusted peer said, as it was sent.
	forwardedFor, forwardedProto, forwardedHost, forwarded []byte
}

// of sets all that is known of the connection.
func (o *origin) of(c *Client, ctx *fasthttp.RequestCtx) {
	*o = origin{proto: "http", forwardedFor: o.forwardedFor[:0], forwarded: o.forwarded[:0]}
	if c.o.Secure || ctx.IsTLS() {
		o.proto = "https"
	}
	if a, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		o.peer = a.AddrPort().Addr().Unmap().WithZone("")
	}
	for _, p := range c.o.Trusted {
		if p.Contains(o.peer) {
			o.trusts = true
		}
	}
}

// keep notes one of the headers that only a trusted peer may set.
func (o *origin) keep(k kind, value []byte) {
	if !o.trusts {
		return
	}
	switch k {
	case forwardedFor:
		o.forwardedFor = appendElement(o.forwardedFor, value)
	case forwarded:
		o.forwarded = appendElement(o.forwarded, value)
	case forwardedProto:
		o.forwardedProto = value
	case forwardedHost:
		o.forwardedHost = value
	}
}

func appendElement(list, value []byte) []byte {
	if len(value) == 0 {
		return list
	}
	if len(list) > 0 {
		list = append(list, ", "...)
	}
	return append(list, value...)
}

// appendTo writes X-Forwarded-For, -Proto, -Host and Forwarded (RFC 7239).
func (o *origin) appendTo(b []byte) []byte {
	if o.peer.IsValid() || len(o.forwardedFor) > 0 {
		b = append(b, "X-Forwarded-For: "...)
		b = append(b, o.forwardedFor...)
		if o.peer.IsValid() {
			if len(o.forwardedFor) > 0 {
				b = append(b, ", "...)
			}
			b = o.peer.AppendTo(b)
		}
		b = append(b, "\r\n"...)
	}
	b = append(b, "X-Forwarded-Proto: "...)
	if len(o.forwardedProto) > 0 {
		b = append(b, o.forwardedProto...)
	} else {
		b = append(b, o.proto...)
	}
	b = append(b, "\r\n"...)
	if host := o.forwardedHost; len(host) > 0 || len(o.host) > 0 {
		if len(host) == 0 {
			host = o.host
		}
		b = append(b, "X-Forwarded-Host: "...)
		b = append(b, host...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "Forwarded: "...)
	if len(o.forwarded) > 0 {
		b = append(b, o.forwarded...)
		b = append(b, ", "...)
	}
	b = append(b, "for="...)
	switch {
	case !o.peer.IsValid():
		b = append(b, "unknown"...)
	case o.peer.Is6():
		b = append(b, `"[`...)
		b = o.peer.AppendTo(b)
		b = append(b, `]"`...)
	default:
		b = o.peer.AppendTo(b)
	}
	if len(o.host) > 0 {
		b = append(b, ";host="...)
		b = appendQuoted(b, o.host)
	}
	b = append(b, ";proto="...)
	b = append(b, o.proto...)
	return append(b, "\r\n"...)
}

// appendQuoted writes a quoted string (RFC 9110, section 5.6.4).
func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	for _, c := range s {
		if bytes.IndexByte([]byte(`"\`), c) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
