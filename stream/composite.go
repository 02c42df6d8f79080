package stream

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// completePrefix begins the id of a complete event; the id of the job's last
// checkpoint follows.
const completePrefix = "complete-"

// CompletedAfter returns the id of the checkpoint that a complete event's id
// names, and whether it is one.
func CompletedAfter(id string) (string, bool) {
	if len(id) > len(completePrefix) && id[:len(completePrefix)] == completePrefix {
		return id[len(completePrefix):], true
	}
	return "", false
}

// The id of a composite stream holds for each job six bytes of its id's hash,
// to find it again whatever the order of the jobs, and a varint of twice the
// sequence of the last checkpoint sent, plus one if the job's end was sent.
// Jobs of which nothing was sent are left out. All of it is base64url, at most
// compositeJob characters a job and usually twelve.
const (
	tagLen       = 6
	compositeJob = (tagLen + binary.MaxVarintLen64) * 4 / 3
)

func tag(job string) [tagLen]byte {
	h := sha256.Sum256([]byte(job))
	return [tagLen]byte(h[:tagLen])
}

// compositeID appends the id of a stream's position.
func (s *Subscriber) compositeID(dst []byte) []byte {
	b := make([]byte, 0, len(s.legs)*(tagLen+4))
	for i := range s.legs {
		l := &s.legs[i]
		if l.next == 1 && !l.done {
			continue
		}
		t := tag(l.b.key.job)
		n := (l.next - 1) << 1
		if l.done {
			n |= 1
		}
		b = binary.AppendUvarint(append(b, t[:]...), n)
	}
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

// ParseComposite puts the positions that an id of a composite stream holds into
// the jobs that it names. It reports false, with the positions unchanged, if id
// is none.
func ParseComposite(id string, jobs []Position) bool {
	if len(id) > maxComposite*compositeJob {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return false
	}
	at := make(map[[tagLen]byte]uint64, len(jobs))
	for len(b) > 0 {
		if len(b) <= tagLen {
			return false
		}
		n, size := binary.Uvarint(b[tagLen:])
		if size <= 0 {
			return false
		}
		at[[tagLen]byte(b)] = n
		b = b[tagLen+size:]
	}
	for i := range jobs {
		if n, ok := at[tag(jobs[i].Job)]; ok {
			jobs[i].After, jobs[i].Completed = n>>1, n&1 == 1
		}
	}
	return true
}

// maxComposite is more jobs than a composite stream can have.
const maxComposite = 1000

// fillComposite puts the frame of one job into p, going round the jobs.
func (s *Subscriber) fillComposite(p *parcel, hint *block) bool {
	if s.off > 0 {
		// The rest of the frame under way, before anything else.
		frames := s.frames(int(s.turn), s.legs[s.turn].b.view.Load(), hint)
		if len(frames) == 0 || s.off >= len(s.head)+len(frames[0].rest(s.plain)) {
			return false // as in fill
		}
		s.put(p, frames[0])
		return true
	}
	for n := range s.legs {
		i := (int(s.turn) + 1 + n) % len(s.legs)
		l := &s.legs[i]
		if l.done {
			continue
		}
		v := l.b.view.Load()
		if l.next > v.tail {
			if v.ended == "" || l.next > v.tail+1 {
				continue
			}
			s.complete(l, v)
			p.add(s.special)
			return true
		}
		if frames := s.frames(i, v, hint); len(frames) > 0 {
			s.turn = int32(i)
			l.next++ // the id is of the position after the frame
			id := s.compositeID(nil)
			l.next--
			s.head = frames[0].composed(s.head[:0], id, s.plain)
			s.put(p, frames[0])
			return true
		}
	}
	return false
}

// put adds what is left of a frame and its head.
func (s *Subscriber) put(p *parcel, f *frame) {
	p.frames = append(p.frames, f)
	rest := f.rest(s.plain)
	if s.off < len(s.head) {
		p.add(s.head[s.off:])
		p.add(rest)
		return
	}
	p.add(rest[s.off-len(s.head):])
}

func (s *Subscriber) advanceComposite(p *parcel, n int) int {
	if n < p.bytes {
		s.off += n
		return 0
	}
	s.off = 0
	s.legs[s.turn].next++
	return 1
}
