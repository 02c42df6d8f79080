package checkpoint

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// The vectors come from the reference implementation of the rules.
func TestActionVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/action-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name    string          `json:"name"`
		Request json.RawMessage `json:"request"`
		Action  any             `json:"action"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			r := mustParse(t, v.Request)
			action, typ := r.Action()
			var got any
			if err := json.Unmarshal(action, &got); err != nil {
				t.Fatalf("action is no JSON: %v\n%s", err, action)
			}
			if !reflect.DeepEqual(got, v.Action) {
				t.Errorf("got  %v\nwant %v", got, v.Action)
			}
			if want := v.Action.(map[string]any)["type"]; typ != want {
				t.Errorf("type %q, want %q", typ, want)
			}
		})
	}
}
