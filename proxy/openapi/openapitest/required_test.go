package openapitest

import (
	"slices"
	"strings"
	"testing"
)

// optional names the properties that the API document does not require, by the
// action they belong to, or "" for those outside of actions. The reference
// client's schema says which are optional in an action.
var optional = map[string][]string{
	"":              {"skillName", "toolName", "toolCall", "toolResult", "contextWindow", "contextWindowUsage", "finishedAt", "version", "retryCount"},
	"readImageFile": {"mimeType", "size"},
	"readPdfFile":   {"mimeType", "size"},
	"readTextFile":  {"from", "to"},
	"editTextFile":  {"newText", "oldText"},
	"getFileInfo":   {"extension", "mimeType"},
	"error":         {"error"},
}

func TestRequiredPropertiesOfActions(t *testing.T) {
	d := open(t)
	for name, action := range recordedActions(t) {
		may := optional[action["type"].(string)]
		checkRequired(t, d, "/components/schemas/Action", name, action, action, may)
	}
}

// checkRequired takes away each property of object, which is a part of whole,
// and looks whether the schema then refuses whole exactly if it is required.
func checkRequired(t *testing.T, d *document, schema, name string, whole any, object map[string]any, may []string) {
	t.Helper()
	for _, property := range sortedKeys(object) {
		taken := object[property]
		delete(object, property)
		err := d.validate(schema, whole)
		object[property] = taken
		if required := !slices.Contains(may, property); required != (err != nil) {
			t.Errorf("%s without %s: required %t, error %v", name, property, required, err)
		}
	}
}

func TestRequiredPropertiesOfBodies(t *testing.T) {
	d := open(t)
	create, created := goodCreate(t), goodList(t)
	for _, c := range []struct {
		schema string
		body   []byte
		path   []string
		may    []string
	}{
		{"CheckpointCreate", create.reqBody, nil, nil},
		{"CheckpointCreate", create.reqBody, []string{"checkpoint"}, optional[""]},
		{"CheckpointCreate", create.reqBody, []string{"checkpoint", "expert"}, nil},
		{"CheckpointCreate", create.reqBody, []string{"checkpoint", "usage"}, nil},
		{"CheckpointCreate", create.reqBody, []string{"step"}, optional[""]},
		{"CheckpointCreate", create.reqBody, []string{"step", "toolCall"}, nil},
		{"CheckpointCreate", create.reqBody, []string{"step", "toolResult"}, nil},
		{"CheckpointCreate", create.reqBody, []string{"step", "usage"}, nil},
		{"CheckpointEnvelope", create.respBody, nil, nil},
		{"CheckpointEnvelope", create.respBody, []string{"data"}, nil},
		{"CheckpointEnvelope", create.respBody, []string{"data", "checkpoint"}, optional[""]},
		{"CheckpointEnvelope", create.respBody, []string{"data", "checkpoint", "expert"}, optional[""]},
		{"CheckpointEnvelope", create.respBody, []string{"data", "checkpoint", "expert", "owner"}, []string{"name"}},
		{"CheckpointEnvelope", create.respBody, []string{"data", "checkpoint", "toolCall"}, nil},
		{"CheckpointEnvelope", create.respBody, []string{"data", "checkpoint", "toolResult"}, nil},
		{"CheckpointEnvelope", create.respBody, []string{"data", "checkpoint", "usage"}, nil},
		{"CheckpointPage", created.respBody, nil, nil},
		{"CheckpointPage", created.respBody, []string{"data"}, nil},
		{"CheckpointPage", created.respBody, []string{"meta"}, nil},
	} {
		whole := value(t, c.body)
		object := whole.(map[string]any)
		for _, key := range c.path {
			object = object[key].(map[string]any)
		}
		name := pointer(c.schema, c.path...)
		checkRequired(t, d, "/components/schemas/"+c.schema, name, whole, object, c.may)
	}
}

// The delegation trace has what the examples lack: delegateTo and delegatedBy.
func TestRequiredPropertiesOfDelegations(t *testing.T) {
	d := open(t)
	seen := map[string]bool{}
	for _, line := range traceLines(t, "delegation") {
		whole := value(t, line)
		checkpoint := whole.(map[string]any)["checkpoint"].(map[string]any)
		for _, key := range []string{"delegateTo", "delegatedBy"} {
			object, ok := checkpoint[key].(map[string]any)
			if !ok || seen[key] {
				continue
			}
			seen[key] = true
			checkRequired(t, d, "/components/schemas/CheckpointCreate", key, whole, object, nil)
			checkRequired(t, d, "/components/schemas/CheckpointCreate", key, whole, object["expert"].(map[string]any), nil)
		}
	}
	if len(seen) != 2 {
		t.Errorf("the trace has only %v", seen)
	}
}

// A delegation is returned with digests in place of the experts and without the
// query.
func TestReturnedDelegations(t *testing.T) {
	d := open(t)
	for _, key := range []string{"delegateTo", "delegatedBy"} {
		whole := value(t, goodCreate(t).respBody)
		checkpoint := whole.(map[string]any)["data"].(map[string]any)["checkpoint"].(map[string]any)
		delegation := map[string]any{"expert": checkpoint["expert"], "toolCallId": "toolu_1", "toolName": "delegate"}
		if key == "delegatedBy" {
			delegation["checkpointId"] = checkpoint["id"]
		}
		checkpoint[key] = delegation
		if err := d.validate("/components/schemas/CheckpointEnvelope", whole); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		checkRequired(t, d, "/components/schemas/CheckpointEnvelope", key, whole, delegation, nil)
		delegation["query"] = "Write it"
		if d.validate("/components/schemas/CheckpointEnvelope", whole) == nil {
			t.Errorf("%s with a query was not refused", key)
		}
	}
}

func TestBoundsOfTexts(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		schema, text string
		good         bool
	}{
		{"Id", "test12345678901234567890", true},
		{"Id", "test1234567890123456789", false},
		{"Id", "test123456789012345678901", false},
		{"Id", "Test12345678901234567890", false},
		{"ExpertKey", "summarizer", true},
		{"ExpertKey", "@acme/writer@latest", true},
		{"ExpertKey", "a@1.2.3-rc.1+build.5", true},
		{"ExpertKey", "a@01.2.3", true}, // no version, but a tag
		{"ExpertKey", "", false},
		{"ExpertKey", "a@", false},
		{"ExpertKey", "@acme@1.0.0", false},
		{"ExpertKey", "A", false},
		{"ExpertKey", "a\n", false},
		{"ExpertKey", long(511), true},
		{"ExpertKey", long(512), false},
		{"ExpertName", "@acme/writer", true},
		{"ExpertName", "a.b", false},
		{"ExpertName", long(255), true},
		{"ExpertName", long(256), false},
		{"ExpertVersion", "1.2.3", true},
		{"ExpertVersion", "1.2", false},
		{"ExpertVersion", "01.2.3", false},
		{"ExpertVersion", "1.0.0-" + long(249), true},
		{"ExpertVersion", "1.0.0-" + long(250), false},
		{"CallId", long(255), true},
		{"CallId", long(256), false},
		{"SkillName", "", true},
		{"SkillName", long(256), false},
		{"ToolName", "", true},
		{"ToolName", long(256), false},
		{"Timestamp", "2026-01-02T03:04:05.678Z", true},
		{"Timestamp", "+275760-09-13T00:00:00.000Z", true},
		{"Timestamp", "2026-01-02T03:04:05Z", false},
		{"Timestamp", "2026-01-02T03:04:05.678+00:00", false},
	} {
		err := d.validate("/components/schemas/"+c.schema, c.text)
		if (err == nil) != c.good {
			t.Errorf("%s %.40q: error %v, want good %t", c.schema, c.text, err, c.good)
		}
	}
}

// long is a text of n bytes that every pattern of a name takes.
func long(n int) string { return strings.Repeat("a", n) }
