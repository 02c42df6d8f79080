package main

import (
	"log"
	"net/http"
	"sync"

	"github.com/centrifugal/centrifuge"
)

// serve makes a client of the node from a request and waits for its end.
func serve(node *centrifuge.Node, w http.ResponseWriter, r *http.Request) {
	t := &transport{w: w, flusher: w.(http.Flusher), closed: make(chan struct{})}
	client, disconnect, err := centrifuge.NewClient(r.Context(), node, t)
	if err != nil {
		log.Print(err)
		return
	}
	defer func() {
		_ = disconnect()
		_ = t.Close(centrifuge.DisconnectConnectionClosed)
	}()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	t.flusher.Flush()
	client.Connect(centrifuge.ConnectRequest{})
	select {
	case <-r.Context().Done():
	case <-t.closed:
	}
}

// transport writes what the client's own goroutine of the library gives it
// straight to the response, which is one switch of goroutines fewer than the
// library's bidirectional SSE handler makes.
type transport struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	flusher http.Flusher
	ended   bool
	closed  chan struct{}
}

func (t *transport) Name() string                                { return "uni_sse" }
func (t *transport) AcceptProtocol() string                      { return "" }
func (t *transport) Protocol() centrifuge.ProtocolType           { return centrifuge.ProtocolTypeJSON }
func (t *transport) ProtocolVersion() centrifuge.ProtocolVersion { return centrifuge.ProtocolVersion2 }
func (t *transport) Unidirectional() bool                        { return true }
func (t *transport) Emulation() bool                             { return false }
func (t *transport) DisabledPushFlags() uint64                   { return centrifuge.PushFlagDisconnect }

// PingPongConfig turns pings off: nobody answers them.
func (t *transport) PingPongConfig() centrifuge.PingPongConfig {
	return centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1}
}

// Write sends one message.
func (t *transport) Write(message []byte) error { return t.WriteMany(message) }

// WriteMany sends messages in one write.
func (t *transport) WriteMany(messages ...[]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil
	}
	for _, m := range messages {
		for _, b := range [][]byte{[]byte("data: "), m, []byte("\n\n")} {
			if _, err := t.w.Write(b); err != nil {
				return err
			}
		}
	}
	t.flusher.Flush()
	return nil
}

// Close ends the request. Nothing is written after it.
func (t *transport) Close(centrifuge.Disconnect) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.ended = true
		close(t.closed)
	}
	return nil
}
