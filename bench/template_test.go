package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestTemplateBodies(t *testing.T) {
	for _, size := range []int{minTemplate(), minTemplate() + 1, writeSize, 64 << 10} {
		tm, err := newTemplate(size, 7)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for range 200 {
			r := tm.next()
			if len(r.body) != size || !json.Valid(r.body) {
				t.Fatalf("a body of %d bytes, not %d, or no JSON: %s", len(r.body), size, excerpt(r.body))
			}
			if got := actionOf(r.body); got != r.action {
				t.Fatalf("the rules give the action %s, expected %s", got, r.action)
			}
			if !bytes.Contains(r.messages, r.newMessages[1:len(r.newMessages)-1]) {
				t.Fatal("the messages do not end with the new ones")
			}
			var messages []json.RawMessage
			if err := json.Unmarshal(r.messages, &messages); err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if seen[string(m)] {
					t.Fatalf("the message %s was sent before", m)
				}
				seen[string(m)] = true
			}
		}
	}
	if _, err := newTemplate(minTemplate()-1, 1); err == nil {
		t.Error("a body is smaller than the smallest")
	}
}
