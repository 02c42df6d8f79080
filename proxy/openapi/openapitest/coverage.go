package openapitest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// coverage records which status each operation was seen to answer with.
type coverage struct {
	mu   sync.Mutex
	seen map[string]bool
}

func newCoverage() *coverage { return &coverage{seen: map[string]bool{}} }

// add records a status of an operation.
func (c *coverage) add(operationID string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[pair(operationID, strconv.Itoa(status))] = true
}

// has tells whether a pair was seen.
func (c *coverage) has(p string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[p]
}

// pair names a status of an operation, as allow-lists write it.
func pair(operationID, status string) string { return operationID + " " + status }

// Missing lists, in order, what the description has and no exchange has shown:
// each pair of an operation's id and a status, as "getOpenapiYaml 200", unless
// it matches one of the allowed patterns (path.Match, so that "* 504" is that
// status of all operations). An allowed pattern that excuses nothing is listed
// too, so that the list shrinks as tests come.
func (v *Validator) Missing(allowed ...string) []string {
	var missing []string
	used := map[string]bool{}
	for _, p := range v.document.pairs() {
		if v.coverage.has(p) {
			continue
		}
		excused := false
		for _, pattern := range allowed {
			if ok, _ := path.Match(pattern, p); ok {
				used[pattern], excused = true, true
			}
		}
		if !excused {
			missing = append(missing, p+" is documented but was never seen")
		}
	}
	for _, pattern := range allowed {
		if !used[pattern] {
			missing = append(missing, fmt.Sprintf("the allowed pattern %q excuses nothing", pattern))
		}
	}
	slices.Sort(missing)
	return missing
}

// Unused fails t for each line of Missing. It belongs at the end of the tests
// that share a validator.
func (v *Validator) Unused(t testing.TB, allowed ...string) {
	t.Helper()
	for _, line := range v.Missing(allowed...) {
		t.Error(line)
	}
}

// pairs lists each operation with each status that it documents.
func (d *document) pairs() []string {
	var found []string
	paths, _ := d.at("/paths")
	for template := range d.children(paths) {
		for _, method := range methods {
			op, ok := d.findOperation(method, template)
			if !ok {
				continue
			}
			responses, _ := d.child(op.node, "responses")
			for status := range responses.object {
				found = append(found, pair(op.id, status))
			}
		}
	}
	slices.Sort(found)
	return found
}
