package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// dialError is a failure to connect, before any byte of a request was sent.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// avoidance is how long an address that could not be connected to is tried after
// the others.
const avoidance = 10 * time.Second

// dialer connects to the upstream. Its name may stand for several addresses:
// connections are spread over them in turn, and those that do not answer are
// tried last.
type dialer struct {
	host, port string
	timeout    time.Duration // for all addresses together
	lookup     func(ctx context.Context, network, host string) ([]netip.Addr, error)
	connect    func(ctx context.Context, network, address string) (net.Conn, error)
	now        func() time.Time

	mu      sync.Mutex
	turn    int
	failing map[netip.Addr]time.Time // until when it is avoided
}

func newDialer(host, port string, timeout time.Duration) *dialer {
	d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	return &dialer{
		host: host, port: port, timeout: timeout,
		lookup: net.DefaultResolver.LookupNetIP, connect: d.DialContext, now: time.Now,
		failing: make(map[netip.Addr]time.Time),
	}
}

// dial connects within the timeout. Its errors are *dialError.
func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	addresses, err := d.addresses(ctx)
	if err != nil {
		return nil, &dialError{err}
	}
	for i, a := range addresses {
		var conn net.Conn
		if conn, err = d.dialOne(ctx, a, len(addresses)-i); err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, &dialError{err}
}

// dialOne connects to one of the addresses that are left, with its share of the
// time.
func (d *dialer) dialOne(ctx context.Context, a netip.Addr, left int) (net.Conn, error) {
	share := ctx
	if by, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		share, cancel = context.WithTimeout(ctx, time.Until(by)/time.Duration(left))
		defer cancel()
	}
	conn, err := d.connect(share, "tcp", net.JoinHostPort(a.String(), d.port))
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		delete(d.failing, a)
	} else if context.Cause(ctx) != context.Canceled {
		d.failing[a] = d.now().Add(avoidance)
	}
	return conn, err
}

// addresses returns what the name stands for, in the order to try. There is at
// least one.
func (d *dialer) addresses(ctx context.Context) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(d.host); err == nil {
		return []netip.Addr{a}, nil
	}
	found, err := d.lookup(ctx, "ip", d.host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: d.host, IsNotFound: true}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn++
	now := d.now()
	for a, until := range d.failing {
		if now.After(until) {
			delete(d.failing, a)
		}
	}
	order := make([]netip.Addr, 0, len(found))
	var last []netip.Addr
	for i := range found {
		a := found[(d.turn+i)%len(found)].Unmap()
		if _, avoid := d.failing[a]; avoid {
			last = append(last, a)
		} else {
			order = append(order, a)
		}
	}
	return append(order, last...), nil
}
