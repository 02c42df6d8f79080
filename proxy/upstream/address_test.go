package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"milepost/proxy/upstream/upstreamtest"
)

// testDialer is one whose name stands for three addresses, of which some do not
// answer.
func testDialer(dead ...string) (d *dialer, tried *[]string, now *time.Time) {
	tried, now = new([]string), new(time.Time)
	*now = time.Unix(1000, 0)
	d = newDialer("upstream.example", "80", time.Minute)
	d.now = func() time.Time { return *now }
	d.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.2"), netip.MustParseAddr("fd00::3")}, nil
	}
	d.connect = func(_ context.Context, _, address string) (net.Conn, error) {
		*tried = append(*tried, address)
		if slices.Contains(dead, address) {
			return nil, errors.New("refused")
		}
		return &net.TCPConn{}, nil
	}
	return d, tried, now
}

func TestConnectionsAreSpreadOverTheAddresses(t *testing.T) {
	d, tried, _ := testDialer()
	for range 6 {
		if _, err := d.dial(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(*tried)
	if want := []string{"10.0.0.1:80", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.2:80", "[fd00::3]:80", "[fd00::3]:80"}; !slices.Equal(*tried, want) {
		t.Errorf("tried %v", *tried)
	}
}

func TestADeadAddressIsTriedLast(t *testing.T) {
	const dead = "10.0.0.2:80"
	d, tried, now := testDialer(dead)
	for range 12 {
		if _, err := d.dial(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (n int) {
		for _, a := range *tried {
			if a == dead {
				n++
			}
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("the dead address was tried %d times", n)
	}
	*now = now.Add(avoidance + 1)
	for range 3 {
		if _, err := d.dial(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(); n != 2 {
		t.Errorf("then it was tried %d times", n)
	}
}

func TestWhenNoAddressAnswers(t *testing.T) {
	d, tried, _ := testDialer("10.0.0.1:80", "10.0.0.2:80", "[fd00::3]:80")
	_, err := d.dial(t.Context())
	if !errors.Is(asFailure(err), ErrRefused) || len(*tried) != 3 {
		t.Errorf("got %v after %v", err, *tried)
	}
	d.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil }
	if _, err := d.dial(t.Context()); !errors.Is(asFailure(err), ErrRefused) {
		t.Errorf("got %v", err)
	}
}

// An address that swallows what is sent to it leaves time for the others.
func TestASilentAddressTakesItsShareOnly(t *testing.T) {
	d, _, _ := testDialer()
	d.timeout = 300 * time.Millisecond
	answering := d.connect
	d.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "[fd00::3]:80" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return answering(ctx, network, address)
	}
	for range 3 {
		clear(d.failing)
		if _, err := d.dial(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	}
	d.connect = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	if _, err := d.dial(t.Context()); !errors.Is(asFailure(err), ErrLate) {
		t.Errorf("got %v", err)
	}
}

func TestAName(t *testing.T) {
	up := upstreamtest.Start(t)
	_, port, err := net.SplitHostPort(up.URL[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	f := serve(t, patient("http://upstream.example:"+port))
	f.client.dialer.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	if resp, _ := f.ask(get("/x")); resp.StatusCode != 200 || last(t, up).Host != "upstream.example:"+port {
		t.Errorf("got %d for %s", resp.StatusCode, last(t, up).Host)
	}
	if _, err := f.client.Do(t.Context(), "x", Request{Method: "GET", Target: "/"}); err != nil || last(t, up).Host != "upstream.example:"+port {
		t.Errorf("Do: %v for %s", err, last(t, up).Host)
	}
}
