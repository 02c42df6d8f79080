package origin

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// experts answers which digest an expert has. In mode catalog only those of
// the catalog exist; in mode open the first sight of a key registers it.
type experts struct {
	store   *store.Store
	catalog *checkpoint.Catalog

	// registering is held from looking a key up in vain until its registration
	// is applied, so that two jobs do not register the same key twice. It is
	// taken after the job's lock.
	registering sync.Mutex

	mu     sync.RWMutex
	known  map[expertKey]known
	owners map[string]checkpoint.Owner
}

// known is a digest, with its JSON if that is the same for every request.
type known struct {
	digest checkpoint.Digest
	json   []byte
}

type expertKey struct{ organization, key string }

// maxKnown bounds the digests kept in memory; beyond it they are read from the
// store again.
const maxKnown = 1 << 14

func newExperts(s *store.Store, catalog *checkpoint.Catalog) experts {
	return experts{
		store: s, catalog: catalog,
		known: make(map[expertKey]known), owners: make(map[string]checkpoint.Owner),
	}
}

// resolved are the digests of one request, and what has to be registered along
// with it.
type resolved struct {
	expert, delegateTo, delegatedBy []byte

	registrations []store.Registration

	from     *experts
	locked   bool
	owner    checkpoint.Owner
	newKnown map[expertKey]known
}

// resolve finds the digests of the experts that a request names. The caller
// calls keep once the registrations are applied, and done in any case.
func (e *experts) resolve(c *Creation, now time.Time) (*resolved, error) {
	r := &resolved{from: e}
	for _, ref := range c.Request.Experts() {
		if !ref.Valid() {
			return nil, &ExpertError{Key: ref.Key}
		}
	}
	var err error
	if r.expert, err = e.digest(r, c, c.Request.Expert, now); err == nil && c.Request.DelegateTo != nil {
		r.delegateTo, err = e.digest(r, c, c.Request.DelegateTo.Expert, now)
	}
	if err == nil && c.Request.DelegatedBy != nil {
		r.delegatedBy, err = e.digest(r, c, c.Request.DelegatedBy.Expert, now)
	}
	if err != nil {
		r.done()
		return nil, err
	}
	return r, nil
}

func (e *experts) digest(r *resolved, c *Creation, ref checkpoint.ExpertRef, now time.Time) ([]byte, error) {
	if e.catalog != nil {
		digest, ok := e.catalog.Lookup(ref.Key)
		if !ok {
			return nil, &ExpertError{Key: ref.Key}
		}
		return digest, nil
	}
	key := expertKey{c.Organization, ref.Key}
	k, ok := r.newKnown[key]
	if !ok {
		e.mu.RLock()
		k, ok = e.known[key]
		e.mu.RUnlock()
	}
	if !ok {
		d, err := e.lookup(r, key, ref, now)
		if err != nil {
			return nil, err
		}
		if k.digest = d; !d.Refresh(ref, now) {
			k.json = d.AppendJSON(nil)
		}
		r.newKnown[key] = k
	}
	if k.json != nil {
		return k.json, nil
	}
	// What follows the latest request (version and updatedAt of a key without a
	// version) is of this request and need not be stored.
	k.digest.Refresh(ref, now)
	return k.digest.AppendJSON(make([]byte, 0, digestLen)), nil
}

// digestLen is about what a digest's JSON takes in bytes.
const digestLen = 512

// lookup reads a digest from the store, or registers it.
func (e *experts) lookup(r *resolved, key expertKey, ref checkpoint.ExpertRef, now time.Time) (d checkpoint.Digest, err error) {
	if !r.locked {
		e.registering.Lock()
		r.locked = true
		r.newKnown = make(map[expertKey]known)
	}
	// Somebody else may have registered it in the meantime.
	v, err := e.store.Expert(key.organization, key.key)
	if err != nil {
		return d, err
	}
	if v != nil {
		if err := checkpoint.Unmarshal(v, &d); err != nil {
			return d, fmt.Errorf("digest of expert %s: %w", key.key, store.ErrCorrupt)
		}
		return d, nil
	}
	owner, err := e.owner(r, key.organization, now)
	if err != nil {
		return d, err
	}
	d = checkpoint.NewDigest(ref, checkpoint.NewID(), owner, now)
	v, err = checkpoint.Marshal(&d)
	if err != nil {
		return d, err
	}
	r.registrations = append(r.registrations, store.Registration{
		Organization: key.organization, ExpertKey: key.key, Value: v,
	})
	return d, nil
}

// owner returns the organization as the owner of its experts. It counts as
// created when it first registers one.
func (e *experts) owner(r *resolved, organization string, now time.Time) (checkpoint.Owner, error) {
	if r.owner.OrganizationID != "" {
		return r.owner, nil
	}
	e.mu.RLock()
	owner, ok := e.owners[organization]
	e.mu.RUnlock()
	if ok {
		return owner, nil
	}
	v, err := e.store.Organization(organization)
	if err != nil {
		return owner, err
	}
	if v != nil {
		if err := checkpoint.Unmarshal(v, &owner); err != nil {
			return owner, fmt.Errorf("organization %s: %w", organization, store.ErrCorrupt)
		}
		r.owner = owner
		return owner, nil
	}
	owner = checkpoint.Owner{
		OrganizationID: organization,
		CreatedAt:      string(checkpoint.AppendTime(nil, now.UnixMilli())),
	}
	if v, err = checkpoint.Marshal(&owner); err != nil {
		return owner, err
	}
	r.registrations = append(r.registrations, store.Registration{Organization: organization, Value: v})
	r.owner = owner
	return owner, nil
}

// keep remembers what was found or registered.
func (r *resolved) keep() {
	if len(r.newKnown) == 0 {
		return
	}
	e := r.from
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.known) >= maxKnown {
		clear(e.known)
		clear(e.owners)
	}
	maps.Copy(e.known, r.newKnown)
	if r.owner.OrganizationID != "" {
		e.owners[r.owner.OrganizationID] = r.owner
	}
}

// done lets others register again.
func (r *resolved) done() {
	if r.locked {
		r.from.registering.Unlock()
		r.locked = false
	}
}
