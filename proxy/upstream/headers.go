package upstream

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/valyala/fasthttp"
)

// kind is what happens to a header of a request on its way to the upstream.
type kind byte

const (
	other kind = iota
	hop        // of this connection only (RFC 9110, section 7.6.1)
	connection
	te
	trailer
	transferEncoding
	contentLength
	upgrade
	host
	expect
	authorization
	forwarded
	forwardedFor
	forwardedProto
	forwardedHost
	forwardedOther
)

// longestKnown is the length of the longest name that kindOf knows whole.
const longestKnown = len("proxy-authentication-info")

const forwardedPrefix = "x-forwarded-"

// kindOf finds a header by its name in any case. disguised says that it is
// written with underscores, which many servers take for dashes.
func kindOf(name []byte) (k kind, disguised bool) {
	var lower [longestKnown]byte
	n := min(len(name), longestKnown)
	for i, b := range name[:n] {
		switch {
		case 'A' <= b && b <= 'Z':
			b |= 0x20
		case b == '_':
			b, disguised = '-', true
		}
		lower[i] = b
	}
	if n > len(forwardedPrefix) && string(lower[:len(forwardedPrefix)]) == forwardedPrefix {
		switch string(lower[len(forwardedPrefix):n]) {
		case "for":
			return forwardedFor, disguised
		case "proto":
			return forwardedProto, disguised
		case "host":
			return forwardedHost, disguised
		}
		return forwardedOther, disguised
	}
	if len(name) > longestKnown {
		return other, false
	}
	switch string(lower[:n]) {
	case "connection":
		return connection, disguised
	case "te":
		return te, disguised
	case "trailer":
		return trailer, disguised
	case "transfer-encoding":
		return transferEncoding, disguised
	case "content-length":
		return contentLength, disguised
	case "upgrade":
		return upgrade, disguised
	case "host":
		return host, disguised
	case "expect":
		return expect, disguised
	case "authorization":
		return authorization, disguised
	case "forwarded":
		return forwarded, disguised
	case "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
		"proxy-authentication-info", "http2-settings":
		return hop, disguised
	}
	return other, disguised
}

// tokenByte says which bytes a header's name is made of (RFC 9110, section
// 5.6.2).
var tokenByte = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[b] = true
	}
	return t
}()

// validName reports whether a name is one, with nothing before its colon.
func validName(name []byte) bool {
	for _, b := range name {
		if !tokenByte[b] {
			return false
		}
	}
	return len(name) > 0
}

// validValue reports whether a value has no control characters but tabs.
func validValue(value []byte) bool {
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// eachToken calls f with the elements of a comma-separated list.
func eachToken(list []byte, f func(token []byte)) {
	for len(list) > 0 {
		token, rest, _ := bytes.Cut(list, []byte{','})
		if token = bytes.Trim(token, " \t"); len(token) > 0 {
			f(token)
		}
		list = rest
	}
}

// hasToken reports whether a comma-separated list has an element in any case,
// parameters aside.
func hasToken(list []byte, want string) bool {
	found := false
	eachToken(list, func(token []byte) {
		token, _, _ = bytes.Cut(token, []byte{';'})
		found = found || strings.EqualFold(string(bytes.TrimRight(token, " \t")), want)
	})
	return found
}

// hops are the headers of an answer that are not passed on.
var hops = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "Te", "Transfer-Encoding", "Upgrade"}

// dropHops removes what is of the connection only, and what its header
// Connection names.
func dropHops(h http.Header) {
	for _, list := range h["Connection"] {
		for _, name := range strings.Split(list, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hops {
		h.Del(name)
	}
	h.Del("Trailer")
}

// dropHopsOf does what dropHops does to the head of an answer that is relayed,
// and reports whether the upstream closes the connection after it.
func dropHopsOf(h *fasthttp.ResponseHeader) (closes bool) {
	if closes = h.ConnectionClose(); closes {
		h.ResetConnectionClose()
	}
	// Most answers have one or none of them, so that looking once is quicker than
	// to remove each.
	var (
		present [16]string
		n       int
		named   []string
	)
	for key, value := range h.All() {
		name := hopName(key)
		if name == "" {
			continue
		}
		if n < len(present) {
			present[n] = name
			n++
		}
		if name == "Connection" {
			named = namedBy(named, value)
		}
	}
	for _, name := range present[:n] {
		h.Del(name)
	}
	for _, name := range named {
		h.Del(name)
	}
	return closes
}

// hopName returns the name of a header that is not passed on, or "".
func hopName(key []byte) string {
	switch string(key) {
	case "Connection":
		return "Connection"
	case "Keep-Alive":
		return "Keep-Alive"
	case "Transfer-Encoding":
		return "Transfer-Encoding"
	}
	for _, name := range hops {
		if len(key) == len(name) && strings.EqualFold(string(key), name) {
			return name
		}
	}
	return ""
}

// namedBy adds the headers that a header Connection names.
func namedBy(named []string, list []byte) []string {
	if string(list) == "keep-alive" || string(list) == "close" {
		return named
	}
	eachToken(list, func(token []byte) {
		switch name := textproto.CanonicalMIMEHeaderKey(string(token)); name {
		case "Content-Length", "Content-Type", "Set-Cookie", "Trailer", "Close", "Keep-Alive":
			// They are about the message, or removed anyway.
		default:
			named = append(named, name)
		}
	})
	return named
}
