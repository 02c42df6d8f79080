package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// testCertificate is valid for whoever does not look.
func testCertificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A connection under TLS is served by the portable engine, beside the event
// loops, with the same promises.
func TestUnderTLS(t *testing.T) {
	f := newFixture(t, Options{StallTimeout: time.Minute})
	secured := func() *reader {
		client, server := f.dial()
		s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}})
		handshake := make(chan error, 1)
		go func() { handshake <- s.Handshake() }()
		c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-handshake; err != nil {
			t.Fatal(err)
		}
		f.attach(Subscription{}, s)
		return newReader(c)
	}
	for range 100 {
		f.log.put(testJob, 20_000, "")
	}
	slow, plain, quick := secured(), f.subscribe(Subscription{}), secured()
	quick.expect(t, f.log, testJob, 1, 100)
	for n := range 100 {
		f.publish(testJob, 100*n, "")
	}
	f.publish(testJob, 1, "completed")
	for _, r := range []*reader{quick, plain, slow} {
		first := uint64(1)
		if r == quick {
			first = 101
		}
		r.expect(t, f.log, testJob, first, 201)
		r.expectEvent(t, "complete", "completed")
		r.expectEnd(t)
		_ = r.conn.Close()
	}
	// One that vanishes in the middle.
	gone := make(chan struct{})
	client, server := net.Pipe()
	f.log.remove(testJob)
	f.attach(Subscription{OnClose: func() { close(gone) }}, tls.Server(server, &tls.Config{}))
	_ = client.Close()
	<-gone
}
