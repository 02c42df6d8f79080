package checkpoint

import (
	"strings"
	"testing"
)

func TestAppendBrief(t *testing.T) {
	long := `"` + strings.Repeat("x", maxBrief-1) + `"` // one more than is kept
	most := `"` + strings.Repeat("x", maxBrief-2) + `"`
	for _, c := range []struct{ name, json, want string }{
		{"nothing", `{}`, `{}`},
		{"values as they are, in their order",
			`{"stepNumber":1.10,"type":"checkpoint","id":"a","usage":{"totalTokens":12345678901234567890},"contextWindow":1E400,"toolName":"\u00e4"}`,
			`{"stepNumber":1.10,"id":"a","usage":{"totalTokens":12345678901234567890},"contextWindow":1E400,"toolName":"\u00e4"}`},
		{"no bodies", `{"messages":[{"id":"m"}],"newMessages":[null],"inputMessages":[],"toolCall":{"args":{}},"todo":1,"sequence":2}`, `{"sequence":2}`},
		{"of experts the key",
			`{"expert":{"id":"e","key":"a@1.0.0","owner":{"key":"x"}},"delegateTo":{"expert":{"key":"b","tags":[]},"toolCallId":"c"},"delegatedBy":{"toolName":"t","expert":{"key":"c"},"checkpointId":"d"}}`,
			`{"expert":{"key":"a@1.0.0"},"delegateTo":{"expert":{"key":"b"}},"delegatedBy":{"expert":{"key":"c"},"checkpointId":"d"}}`},
		{"what is short of an action",
			`{"action":{"type":"t","content":` + long + `,"path":` + most + `,"args":{"a":[1]}},"toolResult":{"result":` + long + `}}`,
			`{"action":{"type":"t","path":` + most + `,"args":{"a":[1]}},"toolResult":{}}`},
		{"what should be objects", `{"action":null,"expert":"e","toolResult":[],"delegatedBy":1,"status":"init"}`, `{"status":"init"}`},
	} {
		got, err := AppendBrief([]byte("before"), []byte(c.json))
		if err != nil || string(got) != "before"+c.want {
			t.Errorf("%s: %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
	for _, wrong := range []string{``, `[]`, `{"action":{"type":}}`, `{"id":"a"`, `null`} {
		if got, err := AppendBrief([]byte("before"), []byte(wrong)); err == nil || string(got) != "before" {
			t.Errorf("%q: %q, %v", wrong, got, err)
		}
	}
}
