package checkpoint

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The vectors come from the reference implementation of the rules.
func TestActionVectors(t *testing.T) {
	var vectors []struct {
		Name    string          `json:"name"`
		Request json.RawMessage `json:"request"`
		Action  map[string]any  `json:"action"`
	}
	readJSON(t, "testdata/action-vectors.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			action, typ := mustParse(t, v.Request).Action()
			var got map[string]any
			if err := json.Unmarshal(action, &got); err != nil {
				t.Fatalf("action is no JSON: %v\n%s", err, action)
			}
			if !reflect.DeepEqual(got, v.Action) {
				t.Errorf("got  %v\nwant %v", got, v.Action)
			}
			if typ != v.Action["type"] {
				t.Errorf("type %q, want %q", typ, v.Action["type"])
			}
		})
	}
}

// baseBody is the body of a call of a base tool whose result is text.
func baseBody(t testing.TB, tool, args, text string) []byte {
	t.Helper()
	literal, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return toolBody(t, tool, args, fmt.Sprintf(`[{"type":"textPart","text":%s}]`, literal))
}

// toolBody is the body of a call of a base tool with any result.
func toolBody(t testing.TB, tool, args, result string) []byte {
	t.Helper()
	return edit(t, smallBody, `"startedAt":0`, fmt.Sprintf(`"startedAt":0,`+
		`"toolCall":{"id":"1","skillName":"@perstack/base","toolName":%q,"args":%s},`+
		`"toolResult":{"id":"1","skillName":"@perstack/base","toolName":%[1]q,"result":%[3]s}`, tool, args, result))
}

func checkAction(t *testing.T, body []byte, want string) {
	t.Helper()
	if got, _ := mustParse(t, body).Action(); string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

const (
	invalid    = `{"type":"error","error":"Invalid JSON in tool result"}`
	unexpected = `{"type":"error","error":"Unexpected tool result"}`
)

func TestActionOfBaseToolResults(t *testing.T) {
	const info = `{"path":"p","exists":true,"absolutePath":"/p","name":"p","directory":"/","extension":null,"mimeType":null,` +
		`"size":1,"sizeFormatted":"1 B","created":"c","modified":"m","accessed":"a","permissions":{"readable":true,"writable":false,"executable":false}}`
	for _, test := range []struct{ name, tool, args, text, want string }{
		{"literals are kept", "readTextFile", "{}", `{"content":"\u00e9\/","path":"é","from":1.0,"to":2e1}`, `{"type":"readTextFile","path":"é","content":"\u00e9\/","from":1.0,"to":2e1}`},
		{"white space goes", "todo", "{}", "{\n\"todos\" : [ { \"id\" : 0 ,\r\n\"title\":\" \", \"completed\":true } ] }\n", `{"type":"todo","newTodos":[],"completedTodos":[],"todos":[{"id":0,"title":" ","completed":true}]}`},
		{"unlisted fields go, at every depth", "todo", "{}", `{"x":[[]],"todos":[{"y":{},"completed":false,"id":1,"title":""}]}`, `{"type":"todo","newTodos":[],"completedTodos":[],"todos":[{"id":1,"title":"","completed":false}]}`},
		{"the last of two counts", "deleteFile", "{}", `{"path":1,"path":"b"}`, `{"type":"deleteFile","path":"b"}`},
		{"an escaped name is the name", "deleteFile", "{}", `{"p\u0061th":"b"}`, `{"type":"deleteFile","path":"b"}`},
		{"an optional null is left out", "getFileInfo", "{}", info, strings.Replace(strings.Replace(info, `"extension":null,"mimeType":null,`, "", 1), "{", `{"type":"getFileInfo",`, 1)},
		{"an optional of the wrong type is left out", "readTextFile", "{}", `{"path":"p","content":"c","from":"1","to":1E400}`, `{"type":"readTextFile","path":"p","content":"c"}`},
		{"a required null", "deleteFile", "{}", `{"path":null}`, unexpected},
		{"a required missing", "moveFile", "{}", `{"source":"a"}`, unexpected},
		{"a required of the wrong type", "deleteFile", "{}", `{"path":["p"]}`, unexpected},
		{"a number that is not finite", "testUrl", "{}", `{"results":[{"url":"","status":1e999,"title":"","description":""}]}`, unexpected},
		{"an entry of another type", "listDirectory", "{}", `{"path":"p","items":[{"name":"","path":"","type":"link","size":0,"modified":""}]}`, unexpected},
		{"an element that is no object", "testUrl", "{}", `{"results":[1]}`, unexpected},
		{"a list that is none", "testUrl", "{}", `{"results":{}}`, unexpected},
		{"an empty list", "testUrl", "{}", `{"results":[]}`, `{"type":"testUrl","results":[]}`},
		{"permissions missing one", "getFileInfo", "{}", strings.Replace(info, `,"executable":false`, "", 1), unexpected},
		{"todos missing", "todo", "{}", `{}`, unexpected},
		{"todo arguments null", "todo", `{"newTodos":null,"completedTodos":null}`, `{"todos":[]}`, `{"type":"todo","newTodos":[],"completedTodos":[],"todos":[]}`},
		{"todo arguments of the wrong type", "todo", `{"newTodos":[1]}`, `{"todos":[]}`, unexpected},
		{"todo arguments no list", "todo", `{"completedTodos":1}`, `{"todos":[]}`, unexpected},
		{"an error that is no string is left out", "deleteFile", "{}", `{"error":{"code":1},"path":"p"}`, `{"type":"error"}`},
		{"a null error is one too", "deleteFile", "{}", `{"error":null,"path":"p"}`, `{"type":"error"}`},
		{"JSON that is a string", "deleteFile", "{}", `"x"`, invalid},
		{"JSON that is an array", "deleteFile", "{}", `[]`, invalid},
		{"JSON that is null", "deleteFile", "{}", `null`, invalid},
		{"no text", "deleteFile", "{}", ``, invalid},
		{"trailing data", "deleteFile", "{}", `{"path":"p"} {`, invalid},
		{"invalid behind the fields", "deleteFile", "{}", `{"path":"p","x":tru}`, invalid},
		{"nested without end", "deleteFile", "{}", `{"path":"p","x":` + strings.Repeat("[", 100_000), invalid},
		{"no JSON white space around", "deleteFile", "{}", "\u00a0{}", invalid},
		{"prototype names are names", "hasOwnProperty", "{}", `{}`, `{"type":"generalTool","skillName":"@perstack/base","toolName":"hasOwnProperty","args":{},"result":[{"type":"textPart","text":"{}"}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkAction(t, baseBody(t, test.tool, test.args, test.text), test.want)
		})
	}
}

func TestActionThink(t *testing.T) {
	const none = `{"type":"error","error":"No thought found"}`
	for args, want := range map[string]string{
		`{"thought":"\u00e9"}`: `{"type":"think","thought":"\u00e9"}`,
		`{"thought":"\ud800"}`: `{"type":"think","thought":"\ud800"}`,
		`{"thought":" "}`:      `{"type":"think","thought":" "}`,
		`{"thought":null}`:     none,
		`{"thought":false}`:    none,
		`{"thought":-0.0e5}`:   none,
		`{"thought":7}`:        unexpected,
		`{"thought":true}`:     unexpected,
		`{"thought":[]}`:       unexpected,
	} {
		checkAction(t, baseBody(t, "think", args, ""), want)
	}
}

// What is no message has no text part, and is no reason to panic.
func TestActionOfMalformedParts(t *testing.T) {
	const noResult = `{"type":"error","error":"No result found"}`
	for result, want := range map[string]string{
		`[null,1,"x",[],{}]`:                                                  noResult,
		`[{"type":"textPart"}]`:                                               noResult,
		`[{"type":"textPart","text":{"path":"p"}}]`:                           noResult,
		`[{"type":1,"text":"{}"}]`:                                            noResult,
		`[1,{"type":"text\u0050art","text":"null"}]`:                          invalid,
		`[{"type":"x","type":"textPart","text":1,"text":"{\"path\":\"p\"}"}]`: `{"type":"deleteFile","path":"p"}`,
	} {
		checkAction(t, toolBody(t, "deleteFile", "{}", result), want)
	}
	for _, message := range []string{`null`, `1`, `"x"`, `[]`, `{}`, `{"contents":{}}`, `{"contents":[[]]}`} {
		body := edit(t, smallBody, `"newMessages":[]`, `"newMessages":[`+message+`]`)
		checkAction(t, body, `{"type":"error","error":"No text part found in retry message"}`)
		body = edit(t, string(baseBody(t, "attemptCompletion", "{}", "")), `"messages":[]`, `"messages":[`+message+`]`)
		checkAction(t, body, `{"type":"error","error":"No text found"}`)
	}
}

func TestActionRetry(t *testing.T) {
	const failed = `{"type":"error","error":"Failed to parse retry message"}`
	for text, want := range map[string]string{
		`{"error":"E","message":"M","x":1}`: `{"type":"retry","error":"E","message":"M"}`,
		"\n{ \"message\" : \"\\u00e9\" }\t": `{"type":"retry","error":"Unknown error","message":"\u00e9"}`,
		`{"error":"","message":null}`:       `{"type":"retry","error":"","message":""}`,
		`{"error":null}`:                    `{"type":"retry","error":"Unknown error","message":""}`,
		`{"error":"a","error":"b"}`:         `{"type":"retry","error":"b","message":""}`,
		`{"error":1}`:                       unexpected,
		`{"message":[]}`:                    unexpected,
		`7`:                                 `{"type":"retry","error":"Unknown error","message":""}`,
		`"s"`:                               `{"type":"retry","error":"Unknown error","message":""}`,
		` null `:                            failed,
		`nul`:                               failed,
		`{"error":"E"}x`:                    failed,
		``:                                  failed,
	} {
		literal, _ := json.Marshal(text)
		body := edit(t, smallBody, `"newMessages":[]`, `"newMessages":[{"contents":[{"type":"textPart","text":`+string(literal)+`}]}]`)
		checkAction(t, body, want)
	}
}

// A lone surrogate has no UTF-8, yet it must come through the text around it.
func TestActionKeepsLoneSurrogatesOfNestedTexts(t *testing.T) {
	for text, want := range map[string]string{
		`{\"path\":\"a\ud800b\"}`:      `{"type":"deleteFile","path":"a\ud800b"}`,
		`{\"path\":\"a\\ud800b\"}`:     `{"type":"deleteFile","path":"a\ud800b"}`,
		`{\"path\":\"\udc00\ud83d\"}`:  `{"type":"deleteFile","path":"\udc00\ud83d"}`,
		`{\"path\":\"\ud83d\ude00\"}`:  `{"type":"deleteFile","path":"😀"}`,
		`{\"path\":\"\\\\\ud800\"}`:    `{"type":"deleteFile","path":"\\\ud800"}`,
		`{\"path\":\"\\\ud800\"}`:      invalid, // a backslash before a surrogate is no escape
		`\ud800{\"path\":\"\"}`:        invalid,
		`{\"path\":\"\ud800\\udc00\"}`: `{"type":"deleteFile","path":"\ud800\udc00"}`,
		`{\"p\u0061th\":\"\u00e9\"}`:   `{"type":"deleteFile","path":"é"}`,
	} {
		checkAction(t, toolBody(t, "deleteFile", "{}", `[{"type":"textPart","text":"`+text+`"}]`), want)
	}
}
