package proxy

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"net/http"

	"github.com/valyala/fasthttp"

	"milepost/proxy/upstream"
)

// With auth "forward" a ticket stands for a credential that only the upstream can
// judge, again and again. So the ticket carries it, encrypted with a key of the
// store: the credential is nowhere on our disk, and the ticket serves over restarts.
// What is encrypted follows the ticket, and its length comes last.

// maxSealed bounds the Authorization in a ticket, in bytes, so that the ticket
// fits into an address.
const maxSealed = 4 << 10

var errSealed = &apiError{code: 422, reason: "The header Authorization is too long for a ticket"}

// ticket answers POST of a ticket.
func (a *sidecar) ticket(ctx *fasthttp.RequestCtx, c *caller) error {
	if len(c.authorization) > maxSealed && a.forward {
		return errSealed
	}
	var seal func(string) string
	if a.forward {
		seal = func(ticket string) string { return a.tickets.seal(ticket, c.authorization) }
	}
	return a.issueTicket(ctx, c, func(job string) error {
		err := a.entitled(ctx, c, job)
		if a.waitable(err) {
			return nil
		}
		if r, ok := err.(*refused); ok && r.answer.Status == http.StatusNotFound {
			return errJobNotFound
		}
		return err
	}, seal)
}

// bearer is the caller that the ticket of a request stands for, nil if it may not
// open the stream.
func (a *sidecar) bearer(ctx *fasthttp.RequestCtx, t target) (*caller, error) {
	text, sealed := split(ctx.QueryArgs().Peek("ticket"))
	return a.redeem(text, ticketJobs(ctx, t), func(k *ticket) *caller {
		authorization, err := a.tickets.unseal(string(text), sealed)
		if err != nil {
			return nil
		}
		c := new(caller)
		c.Hash, c.authorization, c.Read = upstream.CredentialOf([]byte(authorization)), authorization, true
		if a.tickets.keyTag(c.Hash) != k.key {
			return nil
		}
		return c
	})
}

// sealedLength is how long the length of what is sealed is written, in characters
// for its three bytes.
const sealedLength = 4

// split cuts a ticket from what is sealed behind it, nothing if nothing is.
func split(text []byte) (ticket, sealed []byte) {
	end := len(text) - sealedLength
	if end < 0 {
		return text, nil
	}
	var b [3]byte
	if n, err := ticketText.Decode(b[:], text[end:]); err != nil || n != len(b) {
		return text, nil
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if length > end {
		return text, nil
	}
	return text[:end-length], text[end-length : end]
}

// box returns the cipher of what tickets carry.
func (m *ticketMaker) box() (cipher.AEAD, error) {
	block, err := aes.NewCipher(m.sum('a', nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal returns what follows a ticket that carries an Authorization.
func (m *ticketMaker) seal(ticket, authorization string) string {
	box, err := m.box()
	if err != nil {
		panic(err) // the key has the length of a hash
	}
	text := ticketText.EncodeToString(box.Seal(nil, nil, []byte(authorization), []byte(ticket)))
	n := len(text)
	return text + ticketText.EncodeToString([]byte{byte(n >> 16), byte(n >> 8), byte(n)})
}

var errUnsealed = errors.New("the ticket does not carry a credential")

// unseal returns the Authorization that a ticket carries.
func (m *ticketMaker) unseal(ticket string, sealed []byte) (string, error) {
	b, err := ticketText.AppendDecode(nil, sealed)
	if err != nil || len(sealed) != ticketText.EncodedLen(len(b)) {
		return "", errUnsealed
	}
	box, err := m.box()
	if err != nil {
		return "", err
	}
	text, err := box.Open(nil, nil, b, []byte(ticket))
	if err != nil {
		return "", errUnsealed
	}
	return string(text), nil
}
