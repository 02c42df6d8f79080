// Command centrifuge fans out through the centrifuge library: its node with
// the in-memory broker, and a unidirectional transport of server-sent events,
// as the library wants it from a server that only pushes. The subscription is
// made by the server while a client connects; all else is the library's
// default.
//
//	POST /pub/CHANNEL  publishes the body, one JSON value
//	GET  /sub/CHANNEL  streams what is published from then on
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"net/http"

	"github.com/centrifugal/centrifuge"
)

// maxBody bounds what is published, in bytes.
const maxBody = 1 << 20

// channelKey is where a request's context names the channel.
type channelKey struct{}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`ADDRESS` to listen on")
	flag.Parse()
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		name, _ := ctx.Value(channelKey{}).(string)
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{},
			Subscriptions: map[string]centrifuge.SubscribeOptions{name: {}},
		}, nil
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sub/{channel}", func(w http.ResponseWriter, r *http.Request) {
		serve(node, w, r.WithContext(context.WithValue(r.Context(), channelKey{}, r.PathValue("channel"))))
	})
	mux.HandleFunc("POST /pub/{channel}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			_, err = node.Publish(r.PathValue("channel"), body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	log.Fatal(http.ListenAndServe(*addr, mux))
}
