package openapitest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// serve starts a server with one answer and returns a client whose exchanges v
// checks, and the server's address.
func serve(t *testing.T, v *Validator, answer http.HandlerFunc) (*http.Client, string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return &http.Client{Transport: v.Transport(server.Client().Transport)}, server.URL
}

// send makes a request with a key and returns the response's body.
func send(t *testing.T, client *http.Client, method, url string, body io.Reader, headers ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

func TestTransportPassesBodiesOn(t *testing.T) {
	want := goodCreate(t)
	for name, body := range map[string]io.Reader{
		"that can be had again": bytes.NewReader(want.reqBody),
		"that can be read once": io.MultiReader(bytes.NewReader(want.reqBody)),
	} {
		t.Run(name, func(t *testing.T) {
			client, url := serve(t, New(t), func(w http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, want.reqBody) {
					t.Errorf("the server got %q, %v", got, err)
				}
				w.Header().Set("Content-Type", "application/json")
				w.Write(want.respBody)
			})
			_, got, err := send(t, client, http.MethodPost, url+jobPath, body)
			if err != nil || got != string(want.respBody) {
				t.Errorf("the client got %q, %v", got, err)
			}
		})
	}
}

func TestTransportReportsFaults(t *testing.T) {
	watched := &spy{TB: t}
	client, url := serve(t, New(t).With(watched), func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{}`))
	})
	if _, _, err := send(t, client, http.MethodPost, url+jobPath, io.MultiReader(strings.NewReader(`{}`))); err != nil {
		t.Fatal(err)
	}
	if len(watched.failures) != 2 {
		t.Errorf("%d faults, want one of the request and one of the response", len(watched.failures))
	}
}

func TestTransportWithoutATestReturnsFaults(t *testing.T) {
	v, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	client, url := serve(t, v, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(418) })
	_, _, err = send(t, client, http.MethodGet, url+jobPath, nil)
	if err == nil || !strings.Contains(err.Error(), "418 is not documented") {
		t.Errorf("error %v", err)
	}
}

func TestTransportDecodesCompressedBodies(t *testing.T) {
	page := goodList(t).respBody
	encoders := map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Error(err)
			}
			return e
		},
		"br": func(w io.Writer) io.WriteCloser {
			e, err := brotli.NewWriter(w, 1)
			if err != nil {
				t.Error(err)
			}
			return e
		},
	}
	for coding, encoder := range encoders {
		for name, body := range map[string][]byte{
			"good": page,
			"bad":  bytes.Replace(page, []byte(`"sequence":3`), []byte(`"sequence":0`), 1),
		} {
			t.Run(coding+" "+name, func(t *testing.T) {
				watched := &spy{TB: t}
				client, url := serve(t, New(t).With(watched), func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Content-Encoding", coding)
					w.Header().Set("Cache-Control", "no-store")
					w.Header().Add("Vary", "Origin")
					w.Header().Add("Vary", "accept-encoding")
					e := encoder(w)
					e.Write(body)
					e.Close()
				})
				resp, got, err := send(t, client, http.MethodGet, url+jobPath, nil, "Accept-Encoding", coding)
				if err != nil {
					t.Fatal(err)
				}
				if resp.Header.Get("Content-Encoding") != coding || got == string(body) {
					t.Error("the client did not get the compressed body")
				}
				if want := map[string]int{"good": 0, "bad": 1}[name]; len(watched.failures) != want {
					t.Errorf("%d faults, want %d", len(watched.failures), want)
				}
			})
		}
	}
}

// A stream reaches the client while the server still writes it.
func TestTransportDoesNotWaitForAStream(t *testing.T) {
	ended := make(chan struct{})
	client, url := serve(t, New(t), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache, no-transform")
		w.Header().Set("X-Accel-Buffering", "no")
		w.Write([]byte(":\n\n"))
		w.(http.Flusher).Flush()
		<-ended
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+jobPath+"stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	close(ended)
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != ":\n\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

// The events of a stream are held against their schemas while they pass.
func TestTransportChecksEvents(t *testing.T) {
	checkpoint := string(example(t, pointer("/components/responses/CheckpointCreated/content", "application/json", "example", "data", "checkpoint")))
	complete := `{"status":"completed","expertJobId":"test12345678901234567890"}`
	for _, c := range []struct {
		name, body string
		faults     int
	}{
		{"good", ":\n\nid: a\nevent: message\ndata: " + checkpoint + "\n\n:\n\nid: b\nevent: complete\ndata: " + complete + "\n\n", 0},
		{"a good end by the server", "retry: 1500\n\nevent: error\ndata: {\"type\":\"revoked\",\"expertJobId\":\"test12345678901234567890\"}\n\n", 0},
		{"a message without an id", "event: message\ndata: " + checkpoint + "\n\n", 1},
		{"an error with an id", "id: a\nevent: error\ndata: {\"type\":\"revoked\",\"expertJobId\":\"test12345678901234567890\"}\n\n", 1},
		{"a checkpoint that lacks something", "id: a\nevent: message\ndata: " + strings.Replace(checkpoint, `"sequence":3,`, "", 1) + "\n\n", 1},
		{"an unknown status", "id: a\nevent: complete\ndata: " + strings.Replace(complete, "completed", "done", 1) + "\n\n", 1},
		{"an unknown event", "id: a\nevent: hello\ndata: {}\n\n", 1},
		{"an unknown field", "id: a\nname: message\ndata: " + checkpoint + "\n\n", 1},
		{"data on two lines", "id: a\nevent: complete\ndata: {\ndata: }\n\n", 1},
		{"carriage returns", "id: a\r\nevent: complete\r\ndata: " + complete + "\r\n\n", 1},
		{"data that are no JSON", "id: a\nevent: complete\ndata: {\n\n", 1},
		{"an end within an event", ":\n\nid: a\nevent: complete\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			watched := &spy{TB: t}
			client, url := serve(t, New(t).With(watched), func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				w.Header().Set("Cache-Control", "no-cache, no-transform")
				w.Header().Set("X-Accel-Buffering", "no")
				w.Write([]byte(c.body))
			})
			if _, got, err := send(t, client, http.MethodGet, url+jobPath+"stream", nil); err != nil || got != c.body {
				t.Errorf("the client got %.80q, %v", got, err)
			}
			if len(watched.failures) != c.faults {
				t.Errorf("%d faults, want %d", len(watched.failures), c.faults)
			}
		})
	}
}

// A body that breaks off is the client's to notice; what came of it is no JSON
// and that is not the fault.
func TestTransportPassesABrokenBodyOn(t *testing.T) {
	client, url := serve(t, New(t), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", "100")
		w.Write([]byte(`{"data"`))
	})
	_, got, err := send(t, client, http.MethodGet, url+jobPath, nil)
	if err == nil || got != `{"data"` {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTransportPassesErrorsOn(t *testing.T) {
	client, url := serve(t, New(t), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, _, err := send(t, client, http.MethodGet, url+jobPath, nil); err == nil {
		t.Error("no error")
	}
}
