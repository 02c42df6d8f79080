package upstream

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"

	"milepost/proxy/upstream/upstreamtest"
)

func TestForwarded(t *testing.T) {
	claims := []string{
		"X-Forwarded-For: 1.1.1.1, 2.2.2.2", "X-Forwarded-For: 3.3.3.3", "X-Forwarded-Proto: https", "X-Forwarded-Host: outer.example",
		"X-Forwarded-Prefix: /p", "Forwarded: for=1.1.1.1;proto=https", "Via: 1.0 fred",
	}
	for _, c := range []struct {
		name    string
		trusted string
		secure  bool
		claims  []string
		want    map[string]string
	}{
		{"a stranger who says nothing", "", false, nil, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "caller.example",
			"Forwarded": `for=127.0.0.1;host="caller.example";proto=http`, "Via": "1.1 milepost",
		}},
		{"a stranger who claims", "10.0.0.0/8", false, claims, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "caller.example", "X-Forwarded-Prefix": "",
			"Forwarded": `for=127.0.0.1;host="caller.example";proto=http`, "Via": "1.0 fred",
		}},
		{"by HTTPS", "", true, claims, map[string]string{
			"X-Forwarded-Proto": "https", "Forwarded": `for=127.0.0.1;host="caller.example";proto=https`,
		}},
		{"a trusted proxy", "127.0.0.0/8", false, claims, map[string]string{
			"X-Forwarded-For": "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.example",
			"X-Forwarded-Prefix": "/p", "Forwarded": `for=1.1.1.1;proto=https, for=127.0.0.1;host="caller.example";proto=http`,
		}},
		{"a stranger who would have ours removed", "", false, []string{"Connection: X-Forwarded-For, Forwarded, Via, X-Own", "X-Own: 1"}, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "Forwarded": `for=127.0.0.1;host="caller.example";proto=http`, "Via": "1.1 milepost", "X-Own": "", "Connection": "",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := upstreamtest.Start(t)
			o := patient(up.URL)
			if c.trusted != "" {
				o.Trusted = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
			}
			o.Secure = c.secure
			f := serve(t, o)
			f.ask(get("/x", append(c.claims, "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...))
			got := last(t, up)
			for name, want := range c.want {
				if v := got.Header.Get(name); v != want {
					t.Errorf("%s: %q, want %q", name, v, want)
				}
			}
			if got.Header.Get("Traceparent") != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" || "http://"+got.Host != up.URL {
				t.Errorf("got %v for %s", got.Header, got.Host)
			}
		})
	}
}

func TestForwardedOfIPv6AndOfHostsThatMustBeQuoted(t *testing.T) {
	o := origin{peer: netip.MustParseAddr("2001:db8::1"), proto: "http", host: []byte(`a"b\c`)}
	want := "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\"b\\c\r\n" +
		`Forwarded: for="[2001:db8::1]";host="a\"b\\c";proto=http` + "\r\n"
	if got := string(o.appendTo(nil)); got != want {
		t.Errorf("got %q", got)
	}
	o = origin{proto: "http"}
	if got, want := string(o.appendTo(nil)), "X-Forwarded-Proto: http\r\nForwarded: for=unknown;proto=http\r\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestHeaderForDoAndOpen(t *testing.T) {
	up := upstreamtest.Start(t)
	c := newClient(t, patient(up.URL))
	var (
		got http.Header
		err error
	)
	f := serveHandler(t, c, func(ctx *fasthttp.RequestCtx) { got, err = c.Header(ctx) })
	f.ask(get("/x", "Authorization: Bearer a", "Connection: X-Own", "X-Own: 1", "X-Twice: 1", "X-Twice: 2", "Accept-Encoding: gzip", "TE: trailers"))
	if err != nil || got.Get("Authorization") != "Bearer a" || len(got["X-Twice"]) != 2 || got.Get("X-Forwarded-For") != "127.0.0.1" || got.Get("Via") != "1.1 milepost" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, name := range []string{"X-Own", "Connection", "Host", "Accept-Encoding", "Te"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s is there", name)
		}
	}
	f.ask(get("/x", "Authorization: Bearer a", "Authorization: Bearer b"))
	if code, reason, ok := Refusal(err); code != 400 || reason == "" || !ok {
		t.Errorf("got %v", err)
	}
}
