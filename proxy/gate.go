package proxy

import (
	"sync"
	"sync/atomic"
)

// gate is a lock of many readers that hardly meet: each connection's handlers
// take one of its locks for reading, whoever wants them all out takes all. One
// lock would travel between the cores with every request.
type gate struct {
	locks [16]struct {
		sync.RWMutex
		_ [104]byte // no two locks share a cache line or its neighbour
	}
	turn atomic.Uint32
}

// next returns the lock of the next connection.
func (g *gate) next() *sync.RWMutex {
	return &g.locks[g.turn.Add(1)%uint32(len(g.locks))].RWMutex
}

// RLock takes one of the locks for a reader without a connection.
func (g *gate) RLock() { g.locks[0].RLock() }

// RUnlock undoes RLock.
func (g *gate) RUnlock() { g.locks[0].RUnlock() }

// Lock waits until no reader is left, and keeps new ones out.
func (g *gate) Lock() {
	for i := range g.locks {
		g.locks[i].Lock()
	}
}

// TryLock does what Lock does if there is no reader, and reports whether it
// has.
func (g *gate) TryLock() bool {
	for i := range g.locks {
		if !g.locks[i].TryLock() {
			for j := range i {
				g.locks[j].Unlock()
			}
			return false
		}
	}
	return true
}

// Unlock undoes Lock.
func (g *gate) Unlock() {
	for i := range g.locks {
		g.locks[i].Unlock()
	}
}
