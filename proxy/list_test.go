package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"milepost/cache"
	"milepost/internal/checkpoint"
)

// A filter selects the same whether the server reads checkpoints with their
// messages for it or without.
func TestFilterOnStoredCheckpoints(t *testing.T) {
	a := start(t, nil)
	var messages []any
	for i := range 12 {
		messages = append(messages, map[string]any{
			"id": fmt.Sprint("m", i), "type": "userMessage",
			"contents": []any{map[string]any{"id": "c", "type": "textPart", "text": strings.Repeat(fmt.Sprint(i, " "), 100)}},
		})
		a.post(jobID, body(func(c, s map[string]any) {
			c["stepNumber"], c["messages"] = i+1, messages
			s["newMessages"] = messages[i:]
			c["metadata"] = map[string]any{"tags": []any{"all", fmt.Sprint("n", i)}, "messages": []any{i}}
			if i%3 == 0 {
				c["status"] = "init"
			}
		}))
	}
	r := a.do("GET", collection(jobID)+"?take=100", keyA, nil)
	var all struct {
		Data struct{ Checkpoints []json.RawMessage }
	}
	if err := json.Unmarshal(r.body, &all); err != nil || len(all.Data.Checkpoints) != 12 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	for _, expression := range []string{
		`.status == "init"`, `.status != "init"`, `.stepNumber >= 5`, `.usage.inputTokens > 0`, `.expert.key != ""`,
		`.metadata.tags[] == "n7"`, `.metadata.messages[] < 3`, `.action.type == "error"`, `.nothing != 1`, `.nothing == 1`,
		`.messages[].id == "m9"`, `.messages != 0`, `.newMessages[].id == "m3"`, `.newMessages[].contents[].text != ""`,
		`.inputMessages[].id == "m3"`, `.inputMessages != 1`,
	} {
		f, err := checkpoint.ParseFilter(expression)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, c := range all.Data.Checkpoints {
			if f.Match(c, checkpoint.Summary{}) {
				want = append(want, string(c))
			}
		}
		r := a.do("GET", collection(jobID)+"?take=100&filter="+url.QueryEscape(expression), keyA, nil)
		wantBody := fmt.Sprintf(`{"data":{"checkpoints":[%s]},"meta":{"total":%d,"take":100,"skip":0}}`, strings.Join(want, ","), len(want))
		if string(r.body) != wantBody {
			t.Errorf("%s: %d with %d bytes, want the %d that match the whole checkpoints", expression, r.StatusCode, len(r.body), len(want))
		}
	}
}

// A page that is being sent when its job is deleted breaks off, also when another
// organization begins a job under the same id meanwhile.
func TestPageOfAJobThatBeganAnew(t *testing.T) {
	for _, anew := range []bool{false, true} {
		t.Run(fmt.Sprintf("anew %t", anew), func(t *testing.T) {
			a := start(t, nil)
			for range 2 {
				a.post(jobID, sized(pagePiece))
			}
			p := page{server: a.server, job: jobID, query: listQuery{pageQuery: pageQuery{take: 10}}, total: 2}
			if err := p.seek(2); err != nil {
				t.Fatal(err)
			}
			r, err := p.reader(cache.Identity, 0, nil, func() {})
			if err != nil {
				t.Fatal(err)
			}
			if n, err := r.Read(make([]byte, 1<<20)); n < pagePiece || err != nil {
				t.Fatalf("the first checkpoint: %d bytes, %v", n, err)
			}
			if err := a.store.Delete(jobID); err != nil {
				t.Fatal(err)
			}
			if anew {
				for range 2 {
					if r := a.do("POST", collection(jobID), keyB, body(nil)); r.StatusCode != 200 {
						t.Fatalf("%d %s", r.StatusCode, r.body)
					}
				}
			}
			if rest, err := io.ReadAll(r); err == nil {
				t.Errorf("went on with %s", rest)
			}
		})
	}
}

// A page takes a checkpoint from the hot tier only if it is that of its own job's
// organization, and whole.
func TestPageTakesItsOwnFromTheHotTier(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(nil))
	p := page{server: a.server, job: jobID, organization: orgA, query: listQuery{pageQuery: pageQuery{take: 10}}, total: 1}
	if err := p.seek(1); err != nil {
		t.Fatal(err)
	}
	e := p.entries[0]
	json := p.hot(e)
	if json == nil {
		t.Fatalf("%s is not in the hot tier", id)
	}
	if want := a.do("GET", collection(jobID), keyA, nil).body; !bytes.Contains(want, append([]byte(`"checkpoints":[`), json...)) {
		t.Errorf("the hot tier has %s, the list %s", json, want)
	}
	other := p
	other.organization = "another"
	if got := other.hot(e); got != nil {
		t.Errorf("a page of another organization takes %s", got)
	}
	longer := e
	longer.Size++
	if got := p.hot(longer); got != nil {
		t.Errorf("a checkpoint of another size is taken: %s", got)
	}
}
