package stream

import "time"

// lag counts the deliveries of one frame.
type lag struct {
	at int64 // as in frame
	n  uint64
}

// pump writes to a subscriber until it is at the tail, the socket is full, or
// its turn is over. It returns the number of writes.
func (sh *shard) pump(s *Subscriber, hint *block) (sends int) {
	if s.io.gone || s.io.closing {
		return 0
	}
	p := &sh.parcel
	for sent := 0; ; {
		if sent >= turnBytes {
			sh.enqueue(s)
			break
		}
		limit := batchBytes
		if s.io.tight {
			limit = roomy
		}
		if !s.fill(p, hint, limit) {
			s.io.idle = true
			break
		}
		n, err := sh.write(s, p)
		sends++
		if err != nil {
			why := ReasonClient
			if vanished(err) && s.io.congested {
				why = ReasonStalled
			}
			sh.close(s, why)
			return sends
		}
		if n > 0 {
			s.progress = sh.now
			sent += n
			sh.bytes += n
			sh.tally(p, s.advance(p, n))
		}
		if n < p.bytes {
			break
		}
		if why := s.ended(); why != 0 {
			sh.finish(s, why)
			return sends
		}
	}
	s.setLagging(s.io.congested || s.io.queued || s.waits())
	return sends
}

// tally counts what a write delivered.
func (sh *shard) tally(p *parcel, frames int) {
	sh.deliveries += frames
	for i, f := range p.frames[:frames] {
		if f.at == 0 {
			continue
		}
		// The frames of one slice are mostly the same, in the same order.
		if i >= len(sh.lags) || sh.lags[i].at != f.at {
			for i = 0; i < len(sh.lags) && sh.lags[i].at != f.at; i++ {
			}
			if i == len(sh.lags) {
				sh.lags = append(sh.lags, lag{at: f.at})
			}
		}
		sh.lags[i].n++
	}
}

// report counts what the last slice sent.
func (sh *shard) report() {
	m := sh.hub.metrics
	if sh.bytes > 0 {
		m.Deliveries.Add(float64(sh.deliveries))
		m.DeliveredBytes.Add(float64(sh.bytes))
		sh.deliveries, sh.bytes = 0, 0
	}
	if len(sh.lags) > 0 {
		now := sh.hub.sinceStart()
		for _, l := range sh.lags {
			m.Lag.Observe(now-time.Duration(l.at), l.n)
		}
		sh.lags = sh.lags[:0]
	}
}

// settled is how long after the last write, in milliseconds, a socket that took
// it whole is taken to have room again, without asking.
const settled = 10

// write sends a parcel as far as the socket takes it. If that is not all of it,
// the subscriber is congested until the loop is told that there is room.
func (sh *shard) write(s *Subscriber, p *parcel) (int, error) {
	c := &s.io
	if c.idle && sh.now-s.progress >= settled {
		c.unproven, c.tight = 0, false
	}
	c.idle = false
	if c.unproven > 0 && int(c.unproven)+p.bytes > roomy {
		if !c.writable() {
			c.congested, c.tight = true, true
			return 0, nil
		}
		c.unproven = 0
	}
	sent, err := 0, error(nil)
	if p.bytes <= roomy || p.bytes <= largeBytes && !c.tight {
		sent, err = c.send(p.bufs, &sh.iov)
	} else {
		sent, err = sh.writeLarge(c, p)
	}
	c.unproven += int32(sent)
	if sent < p.bytes {
		c.congested, c.tight = true, true
	}
	return sent, err
}

// writeLarge sends a frame that may not be taken whole, its end apart.
func (sh *shard) writeLarge(c *connection, p *parcel) (int, error) {
	last := len(p.bufs) - 1
	whole := p.bufs[last]
	cut := len(whole) - heldBack
	if cut <= 0 {
		return c.send(p.bufs, &sh.iov)
	}
	p.bufs[last] = whole[:cut]
	sent, err := c.send(p.bufs, &sh.iov)
	p.bufs[last] = whole
	if err != nil || sent < p.bytes-heldBack || !c.writable() {
		return sent, err
	}
	c.unproven = 0
	end := [1][]byte{whole[cut:]}
	n, err := c.send(end[:], &sh.iov)
	if err != nil {
		return sent, nil // the next write tells again
	}
	return sent + n, nil
}
