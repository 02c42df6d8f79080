// Command hub is the fan-out that a Go programmer writes by hand: a net/http
// server with a goroutine and a buffered channel a subscriber. Its frames are
// encoded once and shared.
//
//	POST /pub/CHANNEL  publishes the body, one line of text
//	GET  /sub/CHANNEL  streams what is published from then on as server-sent events
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
)

// buffered is how many frames a subscriber may be behind; one that is further
// behind is disconnected, so that it holds up nobody. It is four times the
// backlog that the benchmark publishes at once.
const buffered = 64

// maxBody bounds what is published, in bytes.
const maxBody = 1 << 20

// hub holds the subscribers by channel.
type hub struct {
	mu       sync.Mutex
	channels map[string]*channel
}

// channel is one topic. Its lock also keeps the order of its frames.
type channel struct {
	mu          sync.Mutex
	published   int
	subscribers map[chan []byte]struct{}
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`ADDRESS` to listen on")
	flag.Parse()
	h := &hub{channels: map[string]*channel{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pub/{channel}", h.publish)
	mux.HandleFunc("GET /sub/{channel}", h.subscribe)
	log.Fatal(http.ListenAndServe(*addr, mux))
}

// channel returns the channel of that name, a new one if there is none.
func (h *hub) channel(name string) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[name]
	if c == nil {
		c = &channel{subscribers: map[chan []byte]struct{}{}}
		h.channels[name] = c
	}
	return c
}

// publish hands one frame to all subscribers of a channel.
func (h *hub) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := h.channel(r.PathValue("channel"))
	c.mu.Lock()
	c.published++
	frame := fmt.Appendf(nil, "id: %d\ndata: %s\n\n", c.published, body)
	for s := range c.subscribers {
		select {
		case s <- frame:
		default:
			close(s)
			delete(c.subscribers, s)
		}
	}
	c.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// subscribe streams a channel until the client leaves or is too far behind.
func (h *hub) subscribe(w http.ResponseWriter, r *http.Request) {
	frames := make(chan []byte, buffered)
	c := h.channel(r.PathValue("channel"))
	c.mu.Lock()
	c.subscribers[frames] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.subscribers, frames)
		c.mu.Unlock()
	}()

	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case frame, ok := <-frames:
			if !ok {
				return
			}
			if _, err := w.Write(frame); err != nil {
				return
			}
			flusher.Flush()
		}
	}
}
