package proxy

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestDiffGolden(t *testing.T) {
	a := start(t, nil)
	post := func(messages string, change func(c, s map[string]any)) string {
		_, id := a.post(jobID, body(func(c, s map[string]any) {
			c["messages"] = json.RawMessage(messages)
			if change != nil {
				change(c, s)
			}
		}))
		return id
	}
	first := post(`[{"n":1.10},{"big":12345678901234567890},"\u00e4"]`, func(c, _ map[string]any) { c["note"] = "gone" })
	second := post(`[{"n":1.10},"\u00e4",{"n":1.1},{"n":1.10}]`, func(c, s map[string]any) {
		c["stepNumber"], c["todo"] = 2, json.RawMessage(`[1E400]`)
		s["newMessages"] = []any{"x"}
	})
	path := jobsPathOwn + "/" + jobID + "/diff?"
	text := a.script(keyA,
		path+"from="+first+"&to="+second,
		path+"from="+second+"&to="+first,
		path+"from="+first+"&to="+first,
	) + a.script(keyA, path+"from=X&to="+first)
	// The two may have been made in the same millisecond.
	text = regexp.MustCompile(`\s*\{"?[^{}]*"name":"(createdAt|updatedAt)"[^{}]*\},`).ReplaceAllString(text, "")
	golden(t, "diff.golden", text)
}

// Large checkpoints are compared, and the answer is compressed if it may be.
func TestDiffOfLargeCheckpoints(t *testing.T) {
	a := start(t, nil)
	var ids []string
	messages := []any{}
	for n := range 3 {
		messages = append(messages, strings.Repeat(string(rune('a'+n)), 300<<10))
		_, id := a.post(jobID, body(func(c, _ map[string]any) { c["messages"] = messages }))
		ids = append(ids, id)
	}
	path := jobsPathOwn + "/" + jobID + "/diff?from=" + ids[0] + "&to=" + ids[2]
	plain := a.do("GET", path, keyA, nil)
	var v struct {
		Data struct {
			Diff struct {
				Messages struct {
					Added []struct {
						Index   int
						Message string
					}
				}
			}
		}
	}
	if err := json.Unmarshal(plain.body, &v); err != nil {
		t.Fatal(err)
	}
	added := v.Data.Diff.Messages.Added
	if len(added) != 2 || added[1].Index != 2 || added[1].Message != messages[2] {
		t.Errorf("%d messages were added", len(added))
	}
	coded := a.do("GET", path, keyA, nil, "Accept-Encoding", "gzip")
	if coded.Header.Get("Content-Encoding") != "gzip" || len(coded.body) > 64<<10 {
		t.Errorf("%q, %d bytes", coded.Header.Get("Content-Encoding"), len(coded.body))
	}
	// What is held for an answer is given back when it has been sent.
	l := a.server.limits.Load()
	release := l.listBytes.acquire(l.listBytes.size, l.queueTimeout)
	if release == nil {
		t.Fatal("bytes are still held")
	}
	defer release()
	a.server.Reload(a.config, testKeys()) // the new limits have them all
}

func TestDiffWithTooMuch(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(func(c, _ map[string]any) {
		c["messages"] = json.RawMessage("[" + strings.Repeat("1,", 1<<16) + "1]")
	}))
	r := a.do("GET", jobsPathOwn+"/"+jobID+"/diff?from="+id+"&to="+id, keyA, nil)
	if r.StatusCode != 422 || !strings.Contains(string(r.body), "65536 messages") {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}
