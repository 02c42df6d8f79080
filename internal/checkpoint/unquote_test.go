package checkpoint

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestUnquote(t *testing.T) {
	for literal, want := range map[string]string{
		`""`:                   "",
		`"plain é"`:            "plain é",
		`"\"\\\/\b\f\n\r\t"`:   "\"\\/\b\f\n\r\t",
		`"a\u00e9\u0000z"`:     "aé\x00z",
		`"\ud83d\ude00"`:       "😀",
		`"\uD83D\uDE00x"`:      "😀x",
		`"\ud83d"`:             `\ud83d`,
		`"\ude00\ud83d"`:       `\ude00\ud83d`,
		`"\ud83d\ud83d\ude00"`: `\ud83d😀`,
		`"\ud83d\u0041"`:       `\ud83dA`,
		`"\ud83d\n"`:           `\ud83d` + "\n",
	} {
		if got := string(unquote([]byte(literal))); got != want {
			t.Errorf("%s: got %q, want %q", literal, got, want)
		}
	}
}

func FuzzNestedText(f *testing.F) {
	for _, text := range []string{
		`{\"path\":\"a\"}`, `{\"path\":\"\\ud800\"}`, `{\"path\":\"\ud800\"}`, `{\"path\":\"\\\ud800\"}`, `\u007b\"path\":\"\"}`,
		`{\"error\":1}`, `{\"path\":\n\"x\"}`, ``, `{`, `{\"path\":\"\u0000\"}`, `{\"path\":\"\\\\\"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		literal := []byte(`"` + text + `"`)
		if _, err := inspect(literal); err != nil || !json.Valid(literal) {
			return
		}
		var decoded string
		if err := json.Unmarshal(literal, &decoded); err != nil {
			t.Fatal(err)
		}
		if n, want := utf16Len(literal), len(utf16.Encode([]rune(decoded))); n != want {
			t.Errorf("%s has length %d, want %d", literal, n, want)
		}
		got := string(unquote(literal))
		if !strings.Contains(decoded, "\ufffd") && got != decoded {
			t.Errorf("%s: got %q, want %q", literal, got, decoded)
		}
		for _, tool := range []string{"deleteFile", "todo", "getFileInfo", "listDirectory"} {
			r, err := ParseRequest(toolBody(t, tool, "{}", `[{"type":"textPart","text":`+string(literal)+`}]`))
			if err != nil {
				t.Fatal(err)
			}
			action, typ := r.Action()
			var v struct {
				Type string  `json:"type"`
				Path *string `json:"path"`
			}
			if err := json.Unmarshal(action, &v); err != nil || v.Type != typ {
				t.Fatalf("%s: %v", action, err)
			}
			if strings.ContainsAny(string(action), "\n\r") {
				t.Errorf("more than one line: %s", action)
			}
			if tool != "deleteFile" || strings.Contains(decoded, "\ufffd") {
				continue
			}
			// Where there is no surrogate, encoding/json says what it must be.
			var members map[string]json.RawMessage
			var path *string
			valid := json.Unmarshal([]byte(decoded), &members) == nil && members != nil
			_, failed := members["error"]
			if valid && !failed && json.Unmarshal(members["path"], &path) == nil && path != nil {
				if v.Path == nil || *v.Path != *path {
					t.Errorf("%s: got %s, want path %q", literal, action, *path)
				}
			} else if typ != "error" {
				t.Errorf("%s: got %s, want an error", literal, action)
			}
		}
	})
}
