package upstream

import (
	"strings"
	"sync"
	"time"
)

// Verdict says whether what is kept of a job may be given to a credential.
type Verdict int

// The verdicts. The zero Verdict gives nothing.
const (
	// None: the upstream has to be asked.
	None Verdict = iota
	// Stale: the upstream has to be asked; only if it cannot be reached the copy
	// may be given all the same.
	Stale
	// Fresh: the copy may be given.
	Fresh
)

// VerdictStore keeps verdicts over restarts. Of a credential it gets the hash,
// never more. Delete must be seen by every Load after it, and wait until it is on
// disk; the others need no sync.
type VerdictStore interface {
	Load(credential [32]byte, job string) (at time.Time, ok bool, err error)
	Save(credential [32]byte, job string, at time.Time) error
	Delete(credential [32]byte, job string) (wait func() error, err error)
	Each(credential [32]byte, visit func(job string, at time.Time) bool) error
	Expire(before time.Time) (removed int, err error)
}

const (
	// maxVerdicts bounds the verdicts in memory, about 300 bytes each. One that is
	// not there is read from the store.
	maxVerdicts = 1 << 16
	// maxRefusals bounds the refusals in memory. They only guard against answers
	// that overtake one another. They are apart from the verdicts, so that a flood
	// of bad credentials drives out none of the good.
	maxRefusals = 1 << 12
	// saveEvery is the part of the ttl after which a verdict that is given again
	// and again is saved again. After a restart it is older by at most that.
	saveEvery = 4
)

// Verdicts knows which credential the upstream has accepted for which job, and
// when (semantics: In front of an upstream, auth = "forward"). A verdict is the
// upstream's own answer and nothing else makes one. Its age counts from when the
// upstream was asked, so that a slow answer does not prolong it.
type Verdicts struct {
	store      VerdictStore
	ttl, stale time.Duration
	now        func() time.Time

	mu       sync.Mutex
	accepted *recent[verdictKey, verdict]
	refused  *recent[verdictKey, time.Time] // when
	refusals uint64                         // so far, to notice what refused has lost
}

type verdictKey struct {
	credential Credential
	job        string
}

type verdict struct{ at, saved time.Time }

// NewVerdicts returns the verdicts that a store holds. A verdict is fresh up to
// ttl after the upstream was asked and usable in an outage up to stale after it.
func NewVerdicts(store VerdictStore, ttl, stale time.Duration, now func() time.Time) *Verdicts {
	return &Verdicts{
		store: store, ttl: ttl, stale: stale, now: now,
		accepted: newRecent[verdictKey, verdict](maxVerdicts),
		refused:  newRecent[verdictKey, time.Time](maxRefusals),
	}
}

// Allow notes that the upstream has accepted a credential for a job, in its answer
// to a request that was sent at asked. If the upstream refused the credential
// after that, the answer counts for nothing. The error says that the verdict was
// not saved; it holds until the next start all the same.
func (v *Verdicts) Allow(c Credential, job string, asked time.Time) error {
	key := verdictKey{c, strings.Clone(job)} // job may be in memory that is used again
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := v.now(); asked.After(now) {
		asked = now
	}
	if at, ok := v.refused.peek(key); ok {
		if !asked.After(at) {
			return nil
		}
		v.refused.remove(key)
	}
	held, ok := v.accepted.get(key)
	if ok && !asked.After(held.at) {
		return nil
	}
	held.at = asked
	if ok && asked.Sub(held.saved) < v.ttl/saveEvery {
		v.accepted.put(key, held)
		return nil
	}
	// Under the lock, so that no Deny comes between memory and store. Saving
	// waits for no disk.
	err := v.store.Save(c, key.job, asked)
	if err == nil {
		held.saved = asked
	}
	v.accepted.put(key, held)
	return err
}

// Deny removes the verdict of a credential for a job, after the upstream's 401,
// 403 or 404. No Check after it began finds the verdict; when it has returned nil
// none does after a crash either.
func (v *Verdicts) Deny(c Credential, job string) error {
	wait, err := v.remove(verdictKey{c, strings.Clone(job)})
	if err != nil || wait == nil {
		return err
	}
	return wait()
}

// remove takes a verdict from the memory and the store. wait is nil if the store
// had none: most of those who are refused never had one, and need no sync.
func (v *Verdicts) remove(key verdictKey) (wait func() error, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.refusals++
	v.accepted.remove(key)
	v.refused.put(key, v.now())
	if _, held, err := v.store.Load(key.credential, key.job); err == nil && !held {
		return nil, nil
	}
	return v.store.Delete(key.credential, key.job)
}

// Check returns the verdict on a credential for a job. If the store cannot be read
// it is None: the upstream knows.
func (v *Verdicts) Check(c Credential, job string) Verdict {
	key := verdictKey{c, job}
	for {
		v.mu.Lock()
		held, ok := v.accepted.get(key)
		_, refused := v.refused.peek(key)
		seen := v.refusals
		v.mu.Unlock()
		if ok {
			return v.of(held.at)
		}
		if refused {
			return None
		}
		at, ok, err := v.store.Load(c, job)
		if err != nil || !ok {
			return None
		}
		if found, ok := v.keep(key, at, seen); ok {
			return found
		}
	}
}

// keep puts what the store held into the memory and returns the verdict, unless
// another came meanwhile, which is then the one. It reports false if a refusal may
// have been missed, so that the store must be asked again.
func (v *Verdicts) keep(key verdictKey, at time.Time, seen uint64) (Verdict, bool) {
	key.job = strings.Clone(key.job)
	v.mu.Lock()
	defer v.mu.Unlock()
	if held, ok := v.accepted.get(key); ok {
		return v.of(held.at), true
	}
	if _, refused := v.refused.peek(key); refused {
		return None, true
	}
	if v.refusals-seen >= uint64(v.refused.limit) {
		return None, false
	}
	v.accepted.put(key, verdict{at: at, saved: at})
	return v.of(at), true
}

// of returns the verdict that was given at a time.
func (v *Verdicts) of(at time.Time) Verdict {
	switch age := v.now().Sub(at); {
	case age < 0: // the clock was set back: nothing is known of the age
		return None
	case age < v.ttl:
		return Fresh
	case age < v.stale:
		return Stale
	}
	return None
}

// Jobs returns the jobs for which a credential has a verdict, fresh or stale, in
// the order of their ids. Check tells which of the two.
func (v *Verdicts) Jobs(c Credential) ([]string, error) {
	type row struct {
		job string
		at  time.Time
	}
	var rows []row
	err := v.store.Each(c, func(job string, at time.Time) bool {
		rows = append(rows, row{job, at})
		return true
	})
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var jobs []string
	for _, r := range rows {
		key := verdictKey{c, r.job}
		if _, refused := v.refused.peek(key); refused {
			continue
		}
		if held, ok := v.accepted.get(key); ok {
			r.at = held.at // the store's may be older
		}
		if v.of(r.at) != None {
			jobs = append(jobs, r.job)
		}
	}
	return jobs, nil
}

// Expire removes from the store what no Check would find any more, and returns how
// many verdicts that were. It is to be called now and then.
func (v *Verdicts) Expire() (removed int, err error) {
	return v.store.Expire(v.now().Add(-max(v.ttl, v.stale)))
}
