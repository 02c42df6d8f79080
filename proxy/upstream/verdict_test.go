package upstream

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// memoryVerdicts is a VerdictStore in memory that counts, and fails on command.
type memoryVerdicts struct {
	mu     sync.Mutex
	rows   map[verdictKey]time.Time
	saves  int
	waits  int
	fail   error
	onLoad func()
}

func newMemoryVerdicts() *memoryVerdicts { return &memoryVerdicts{rows: map[verdictKey]time.Time{}} }

func (m *memoryVerdicts) Load(c [32]byte, job string) (time.Time, bool, error) {
	m.mu.Lock()
	at, ok := m.rows[verdictKey{c, job}]
	err, onLoad := m.fail, m.onLoad
	m.mu.Unlock()
	if onLoad != nil {
		onLoad()
	}
	return at, ok, err
}

func (m *memoryVerdicts) Save(c [32]byte, job string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.rows[verdictKey{c, job}] = at.Round(0) // as a file has it: without the monotonic clock
	m.saves++
	return nil
}

func (m *memoryVerdicts) Delete(c [32]byte, job string) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	delete(m.rows, verdictKey{c, job})
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.waits++
		return nil
	}, nil
}

func (m *memoryVerdicts) Each(c [32]byte, visit func(string, time.Time) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(m.rows), func(a, b verdictKey) int { return strings.Compare(a.job, b.job) }) {
		if k.credential == c && !visit(k.job, m.rows[k]) {
			break
		}
	}
	return m.fail
}

func (m *memoryVerdicts) Expire(before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.rows)
	maps.DeleteFunc(m.rows, func(_ verdictKey, at time.Time) bool { return at.Before(before) })
	return n - len(m.rows), m.fail
}

var (
	alice, bob  = CredentialOf([]byte("Bearer alice")), CredentialOf([]byte("Bearer bob"))
	verdictTime = time.Unix(1_800_000_000, 0)
)

// clock is a time that tests move.
type clock struct{ time.Time }

func (c *clock) now() time.Time          { return c.Time }
func (c *clock) advance(d time.Duration) { c.Time = c.Add(d) }

func newTestVerdicts(store VerdictStore) (*Verdicts, *clock) {
	c := &clock{verdictTime}
	return NewVerdicts(store, time.Minute, 10*time.Minute, c.now), c
}

func wantVerdict(t *testing.T, v *Verdicts, c Credential, job string, want Verdict) {
	t.Helper()
	if got := v.Check(c, job); got != want {
		t.Errorf("verdict %d, want %d", got, want)
	}
}

func allow(t *testing.T, v *Verdicts, c Credential, job string, asked time.Time) {
	t.Helper()
	if err := v.Allow(c, job, asked); err != nil {
		t.Fatal(err)
	}
}

func deny(t *testing.T, v *Verdicts, c Credential, job string) {
	t.Helper()
	if err := v.Deny(c, job); err != nil {
		t.Fatal(err)
	}
}

func TestVerdictAges(t *testing.T) {
	for _, tt := range []struct {
		age  time.Duration
		want Verdict
	}{
		{0, Fresh}, {time.Minute - 1, Fresh}, {time.Minute, Stale}, {10*time.Minute - 1, Stale}, {10 * time.Minute, None}, {-time.Second, None},
	} {
		store := newMemoryVerdicts()
		v, clock := newTestVerdicts(store)
		allow(t, v, alice, "job", clock.now())
		clock.advance(tt.age)
		wantVerdict(t, v, alice, "job", tt.want)
		// After a restart, from the store alone.
		restarted := NewVerdicts(store, v.ttl, v.stale, clock.now)
		wantVerdict(t, restarted, alice, "job", tt.want)
		wantVerdict(t, restarted, alice, "job", tt.want)
	}
}

func TestVerdictIsOfOneCredentialAndOneJob(t *testing.T) {
	v, clock := newTestVerdicts(newMemoryVerdicts())
	allow(t, v, alice, "job", clock.now())
	wantVerdict(t, v, alice, "job", Fresh)
	wantVerdict(t, v, alice, "other", None)
	wantVerdict(t, v, bob, "job", None)
	wantVerdict(t, v, Credential{}, "job", None)
	allow(t, v, Credential{}, "public", clock.now())
	wantVerdict(t, v, Credential{}, "public", Fresh)
	wantVerdict(t, v, alice, "public", None)
	deny(t, v, bob, "job")
	wantVerdict(t, v, alice, "job", Fresh)
}

// A refusal takes effect at once and over a restart, and stands until the upstream
// accepts in an answer to a later request.
func TestRefusalRemovesTheVerdict(t *testing.T) {
	store := newMemoryVerdicts()
	v, clock := newTestVerdicts(store)
	asked := clock.now()
	allow(t, v, alice, "job", asked)
	clock.advance(time.Second)
	deny(t, v, alice, "job")
	if store.waits != 1 {
		t.Errorf("%d waits for the disk, want 1", store.waits)
	}
	wantVerdict(t, v, alice, "job", None)
	wantVerdict(t, NewVerdicts(store, v.ttl, v.stale, clock.now), alice, "job", None)

	// An answer that was slower than the refusal.
	clock.advance(time.Second)
	allow(t, v, alice, "job", asked)
	wantVerdict(t, v, alice, "job", None)
	allow(t, v, alice, "job", clock.now())
	wantVerdict(t, v, alice, "job", Fresh)
}

// One who never had a verdict costs no sync, and drives out none who has.
func TestStrangersCostLittle(t *testing.T) {
	store := newMemoryVerdicts()
	v, clock := newTestVerdicts(store)
	v.refused.limit, v.accepted.limit = 4, 4
	allow(t, v, alice, "job", clock.now())
	for n := range 100 {
		c := CredentialOf(fmt.Append(nil, n))
		wantVerdict(t, v, c, "job", None)
		deny(t, v, c, "job")
	}
	if store.waits != 0 {
		t.Errorf("%d syncs", store.waits)
	}
	if v.refused.order.Len() != 4 || len(v.refused.byKey) != 4 || v.accepted.order.Len() != 1 {
		t.Errorf("%d refusals and %d verdicts in memory", len(v.refused.byKey), v.accepted.order.Len())
	}
	store.fail = errors.New("the store is not to be asked")
	wantVerdict(t, v, alice, "job", Fresh)
}

// Time counts from when the upstream was asked, and no answer makes it younger
// than that or older than a later one did.
func TestVerdictAgesFromWhenTheUpstreamWasAsked(t *testing.T) {
	v, clock := newTestVerdicts(newMemoryVerdicts())
	early := clock.now()
	clock.advance(30 * time.Second)
	allow(t, v, alice, "job", early)
	clock.advance(30 * time.Second)
	wantVerdict(t, v, alice, "job", Stale)
	allow(t, v, alice, "job", clock.now())
	allow(t, v, alice, "job", early)
	wantVerdict(t, v, alice, "job", Fresh)
	allow(t, v, bob, "job", clock.now().Add(time.Hour))
	clock.advance(time.Minute)
	wantVerdict(t, v, bob, "job", Stale)
}

// What falls out of the memory is found in the store, least recently used first.
func TestVerdictMemoryIsBounded(t *testing.T) {
	store := newMemoryVerdicts()
	v, clock := newTestVerdicts(store)
	v.accepted.limit = 3
	for n := range 10 {
		allow(t, v, alice, fmt.Sprint(n), clock.now())
		if n >= 1 {
			wantVerdict(t, v, alice, "0", Fresh) // stays in use
		}
	}
	if v.accepted.order.Len() != 3 || len(v.accepted.byKey) != 3 {
		t.Errorf("%d in memory, want 3", v.accepted.order.Len())
	}
	loads := 0
	store.onLoad = func() { loads++ }
	for _, tt := range []struct {
		job   string
		loads int
	}{{"0", 0}, {"9", 0}, {"8", 0}, {"1", 1}, {"1", 1}, {"8", 1}, {"0", 2}} {
		wantVerdict(t, v, alice, tt.job, Fresh)
		if loads != tt.loads {
			t.Errorf("job %s: %d looks into the store, want %d", tt.job, loads, tt.loads)
		}
	}
}

// A verdict given again and again is saved now and then.
func TestVerdictIsNotSavedEachTime(t *testing.T) {
	store := newMemoryVerdicts()
	v, clock := newTestVerdicts(store)
	for range 60 {
		allow(t, v, alice, "job", clock.now())
		clock.advance(time.Second)
	}
	if store.saves != 4 {
		t.Errorf("%d saves in a minute, want 4", store.saves)
	}
	wantVerdict(t, v, alice, "job", Fresh)
}

// A refusal while a Check looks into the store is not undone by what it finds.
func TestRefusalDuringALook(t *testing.T) {
	for _, refusedLimit := range []int{maxRefusals, 1} {
		store := newMemoryVerdicts()
		v, clock := newTestVerdicts(store)
		allow(t, v, alice, "job", clock.now())
		v = NewVerdicts(store, v.ttl, v.stale, clock.now)
		v.refused.limit = refusedLimit
		once := true
		store.onLoad = func() {
			if once {
				once = false
				deny(t, v, alice, "job")
				deny(t, v, bob, "job") // and with room for one, that of alice is forgotten
			}
		}
		wantVerdict(t, v, alice, "job", None)
		wantVerdict(t, v, alice, "job", None)
	}
}

func TestVerdictsOfAFailingStore(t *testing.T) {
	store := newMemoryVerdicts()
	v, clock := newTestVerdicts(store)
	store.fail = errors.New("broken")
	if err := v.Allow(alice, "job", clock.now()); !errors.Is(err, store.fail) {
		t.Errorf("allow: %v", err)
	}
	wantVerdict(t, v, alice, "job", Fresh)
	wantVerdict(t, v, bob, "job", None)
	clock.advance(time.Second)
	if err := v.Deny(alice, "job"); !errors.Is(err, store.fail) {
		t.Errorf("deny: %v", err)
	}
	wantVerdict(t, v, alice, "job", None)
	if _, err := v.Jobs(alice); !errors.Is(err, store.fail) {
		t.Errorf("jobs: %v", err)
	}
}

func TestJobsOfACredential(t *testing.T) {
	store := newMemoryVerdicts()
	v, clock := newTestVerdicts(store)
	allow(t, v, alice, "expired", clock.now())
	clock.advance(5 * time.Minute)
	allow(t, v, alice, "stale", clock.now())
	clock.advance(5 * time.Minute)
	for _, job := range []string{"b", "a", "denied"} {
		allow(t, v, alice, job, clock.now())
	}
	allow(t, v, bob, "c", clock.now())
	deny(t, v, alice, "denied")
	for _, v := range []*Verdicts{v, NewVerdicts(store, v.ttl, v.stale, clock.now)} {
		if got, err := v.Jobs(alice); err != nil || !slices.Equal(got, []string{"a", "b", "stale"}) {
			t.Errorf("jobs %q, %v", got, err)
		}
	}
	if n, err := v.Expire(); err != nil || n != 0 {
		t.Errorf("%d expired at the very end of their time, %v", n, err)
	}
	clock.advance(time.Millisecond)
	if n, err := v.Expire(); err != nil || n != 1 {
		t.Errorf("%d expired, %v; want 1", n, err)
	}
}

// Random histories with restarts: a verdict is never better than the last answers
// of the upstream say.
func TestVerdictsAgreeWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := newMemoryVerdicts()
		clock := &clock{verdictTime}
		open := func() *Verdicts {
			v := NewVerdicts(store, time.Minute, 10*time.Minute, clock.now)
			v.accepted.limit = 2
			return v
		}
		v := open()
		accepted := map[verdictKey]time.Time{} // not refused since
		key := func() verdictKey {
			return verdictKey{
				rapid.SampledFrom([]Credential{alice, bob, {}}).Draw(t, "credential"),
				rapid.SampledFrom([]string{"a", "b"}).Draw(t, "job"),
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"allow": func(*rapid.T) {
				k := key()
				if err := v.Allow(k.credential, k.job, clock.now()); err != nil {
					t.Fatal(err)
				}
				accepted[k] = clock.now()
			},
			"deny": func(*rapid.T) {
				k := key()
				if err := v.Deny(k.credential, k.job); err != nil {
					t.Fatal(err)
				}
				delete(accepted, k)
				clock.advance(1)
			},
			"time":    func(*rapid.T) { clock.advance(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second) },
			"restart": func(*rapid.T) { v = open() },
			"expire": func(*rapid.T) {
				if _, err := v.Expire(); err != nil {
					t.Fatal(err)
				}
			},
			"check": func(*rapid.T) {
				k := key()
				got := v.Check(k.credential, k.job)
				at, ok := accepted[k]
				best, worst := None, None
				if ok {
					// What is saved may be older by a part of the ttl.
					best, worst = v.of(at), v.of(at.Add(-v.ttl/saveEvery))
				}
				if got > best || got < worst {
					t.Fatalf("verdict %d, want %d to %d", got, worst, best)
				}
			},
		})
	})
}

func TestVerdictsAreSafeForConcurrentUse(t *testing.T) {
	store := newMemoryVerdicts()
	v := NewVerdicts(store, time.Minute, 10*time.Minute, time.Now)
	v.accepted.limit, v.refused.limit = 4, 4
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for n := range 200 {
				job := fmt.Sprint((n * (w + 1)) % 10)
				if err := v.Allow(alice, job, time.Now()); err != nil {
					t.Error(err)
				}
				v.Check(alice, job)
				if n%3 == 0 {
					if err := v.Deny(alice, job); err != nil {
						t.Error(err)
					}
				}
				if _, err := v.Jobs(alice); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for n := range 10 {
		if err := v.Deny(alice, fmt.Sprint(n)); err != nil {
			t.Error(err)
		}
		wantVerdict(t, v, alice, fmt.Sprint(n), None)
	}
	if len(store.rows) != 0 {
		t.Errorf("%d left in the store", len(store.rows))
	}
}

// BenchmarkVerdictCheck is what a read of a kept body pays for it.
func BenchmarkVerdictCheck(b *testing.B) {
	v := NewVerdicts(newMemoryVerdicts(), time.Minute, 10*time.Minute, time.Now)
	job := strings.Repeat("a", 24)
	if err := v.Allow(alice, job, time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v.Check(alice, job) == None {
			b.Fatal("no verdict")
		}
	}
}
