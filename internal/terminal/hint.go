package terminal

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// hint is what the user can do about a request that got no answer: text to stand
// behind the cause, empty if the cause says it all.
func hint(err error) string {
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case errors.As(err, &certificate):
		return "; SSL_CERT_FILE=ca.pem names the signer of its certificate"
	case errors.Is(err, io.EOF):
		return "; does it speak https there?"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT), errors.As(err, &name):
		return "; MILEPOST_URL (or --target) says where it is"
	}
	return ""
}
