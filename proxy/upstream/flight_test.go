package upstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

const flightLimit = time.Second

// answer is what a caller of a flight got.
type answer struct {
	value  int
	shared bool
	err    error
}

// call runs Do in a goroutine of its own.
func call(fs *Flights[int], ctx context.Context, f func(context.Context) (int, error)) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		value, shared, err := fs.Do(ctx, "key", flightLimit, f)
		got <- answer{value, shared, err}
	}()
	return got
}

func unwanted(t *testing.T) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { t.Error("a second request for the same thing"); return 0, nil }
}

// returns is work that takes a time of its own, canceled or not before.
func returns(value int, err error, after time.Duration) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		select {
		case <-time.After(after):
			return value, err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func TestEqualRequestsShareOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		first := call(&fs, t.Context(), returns(7, nil, flightLimit/2))
		synctest.Wait()
		var others []<-chan answer
		for range 200 {
			others = append(others, call(&fs, t.Context(), unwanted(t)))
		}
		if got := <-first; got != (answer{7, false, nil}) {
			t.Errorf("the first got %+v", got)
		}
		for _, other := range others {
			if got := <-other; got != (answer{7, true, nil}) {
				t.Errorf("another got %+v", got)
			}
		}
		if value, shared, err := fs.Do(t.Context(), "key", flightLimit, returns(8, nil, 0)); value != 8 || shared || err != nil {
			t.Errorf("a later one got %d, %t, %v", value, shared, err)
		}
		if len(fs.latest)+len(fs.all) != 0 {
			t.Error("something was kept")
		}
	})
}

func TestOtherKeysAreOtherFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		first := call(&fs, t.Context(), returns(1, nil, time.Hour))
		synctest.Wait()
		if value, shared, err := fs.Do(t.Context(), "key of bob", flightLimit, returns(2, nil, 0)); value != 2 || shared || err != nil {
			t.Errorf("got %d, %t, %v", value, shared, err)
		}
		if got := <-first; got.value != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFailureIsSharedButNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		broken := errors.New("broken")
		first := call(&fs, t.Context(), returns(0, broken, flightLimit/2))
		synctest.Wait()
		second := call(&fs, t.Context(), unwanted(t))
		if got := <-first; !errors.Is(got.err, broken) {
			t.Errorf("the first got %+v", got)
		}
		if got := <-second; !errors.Is(got.err, broken) || !got.shared {
			t.Errorf("the second got %+v", got)
		}
		if value, shared, err := fs.Do(t.Context(), "key", flightLimit, returns(1, nil, 0)); value != 1 || shared || err != nil {
			t.Errorf("the next got %d, %t, %v", value, shared, err)
		}
	})
}

// A caller who goes does not take the work with it, not even the first.
func TestCallersCancelForThemselvesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		gone := errors.New("the client has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		first := call(&fs, ctx, returns(7, nil, flightLimit/2))
		synctest.Wait()
		brief, end := context.WithTimeout(t.Context(), flightLimit/8)
		defer end()
		second, third := call(&fs, brief, unwanted(t)), call(&fs, t.Context(), unwanted(t))
		synctest.Wait()
		cancel(gone)
		if got := <-first; !errors.Is(got.err, gone) {
			t.Errorf("the one who went got %+v", got)
		}
		if got := <-second; !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("the one with little time got %+v", got)
		}
		if got := <-third; got != (answer{7, true, nil}) {
			t.Errorf("the one who stayed got %+v", got)
		}
		if _, _, err := fs.Do(ctx, "key", flightLimit, unwanted(t)); !errors.Is(err, gone) {
			t.Errorf("one who had gone before got %v", err)
		}
	})
}

// Work that nobody waits for any more is canceled, and a new caller does not join
// it.
func TestWorkIsCanceledWhenNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var all []<-chan answer
		for range 5 {
			all = append(all, call(&fs, ctx, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				ended <- ctx.Err()
				<-time.After(time.Hour) // slow to notice
				return 1, nil
			}))
			synctest.Wait()
		}
		cancel()
		for _, one := range all {
			if got := <-one; !errors.Is(got.err, context.Canceled) {
				t.Errorf("got %+v", got)
			}
		}
		synctest.Wait()
		if err := <-ended; err == nil {
			t.Error("the work was not canceled")
		}
		if value, shared, err := fs.Do(t.Context(), "key", flightLimit, returns(2, nil, 0)); value != 2 || shared || err != nil {
			t.Errorf("the next got %d, %t, %v", value, shared, err)
		}
	})
}

// A stalled request is given up for those who come later, and those who wait for
// it get what the later one brings. Its own end changes nothing any more.
func TestStalledFlightIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		canceled := make(chan struct{})
		stalled := call(&fs, t.Context(), func(ctx context.Context) (int, error) {
			<-ctx.Done()
			close(canceled)
			return 0, ctx.Err()
		})
		<-time.After(flightLimit - 1)
		joined := call(&fs, t.Context(), unwanted(t))
		<-time.After(1)
		stalledToo := call(&fs, t.Context(), returns(0, errors.New("too late"), 2*flightLimit))
		<-time.After(flightLimit)
		third := call(&fs, t.Context(), returns(3, nil, flightLimit/2))
		synctest.Wait()
		fourth := call(&fs, t.Context(), unwanted(t))
		for name, want := range map[string]struct {
			got    <-chan answer
			shared bool
		}{"first": {stalled, false}, "joined": {joined, true}, "second": {stalledToo, false}, "third": {third, false}, "fourth": {fourth, true}} {
			if got := <-want.got; got != (answer{3, want.shared, nil}) {
				t.Errorf("%s got %+v", name, got)
			}
		}
		<-canceled
		synctest.Wait()
		if len(fs.latest)+len(fs.all) != 0 {
			t.Error("something was kept")
		}
	})
}

// A later request that fails does not fail those who wait for an earlier one.
func TestFailureOfALaterFlightLeavesTheEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs Flights[int]
		defer fs.Close()
		first := call(&fs, t.Context(), returns(1, nil, 3*flightLimit))
		<-time.After(flightLimit)
		second := call(&fs, t.Context(), returns(0, errors.New("broken"), flightLimit/2))
		if got := <-second; got.err == nil {
			t.Errorf("the second got %+v", got)
		}
		<-time.After(flightLimit)
		third := call(&fs, t.Context(), returns(3, nil, flightLimit))
		if got := <-first; got != (answer{1, false, nil}) {
			t.Errorf("the first got %+v", got)
		}
		// The end of the first does not end the joining of the third.
		fourth := call(&fs, t.Context(), unwanted(t))
		for _, got := range []answer{<-third, <-fourth} {
			if got.value != 3 || got.err != nil {
				t.Errorf("got %+v of the third", got)
			}
		}
	})
}

func TestCloseEndsAllFlights(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var fs Flights[int]
	var working sync.WaitGroup
	working.Add(1)
	first := call(&fs, t.Context(), func(ctx context.Context) (int, error) {
		working.Done()
		<-ctx.Done()
		return 0, ctx.Err()
	})
	working.Wait()
	fs.Close()
	if got := <-first; !errors.Is(got.err, ErrFlightsClosed) {
		t.Errorf("got %+v", got)
	}
	if _, _, err := fs.Do(t.Context(), "key", flightLimit, unwanted(t)); !errors.Is(err, ErrFlightsClosed) {
		t.Errorf("after the close: %v", err)
	}
	fs.Close()
}

// Many callers of few keys who come and go: everyone gets an answer to the key
// that they asked for, and nothing stays behind.
func TestFlightsUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var fs Flights[string]
	var requests, answers atomic.Int64
	var all sync.WaitGroup
	keys := []string{"a", "b", "c"}
	for w := range 16 {
		all.Go(func() {
			for n := range 300 {
				key := keys[(w+n)%len(keys)]
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					go cancel()
				}
				value, _, err := fs.Do(ctx, key, time.Duration(n%3)*time.Millisecond, func(ctx context.Context) (string, error) {
					requests.Add(1)
					return key, context.Cause(ctx)
				})
				if err == nil {
					answers.Add(1)
				}
				if err == nil && value != key || err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("%s got %q, %v", key, value, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	fs.Close()
	if len(fs.latest)+len(fs.all) != 0 || requests.Load() == 0 || answers.Load() < 16*300*6/7 {
		t.Errorf("%d left, %d requests, %d answers", len(fs.all), requests.Load(), answers.Load())
	}
}
