package upstream

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"milepost/proxy/upstream/upstreamtest"
)

const asking = "PUT /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"

// interim reads the head of an interim answer.
func interim(t *testing.T, br *bufio.Reader) string {
	t.Helper()
	line, err := br.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if empty, err := br.ReadString('\n'); err != nil || empty != "\r\n" {
		t.Fatalf("got %q, %v", empty, err)
	}
	return line
}

func TestTheUpstreamDecidesOnABody(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	invite := make(chan bool)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("the upstream got %v", r.Header)
		}
		if !<-invite {
			w.Header().Set("Connection", "close")
			w.WriteHeader(403)
			_, _ = io.WriteString(w, "no")
			return
		}
		// Reads, which sends 100, and answers when it has all.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the upstream got %d bytes, %v", len(body), err)
		}
		_, _ = w.Write(body)
	})
	for _, framed := range []struct{ header, body string }{
		{"Content-Length: 5", "hello"},
		{"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"},
		{"Content-Length: 100000", strings.Repeat("x", 100000)},
	} {
		c := f.dial()
		c.send(asking + framed.header + "\r\n\r\n")
		invite <- true
		if line := interim(t, c.br); line != "HTTP/1.1 100 Continue\r\n" {
			t.Errorf("got %q", line)
		}
		c.send(framed.body)
		resp, body, err := c.answer("PUT")
		if err != nil || resp.StatusCode != 200 || !strings.Contains(framed.body, body) || body == "" || len(framed.body) == 100000 && body != framed.body {
			t.Errorf("%s: %d %.100q, %v", framed.header, resp.StatusCode, body, err)
		}
	}
	c := f.dial()
	c.send(asking + "Content-Length: 5\r\n\r\n")
	invite <- false
	resp, body, err := c.answer("PUT")
	if err != nil || resp.StatusCode != 403 || body != "no" || !resp.Close {
		t.Errorf("refused: %d %q, %v", resp.StatusCode, body, err)
	}
}

func TestAnUpstreamThatDoesNotKnowExpect(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Misbehave(upstreamtest.Hang)
	c := f.dial()
	c.send(asking + "Content-Length: 5\r\n\r\n")
	if line := interim(t, c.br); line != "HTTP/1.1 100 Continue\r\n" {
		t.Errorf("got %q", line)
	}
	c.send("hello")
	up.Release()
	resp, body, err := c.answer("PUT")
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, resp, body, 502)
}

func TestExpectWithoutAnUpstream(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Down()
	resp, body := f.ask(asking + "Content-Length: 5\r\n\r\n")
	wantError(t, resp, body, 503)
	resp, body = f.ask(asking + "Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	wantError(t, resp, body, 501)
}

func TestACallerThatIsInvitedAndLeaves(t *testing.T) {
	up := upstreamtest.Start(t)
	o := patient(up.URL)
	o.BreakerFailures = 1
	f := serve(t, o)
	ended := make(chan error)
	up.Answer(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	c := f.dial()
	c.send(asking + "Content-Length: 50000\r\n\r\n")
	interim(t, c.br)
	_ = c.Close()
	if err := <-ended; err == nil {
		t.Error("the upstream saw a whole request")
	}
	up.Answer(upstreamtest.Echo)
	if resp, _ := f.ask(get("/then")); resp.StatusCode != 200 {
		t.Errorf("then %d", resp.StatusCode)
	}
}
