package upstream

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"milepost/internal/checkpoint"
)

// copySink is a local copy in memory that holds the follower to its promises.
type copySink struct {
	t *testing.T

	mu          sync.Mutex
	log         []Checkpoint
	said        []string // what else it was told
	credentials []string // the first is used
	putError    error    // of the next Put
	putTakes    time.Duration
}

func (c *copySink) Position(string) (string, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.log) == 0 {
		return "", 0, nil
	}
	last := c.log[len(c.log)-1]
	return last.ID, last.Sequence, nil
}

func (c *copySink) Sequence(_, id string) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(slices.IndexFunc(c.log, func(have Checkpoint) bool { return have.ID == id }) + 1), nil
}

func (c *copySink) Put(_ string, got Checkpoint) error {
	time.Sleep(c.putTakes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.putError; err != nil {
		c.putError = nil
		return err
	}
	if at, err := checkpoint.Locate(got.JSON); err != nil || at.ID != got.ID || bytes.ContainsAny(got.JSON, "\r\n") {
		c.t.Errorf("%q is not the JSON of checkpoint %s: %v", got.JSON, got.ID, err)
	}
	if got.Sequence != uint64(len(c.log))+1 || got.Located.Sequence != got.Sequence {
		c.t.Errorf("checkpoint %s comes as %d after %d", got.ID, got.Sequence, len(c.log))
	}
	c.log = append(c.log, got)
	return nil
}

func (c *copySink) say(format string, values ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, fmt.Sprintf(format, values...))
}

func (c *copySink) Complete(_, status string) { c.say("complete %s after %d", status, c.length()) }
func (c *copySink) Live(string)               { c.say("live") }
func (c *copySink) GiveUp(string)             { c.say("give up") }

// forget drops what the sink was told.
func (c *copySink) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = nil
}

// gaveUp reports whether giving up is what the sink was told last.
func (c *copySink) gaveUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.said) > 0 && c.said[len(c.said)-1] == "give up"
}

func (c *copySink) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.log)
}

func (c *copySink) Refused(_ string, refused Credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, known := range c.credentials {
		if CredentialOf([]byte(known)) == refused {
			c.said = append(c.said, "refused "+known)
			if known != "only" { // which stays, as one's own key does
				c.credentials = slices.Delete(c.credentials, i, i+1)
			}
			return
		}
	}
	c.said = append(c.said, "refused an unknown one")
}

func (c *copySink) Credential(string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.credentials) == 0 {
		return "", false
	}
	return c.credentials[0], true
}

func (c *copySink) Diverged(string) error {
	c.say("diverged")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = nil
	return nil
}
