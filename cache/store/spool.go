package store

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Errors of the spool that callers tell apart.
var (
	// ErrSpoolFull says that the spool has no room for a body.
	ErrSpoolFull = errors.New("the spool is full")
	// ErrSpoolKey says that a letter with the idempotency key has another body.
	ErrSpoolKey = errors.New("this idempotency key was used with another body")
)

// Spool is what waits in a store for its upstream. What a method that changes it
// has returned is on disk. Its methods may be used concurrently.
//
// A change is made under the lock of its job, which is held until the change is
// on disk: the letters of a job have an order anyway, and jobs share syncs. The
// lock of the Spool comes after it.
type Spool struct {
	store *Store
	max   int64

	mu      sync.Mutex
	jobs    map[string][]*Letter // in the order of delivery
	bytes   int64
	next    uint64 // number and order that are free
	pending int
	dead    int
}

// OpenSpool reads the spool of a store. most bounds the bodies in it, in bytes as
// they were sent.
func OpenSpool(s *Store, most int64) (*Spool, error) {
	p := &Spool{store: s, max: most, jobs: make(map[string][]*Letter), next: 1}
	err := p.each([]byte{spaceLetter}, func(l Letter) bool {
		l.Refusal = nil // read again when it is wanted
		p.insert(&l)
		p.bytes += int64(l.Size)
		p.next = max(p.next, l.number+1, l.order+1)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	return p, nil
}

// each calls visit for the letters whose keys have a prefix, until it returns
// false.
func (p *Spool) each(prefix []byte, visit func(Letter) bool) (err error) {
	it, err := p.store.db.NewIter(&pebble.IterOptions{
		LowerBound: prefix, UpperBound: append(prefix[:len(prefix):len(prefix)], 0xff),
	})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		l, err := decodeLetter(it.Key(), v)
		if err != nil {
			return fmt.Errorf("letter of the spool: %w", err)
		}
		if !visit(l) {
			return nil
		}
	}
	return nil
}

// insert puts a letter among those of its job. The lock must be held.
func (p *Spool) insert(l *Letter) {
	list := p.jobs[l.Job]
	i, _ := slices.BinarySearchFunc(list, l.order, func(have *Letter, order uint64) int { return cmp.Compare(have.order, order) })
	p.jobs[l.Job] = slices.Insert(list, i, l)
	p.count(l, 1)
}

// remove takes a letter off. The lock must be held.
func (p *Spool) remove(l *Letter) {
	list := slices.DeleteFunc(p.jobs[l.Job], func(have *Letter) bool { return have == l })
	if len(list) == 0 {
		delete(p.jobs, l.Job)
	} else {
		p.jobs[l.Job] = list
	}
	p.count(l, -1)
}

func (p *Spool) count(l *Letter, by int) {
	if l.Dead {
		p.dead += by
	} else {
		p.pending += by
	}
}

// find returns the letter of a job with a number, nil if it is gone.
func (p *Spool) find(job string, number uint64) *Letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.jobs[job] {
		if l.number == number {
			return l
		}
	}
	return nil
}

// Next returns the letter of a job that is to be delivered next, false if there is
// none.
func (p *Spool) Next(job string) (Letter, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.jobs[job] {
		if !l.Dead {
			return *l, true
		}
	}
	return Letter{}, false
}

// Has reports whether a job has letters, refused ones too.
func (p *Spool) Has(job string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.jobs[job]) > 0
}

// Pending reports whether a job has letters that are to be delivered.
func (p *Spool) Pending(job string) bool {
	_, ok := p.Next(job)
	return ok
}

// Empty reports whether no letter of any job is to be delivered.
func (p *Spool) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending == 0
}

// Jobs returns the jobs with letters that are to be delivered, in no order.
func (p *Spool) Jobs() (jobs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for job, list := range p.jobs {
		if slices.ContainsFunc(list, func(l *Letter) bool { return !l.Dead }) {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// Keyed returns the letter of a job that came with an idempotency key. The error
// is ErrSpoolKey if it came with another body.
func (p *Spool) Keyed(job, key string, body [sha256.Size]byte) (l Letter, found bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.jobs[job] {
		if l.Key == key {
			if l.Body != body {
				return Letter{}, true, ErrSpoolKey
			}
			return *l, true, nil
		}
	}
	return Letter{}, false, nil
}

// Find returns a letter by the local id of its checkpoint, or ErrNotFound.
func (p *Spool) Find(id string) (Letter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.jobs {
		for _, l := range list {
			if l.ID == id {
				return *l, nil
			}
		}
	}
	return Letter{}, fmt.Errorf("checkpoint %s in the spool: %w", id, ErrNotFound)
}

// List returns all letters with what was said of those that were refused, by jobs
// and in the order of delivery.
func (p *Spool) List() ([]Letter, error) {
	var all []Letter
	err := p.each([]byte{spaceLetter}, func(l Letter) bool {
		all = append(all, l)
		return true
	})
	slices.SortFunc(all, func(a, b Letter) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.order, b.order))
	})
	return all, err
}

// ReadBody returns the body of a letter as it was sent.
func (p *Spool) ReadBody(l Letter) ([]byte, error) {
	v, err := p.store.get(letterKey(spaceBody, l.Job, l.number))
	if err == nil && v == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("body of letter %s: %w", l.ID, err)
	}
	r := newReader(v)
	body := r.unpack(nil)
	if r.err == nil && sha256.Sum256(body) != l.Body {
		r.fail()
	}
	return body, r.err
}

// SpoolFigures are what the metrics say of the spool.
type SpoolFigures struct {
	Pending, Dead int
	Bytes         int64     // of the bodies, as they were sent
	Oldest        time.Time // acceptance of the oldest that is pending, zero if none is
}

// Figures returns the current figures.
func (p *Spool) Figures() SpoolFigures {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := SpoolFigures{Pending: p.pending, Dead: p.dead, Bytes: p.bytes}
	for _, list := range p.jobs {
		for _, l := range list {
			if !l.Dead && (f.Oldest.IsZero() || l.At.Before(f.Oldest)) {
				f.Oldest = l.At
			}
		}
	}
	return f
}

// Local tells what an id is in the copy of a job: one that this server has given,
// and then the upstream's for the same checkpoint, "" as long as it has none.
func (s *Store) Local(job, id string) (upstream string, local bool, err error) {
	v, err := s.get(bytesKey(job, kindLocal, id))
	if v == nil {
		return "", false, err
	}
	r := newReader(v)
	return string(r.b), true, r.err
}

// commit writes a batch and waits until it is on disk.
func (s *Store) commit(batch *pebble.Batch) error {
	if err := s.apply(batch); err != nil {
		return err
	}
	if err := batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
		return s.Err()
	}
	return nil
}
