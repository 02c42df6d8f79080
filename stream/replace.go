package stream

import "slices"

// Replace puts a checkpoint in the place of one that was published under the same
// sequence, for those who have not been sent that one: it is what history has
// there now. Who has been sent the other is sent nothing.
func (h *Hub) Replace(organization, job string, c Checkpoint) {
	if h.jobs.Load() == 0 {
		return
	}
	for _, b := range h.of(organization, job) {
		b.replace(&c)
	}
}

func (b *broadcaster) replace(c *Checkpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.pending[c.Sequence]; old != nil {
		b.pending[c.Sequence] = old.replaced(c)
	}
	if v := b.view.Load(); v != nil {
		if i := len(v.frames) - len(v.recent(c.Sequence)); i < len(v.frames) {
			// In memory of its own: the views before share theirs.
			next := *v
			next.frames = slices.Clone(v.frames)
			next.frames[i] = v.frames[i].replaced(c)
			next.bytes += next.frames[i].cost() - v.frames[i].cost()
			if c.Sequence == v.tail {
				next.id = c.ID
			}
			b.view.Store(&next)
		}
	}
	b.hub.history.outdate(b, c.Sequence)
}

// replaced returns the frame of another checkpoint in the place of f.
func (f *frame) replaced(c *Checkpoint) *frame {
	next := newFrame(c, f.at)
	next.ended = f.ended
	return next
}

// outdate gives up what was read of a job with a sequence in it. A read that is
// under way may still bring what was there before.
func (y *history) outdate(b *broadcaster, sequence uint64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, c := range slices.Clone(b.blocks) {
		if c.from(sequence) != nil {
			y.drop(c)
		}
	}
}
