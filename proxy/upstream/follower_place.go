package upstream

import (
	"context"

	"milepost/internal/checkpoint"
)

// message takes a checkpoint from the stream to its place.
func (f *follower) message(ctx context.Context, e Event) error {
	c, err := located(e.Data)
	if err != nil {
		// If it was one, it leaves a hole that the list closes.
		f.options.Logger.Warn("an upstream's message is no checkpoint", "job", f.job, "id", e.ID, "error", err)
		return nil
	}
	n := c.Located.Sequence
	f.counting = f.counting || n == 0
	if !f.counting && n > f.sequence+1 {
		// A write that was passed on may have closed the hole.
		if err := f.locate(); err != nil {
			return err
		}
		if n > f.sequence+1 {
			// It places all that the list has, perhaps this checkpoint too.
			if err := f.catchUp(ctx, n-1); err != nil {
				return err
			}
		}
	}
	switch {
	case f.counting:
		return f.counted(ctx, c)
	case n == f.sequence+1:
		return f.put(c)
	}
	return f.repeated(ctx, c)
}

// repeated takes a checkpoint whose place the copy has filled.
func (f *follower) repeated(ctx context.Context, c Checkpoint) error {
	if have, err := f.sink.Sequence(f.job, c.ID); err != nil || have != 0 {
		return err
	}
	n := c.Located.Sequence
	items, _, err := f.page(ctx, n-1, 1)
	if err != nil {
		return err
	}
	if len(items) == 0 || items[0].ID != c.ID {
		// It is elsewhere in the list, so the number is no place in the job.
		f.counting = true
		return f.counted(ctx, c)
	}
	if err := f.sink.Diverged(f.job); err != nil {
		return err
	}
	return errDiverged
}

// counted takes a checkpoint whose place no number tells. What the copy has is a
// repeat. Else it comes next, once the list has given what the upstream may have
// passed over since the stream before.
func (f *follower) counted(ctx context.Context, c Checkpoint) error {
	have, err := f.sink.Sequence(f.job, c.ID)
	if err != nil || have != 0 {
		return err
	}
	if !f.compared {
		if err := f.catchUp(ctx, 0); err != nil {
			return err
		}
		if have, err := f.sink.Sequence(f.job, c.ID); err != nil || have != 0 {
			return err
		}
	}
	return f.put(c)
}

// put gives the sink the next checkpoint.
func (f *follower) put(c Checkpoint) error {
	c.Sequence = f.sequence + 1
	c.Located.Sequence = c.Sequence
	if err := f.sink.Put(f.job, c); err != nil {
		return err
	}
	f.lastID, f.sequence, f.progress = c.ID, c.Sequence, true
	f.statusID, f.status = c.ID, c.Located.JobStatus()
	return nil
}

// located reads a checkpoint, without a place yet.
func located(json []byte) (Checkpoint, error) {
	at, err := checkpoint.Locate(json)
	if err != nil {
		return Checkpoint{}, err
	}
	line := checkpoint.OneLine(json)
	if len(line) != len(json) {
		if at, err = checkpoint.Locate(line); err != nil {
			return Checkpoint{}, err
		}
	}
	return Checkpoint{ID: at.ID, JSON: line, Located: at}, nil
}
