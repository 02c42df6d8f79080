package checkpoint

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestEncodeWritesEveryPropertyInOrder(t *testing.T) {
	const digest = `{"type":"expertDigest","id":"aaaaaaaaaaaaaaaaaaaaaaaa"}`
	const want = `{"type":"checkpoint","id":"cccccccccccccccccccccccc",` +
		`"action":{"type":"generalTool","skillName":"web","toolName":"get","args":{"b":1.0,"a":"\u00e9"},"result":[{"type":"textPart","text":"ok"}]},` +
		`"runId":"rrrrrrrrrrrrrrrrrrrrrrrr","expertJobId":"jjjjjjjjjjjjjjjjjjjjjjjj","sequence":7,` +
		`"stepNumber":1.10,"status":"proceeding","expert":` + digest + `,"skillName":"web","toolName":"get",` +
		`"delegateTo":{"expert":` + digest + `,"toolCallId":"c1","toolName":"b"},` +
		`"delegatedBy":{"expert":` + digest + `,"toolCallId":"c0","toolName":"a","checkpointId":"test12345678901234567890"},` +
		`"inputMessages":[null],"messages":[{"n":12345678901234567890},"two"],"newMessages":[[1E400]],` +
		`"toolCall":{"id":"t1","skillName":"web","toolName":"get","args":{"b":1.0,"a":"\u00e9"}},` +
		`"toolResult":{"id":"t1","skillName":"web","toolName":"get","result":[{"type":"textPart","text":"ok"}]},` +
		`"usage":{"inputTokens":1,"outputTokens":2,"reasoningTokens":3,"totalTokens":4,"cachedInputTokens":5},` +
		`"contextWindow":200000,"contextWindowUsage":0.5,` +
		`"startedAt":"2026-01-02T03:04:05.678Z","finishedAt":"2026-01-02T03:04:05.679Z",` +
		`"createdAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:04:05.678Z"}`
	d := mustParse(t, []byte(fullBody)).Encode(benchAssigned())
	if string(d.JSON) != want {
		t.Errorf("got  %s\nwant %s", d.JSON, want)
	}
	if d.ActionType != "generalTool" {
		t.Errorf("action type %q", d.ActionType)
	}
	var parts []string
	for _, p := range d.Parts {
		parts = append(parts, string(d.JSON[p.Start:p.End]))
	}
	if want := []string{"null", `{"n":12345678901234567890}`, `"two"`, "[1E400]"}; !reflect.DeepEqual(parts, want) {
		t.Errorf("parts %q, want %q", parts, want)
	}

	// White space anywhere changes nothing.
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, []byte(fullBody), "\r", "\t "); err != nil {
		t.Fatal(err)
	}
	if got := mustParse(t, spaced.Bytes()).Encode(benchAssigned()); !reflect.DeepEqual(got, d) {
		t.Errorf("with white space: %s", got.JSON)
	}
}

func TestEncodeLeavesOutWhatDidNotCome(t *testing.T) {
	const want = `{"type":"checkpoint","id":"cccccccccccccccccccccccc",` +
		`"action":{"type":"error","error":"No new messages found"},` +
		`"runId":"rrrrrrrrrrrrrrrrrrrrrrrr","expertJobId":"jjjjjjjjjjjjjjjjjjjjjjjj","sequence":7,` +
		`"stepNumber":1,"status":"init","expert":{"type":"expertDigest","id":"aaaaaaaaaaaaaaaaaaaaaaaa"},` +
		`"messages":[],"newMessages":[],` +
		`"usage":{"inputTokens":1,"outputTokens":2,"reasoningTokens":3,"totalTokens":4,"cachedInputTokens":5},` +
		`"startedAt":"1970-01-01T00:00:00.000Z",` +
		`"createdAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:04:05.678Z"}`
	if d := mustParse(t, []byte(smallBody)).Encode(benchAssigned()); string(d.JSON) != want || len(d.Parts) != 0 {
		t.Errorf("got  %s\nwant %s", d.JSON, want)
	}
}

func TestEncodeUnknownProperties(t *testing.T) {
	const end = `"updatedAt":"2026-01-02T03:04:05.678Z"`
	for _, test := range []struct{ name, body, old, new, want string }{
		{"of checkpoint are kept in order", smallBody, `{"checkpoint":{`, `{"checkpoint":{"b":{"x" : 1.0},"a":[ "\u00e9" ],`, `,"b":{"x":1.0},"a":["\u00e9"]}`},
		{"of checkpoint may come twice", smallBody, `{"checkpoint":{`, `{"checkpoint":{"b":1,"b":2,`, `,"b":1,"b":2}`},
		{"that the response has give way", smallBody, `{"checkpoint":{`, `{"checkpoint":{"id":"x","r\u0075nId":1,"toolCall":{},"sequence":9,"createdAt":0,"type":0,"action":{},"b":1,`, `,"b":1}`},
		{"in another case do not", smallBody, `{"checkpoint":{`, `{"checkpoint":{"ID":1,`, `,"ID":1}`},
		{"of step are dropped", smallBody, `"step":{`, `"step":{"b":1,`, `}`},
		{"of usage are dropped", smallBody, `"usage":{`, `"usage":{"b":1,`, `}`},
		{"of the body are dropped", smallBody, `{"checkpoint":{`, `{"b":1,"checkpoint":{`, `}`},
		{"of an expert are dropped", smallBody, `"expert":{`, `"expert":{"b":1,`, `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := mustParse(t, edit(t, test.body, test.old, test.new)).Encode(benchAssigned())
			if want := end + test.want; !strings.HasSuffix(string(d.JSON), want) {
				t.Errorf("%s\ndoes not end in %s", d.JSON, want)
			}
			if !json.Valid(d.JSON) {
				t.Error("no JSON")
			}
		})
	}
}

// Every trace comes back whole: its lists and tools with the same bytes.
func TestEncodeTraces(t *testing.T) {
	for _, name := range traces {
		var meta struct {
			PerLine []struct {
				ActionType string `json:"actionType"`
			} `json:"perLine"`
		}
		readJSON(t, "testdata/traces/"+name+".meta.json", &meta)
		for i, body := range traceLines(t, name) {
			d := mustParse(t, body).Encode(benchAssigned())
			if d.ActionType != meta.PerLine[i].ActionType {
				t.Errorf("%s line %d: action %s, want %s", name, i+1, d.ActionType, meta.PerLine[i].ActionType)
			}
			checkDocument(t, body, d)
		}
	}
}

// checkDocument checks a document against the body it was made from, by other
// means than those under test.
func checkDocument(t *testing.T, body []byte, d Document) {
	t.Helper()
	var in struct {
		Checkpoint, Step map[string]json.RawMessage
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(body, &in); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(d.JSON, &out); err != nil {
		t.Fatalf("%v in %s", err, d.JSON)
	}
	if bytes.ContainsAny(d.JSON, "\n\r") {
		t.Errorf("more than one line: %s", d.JSON)
	}
	var compact bytes.Buffer
	if json.Compact(&compact, d.JSON); !bytes.Equal(compact.Bytes(), d.JSON) {
		t.Errorf("white space in %s", d.JSON)
	}
	for name, value := range map[string]json.RawMessage{
		"messages": in.Checkpoint["messages"], "stepNumber": in.Checkpoint["stepNumber"], "status": in.Checkpoint["status"],
		"inputMessages": in.Step["inputMessages"], "newMessages": in.Step["newMessages"],
	} {
		compact.Reset()
		if value != nil {
			json.Compact(&compact, value)
		}
		if !bytes.Equal(out[name], compact.Bytes()) {
			t.Errorf("%s\ngot  %s\nwant %s", name, out[name], compact.Bytes())
		}
	}
	var parts []json.RawMessage
	for _, name := range []string{"inputMessages", "messages", "newMessages"} {
		var list []json.RawMessage
		if out[name] != nil {
			if err := json.Unmarshal(out[name], &list); err != nil {
				t.Fatal(err)
			}
		}
		parts = append(parts, list...)
	}
	if len(parts) != len(d.Parts) {
		t.Fatalf("%d parts, want %d", len(d.Parts), len(parts))
	}
	for i, p := range d.Parts {
		if !bytes.Equal(d.JSON[p.Start:p.End], parts[i]) {
			t.Errorf("part %d is %s, want %s", i, d.JSON[p.Start:p.End], parts[i])
		}
	}
	var action struct{ Type string }
	if err := json.Unmarshal(out["action"], &action); err != nil || action.Type != d.ActionType {
		t.Errorf("action %s of type %q: %v", out["action"], d.ActionType, err)
	}
}

// A document takes little more memory than its bytes, whatever of the request is
// not written into it: it is kept.
func TestDocumentHoldsLittleMore(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, body := range map[string][]byte{
		"query":   edit(t, fullBody, `"query":"do"`, `"query":"`+long+`"`),
		"version": edit(t, fullBody, `"version":"1.0.0"`, `"version":"`+long+`"`),
		"name":    edit(t, fullBody, `"name":"boss"`, `"name":"`+long+`"`),
		"small":   []byte(smallBody),
	} {
		d := mustParse(t, body).Encode(benchAssigned())
		if len(d.JSON) > 1<<16 || cap(d.Enveloped) > len(d.Enveloped)*3/2 {
			t.Errorf("%s: %d bytes in %d", name, len(d.Enveloped), cap(d.Enveloped))
		}
	}
}
