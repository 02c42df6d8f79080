package stream

// parcel is what is sent in one write: one piece of its own, or frames from the
// subscriber's position on, the first perhaps begun.
type parcel struct {
	bufs   [][]byte
	frames []*frame
	bytes  int
}

func (p *parcel) reset() {
	clear(p.bufs)
	clear(p.frames)
	p.bufs, p.frames, p.bytes = p.bufs[:0], p.frames[:0], 0
}

func (p *parcel) add(b []byte) {
	p.bufs = append(p.bufs, b)
	p.bytes += len(b)
}

// maxBufs bounds the frames of one write.
const maxBufs = 64

// fill puts the next write into p, of about limit bytes unless one frame has
// more, and reports whether there is any. hint is a block that was just read
// for the subscriber. What is neither shared nor at hand is asked of history.
func (s *Subscriber) fill(p *parcel, hint *block, limit int) bool {
	p.reset()
	if s.special == nil && s.off == 0 && s.ending != 0 {
		s.farewell()
	}
	if s.special != nil {
		p.add(s.special[s.off:])
		return true
	}
	if s.composite {
		return s.fillComposite(p, hint)
	}
	l := &s.legs[0]
	v := l.b.view.Load()
	if l.next > v.tail {
		if v.ended == "" || l.next > v.tail+1 {
			return false
		}
		s.complete(l, v)
		p.add(s.special)
		return true
	}
	frames := s.frames(0, v, hint)
	for i, f := range frames {
		w := f.bytes(s.plain)
		if i == 0 {
			if s.off >= len(w) {
				return false // another one, read of a job that began anew
			}
			w = w[s.off:]
		} else if p.bytes+len(w) > limit || i == maxBufs {
			break
		}
		p.frames = append(p.frames, f)
		p.add(w)
	}
	return len(frames) > 0
}

// frames returns the frames of a leg from its position on, which is not beyond
// the tail; none if they have to be read first.
func (s *Subscriber) frames(i int, v *view, hint *block) []*frame {
	l := &s.legs[i]
	if frames := v.recent(l.next); frames != nil {
		return frames
	}
	if hint != nil && hint.b == l.b {
		if frames := hint.from(l.next); frames != nil {
			return frames
		}
	}
	if l.loading {
		return nil
	}
	return s.hub.history.find(l.b, l.next, waiter{s, i})
}

// advance takes n bytes of p as sent. It returns how many frames that
// completed.
func (s *Subscriber) advance(p *parcel, n int) int {
	if s.special != nil {
		if s.off += n; s.off == len(s.special) {
			s.special, s.off = nil, 0
		}
		return 0
	}
	if s.composite {
		return s.advanceComposite(p, n)
	}
	done := 0
	for i := range p.frames {
		if n < len(p.bufs[i]) {
			s.off += n
			break
		}
		n -= len(p.bufs[i])
		s.legs[0].next++
		s.off = 0
		done++
	}
	return done
}

// amid reports whether a frame of the leg was begun and not yet sent whole.
func (s *Subscriber) amid(leg int) bool { return s.off > 0 && s.special == nil && int(s.turn) == leg }
