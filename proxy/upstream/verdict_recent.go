package upstream

import "container/list"

// recent is a map of bounded size that forgets what was used longest ago. It is
// not safe for concurrent use.
type recent[K comparable, V any] struct {
	limit int
	order *list.List // of *recentEntry[K, V], most recently used in front
	byKey map[K]*list.Element
}

type recentEntry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{limit: limit, order: list.New(), byKey: make(map[K]*list.Element)}
}

// peek is get that counts as no use: with it alone, what was put first goes first.
func (r *recent[K, V]) peek(key K) (value V, ok bool) {
	if e := r.byKey[key]; e != nil {
		return e.Value.(*recentEntry[K, V]).value, true
	}
	return value, false
}

// get counts as a use.
func (r *recent[K, V]) get(key K) (value V, ok bool) {
	e := r.byKey[key]
	if e == nil {
		return value, false
	}
	r.order.MoveToFront(e)
	return e.Value.(*recentEntry[K, V]).value, true
}

func (r *recent[K, V]) put(key K, value V) {
	if e := r.byKey[key]; e != nil {
		e.Value.(*recentEntry[K, V]).value = value
		r.order.MoveToFront(e)
		return
	}
	r.byKey[key] = r.order.PushFront(&recentEntry[K, V]{key, value})
	if r.order.Len() > r.limit {
		delete(r.byKey, r.order.Remove(r.order.Back()).(*recentEntry[K, V]).key)
	}
}

func (r *recent[K, V]) remove(key K) {
	if e := r.byKey[key]; e != nil {
		r.order.Remove(e)
		delete(r.byKey, key)
	}
}
