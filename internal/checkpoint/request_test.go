package checkpoint

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseRequestGivesTheFields(t *testing.T) {
	r := mustParse(t, []byte(fullBody))
	type fields struct {
		Status      Status
		Expert      ExpertRef
		DelegateTo  Delegation
		DelegatedBy Delegator
		StepUsage   Usage
		SkillName   string
		ToolName    string
	}
	got := fields{r.Status, r.Expert, *r.DelegateTo, *r.DelegatedBy, r.StepUsage, r.SkillName, r.ToolName}
	want := fields{
		Status:      StatusProceeding,
		Expert:      ExpertRef{"@acme/a@1.0.0", "@acme/a", "1.0.0"},
		DelegateTo:  Delegation{ExpertRef{"b@latest", "b", "0.1.0"}, "c1", "b", "do"},
		DelegatedBy: Delegator{ExpertRef{"boss", "boss", "x"}, "c0", "a", "test12345678901234567890"},
		StepUsage:   Usage{6, 7, 8, 9, 10},
		SkillName:   "web",
		ToolName:    "get",
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, want := len(r.Experts()), 3; got != want {
		t.Errorf("%d experts, want %d", got, want)
	}
	if got, want := r.Line(), (Line{"test12345678901234567890", "c0", "@acme/a@1.0.0"}); got != want {
		t.Errorf("line %+v, want %+v", got, want)
	}

	small := mustParse(t, []byte(smallBody))
	if small.DelegateTo != nil || small.DelegatedBy != nil || small.Line() != (Line{}) || len(small.Experts()) != 1 {
		t.Errorf("absent properties are there: %+v", small)
	}
}

func TestParseRequestFaults(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, test := range []struct {
		name, old, new string
		want           Fault
	}{
		{"a required number is missing", `"inputTokens":1,`, ``, Fault{Path: "checkpoint.usage.inputTokens", Expected: "number", Received: "undefined"}},
		{"a required object is missing", `"step":`, `"Step":`, Fault{Path: "step", Expected: "object", Received: "undefined"}},
		{"a property in another case is unknown", `"messages"`, `"Messages"`, Fault{Path: "checkpoint.messages", Expected: "array", Received: "undefined"}},
		{"an optional property is null", `"contextWindow":200000`, `"contextWindow":null`, Fault{Path: "checkpoint.contextWindow", Expected: "number", Received: "null"}},
		{"an optional object is null", `"toolResult":{"id":"t1","skillName":"web","toolName":"get","result":[{"type":"textPart","text":"ok"}]}`, `"toolResult":null`, Fault{Path: "step.toolResult", Expected: "object", Received: "null"}},
		{"a number is a string", `"stepNumber":1.10`, `"stepNumber":"1"`, Fault{Path: "checkpoint.stepNumber", Expected: "number", Received: "string"}},
		{"a known number is not finite", `"stepNumber":1.10`, `"stepNumber":1E400`, Fault{Path: "checkpoint.stepNumber", Expected: "number", Received: "Infinity"}},
		{"step.stepNumber is checked too", `"step":{"stepNumber":1`, `"step":{"stepNumber":true`, Fault{Path: "step.stepNumber", Expected: "number", Received: "boolean"}},
		{"a status is unknown", `"proceeding"`, `"Proceeding"`, Fault{Path: "checkpoint.status", Expected: statusNames, Received: "Proceeding"}},
		{"messages is an object", `"messages":[{"n":12345678901234567890},"two"]`, `"messages":{}`, Fault{Path: "checkpoint.messages", Expected: "array", Received: "object"}},
		{"args is an array", `"args":{"b":1.0,"a":"\u00e9"}`, `"args":[]`, Fault{Path: "step.toolCall.args", Expected: "object", Received: "array"}},
		{"result is an object", `"result":[{"type":"textPart","text":"ok"}]`, `"result":{}`, Fault{Path: "step.toolResult.result", Expected: "array", Received: "object"}},
		{"delegatedBy.checkpointId is no id", `test12345678901234567890`, `TEST12345678901234567890`, Fault{Path: "checkpoint.delegatedBy.checkpointId", Expected: "id", Received: "TEST12345678901234567890"}},
		{"delegateTo.query is missing", `,"query":"do"`, ``, Fault{Path: "checkpoint.delegateTo.query", Expected: "string", Received: "undefined"}},
		{"a call id is too long", `"toolCall":{"id":"t1"`, `"toolCall":{"id":"` + long + `"`, Fault{Path: "step.toolCall.id", Expected: "string", Received: "string of 256 characters"}},
		{"a skill name is too long", `"skillName":"web"`, `"skillName":"` + long + `"`, Fault{Path: "step.toolCall.skillName", Expected: "string", Received: "string of 256 characters"}},
		{"toolCallId of delegateTo is too long", `"toolCallId":"c1"`, `"toolCallId":"` + long + `"`, Fault{Path: "checkpoint.delegateTo.toolCallId", Expected: "string", Received: "string of 256 characters"}},
		{"a time is beyond what a Date holds", `"startedAt":1767323045678`, `"startedAt":8640000000000001`, Fault{Path: "step.startedAt", Expected: "number", Received: "8640000000000001"}},
		{"a time is beyond the other way", `"finishedAt":1767323045679.9`, `"finishedAt":-8.7e15`, Fault{Path: "step.finishedAt", Expected: "number", Received: "-8.7e15"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseRequest(edit(t, fullBody, test.old, test.new))
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want faults", err)
			}
			for i := range faults {
				if faults[i].Message == "" {
					t.Errorf("no message: %+v", faults[i])
				}
				faults[i].Message = ""
			}
			if want := (Faults{test.want}); !reflect.DeepEqual(faults, want) {
				t.Errorf("got  %+v\nwant %+v", faults, want)
			}
		})
	}
}

func TestParseRequestTakes(t *testing.T) {
	for _, test := range []struct{ name, old, new string }{
		{"empty skill and tool names", `"skillName":"web","toolName":"get","args"`, `"skillName":"","toolName":"","args"`},
		{"255 characters beyond the BMP counted as JavaScript does", `"toolName":"get","args"`, `"toolName":"` + strings.Repeat("😀", 127) + `é","args"`},
		{"255 escaped characters", `"toolName":"get","args"`, `"toolName":"` + strings.Repeat(`\u0041`, 255) + `","args"`},
		{"a long query", `"query":"do"`, `"query":"` + strings.Repeat("q", 5000) + `"`},
		{"any expert key", `"key":"@acme/a@1.0.0"`, `"key":"NOT A KEY"`},
		{"any unknown property", `"step":{`, `"step":{"x":{"y":[null]},"Usage":1,`},
		{"an unknown property twice", `{"checkpoint":{`, `{"z":1,"z":2,"checkpoint":{"z":1,"z":2,`},
		{"an escaped lone surrogate", `"two"`, `"\ud800"`},
		{"an escaped name", `"status"`, `"st\u0061tus"`},
		{"the latest time", `"startedAt":1767323045678`, `"startedAt":8.64e15`},
		{"a number of the longest length", `12345678901234567890`, strings.Repeat("7", MaxNumberLen)},
		{"the deepest nesting", `"two"`, strings.Repeat("[", MaxDepth-3) + strings.Repeat("]", MaxDepth-3)},
		{"white space", `"two"`, " \r\n\t\"t w o\" "},
	} {
		t.Run(test.name, func(t *testing.T) {
			mustParse(t, edit(t, fullBody, test.old, test.new))
		})
	}
}

func TestParseRequestReportsAllFaultsAtOnce(t *testing.T) {
	_, err := ParseRequest([]byte(`{"checkpoint":{"status":1,"usage":{"inputTokens":"1"}},"step":[]}`))
	var got []string
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	for _, f := range faults {
		got = append(got, f.Path)
	}
	want := "checkpoint.status checkpoint.usage.inputTokens checkpoint.usage.outputTokens " +
		"checkpoint.usage.reasoningTokens checkpoint.usage.totalTokens checkpoint.usage.cachedInputTokens " +
		"checkpoint.stepNumber checkpoint.messages checkpoint.expert step"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestParseRequestRootMustBeAnObject(t *testing.T) {
	for body, received := range map[string]string{`[]`: "array", ` null `: "null", `"x"`: "string", `0`: "number", `true`: "boolean"} {
		_, err := ParseRequest([]byte(body))
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != "" || faults[0].Received != received {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestParseRequestSyntaxErrorsTellThePosition(t *testing.T) {
	for _, test := range []struct {
		name, body string
		offset     int64
	}{
		{"empty", ``, 0},
		{"white space only", "  \n", 3},
		{"truncated", `{"checkpoint":{`, 15},
		{"trailing data", `{} {}`, 3},
		{"trailing garbage", `{}x`, 2},
		{"NaN", `{"a":NaN}`, 5},
		{"a name without quotation marks", `{a:1}`, 1},
		{"a trailing comma", `{"a":1,}`, 6},
		{"single quotation marks", `{'a':1}`, 1},
		{"a comment", `{/**/}`, 1},
		{"a raw control character", "{\"a\":\"\n\"}", 6},
		{"invalid UTF-8 in a string", "{\"a\":\"\xff\"}", 6},
		{"an encoded surrogate", "{\"a\":\"\xed\xa0\x80\"}", 6},
		{"a byte order mark", "\ufeff{}", 0},
		{"nested too deep", strings.Repeat("[", MaxDepth+1), MaxDepth},
		{"nested too deep below white space", " " + strings.Repeat("[ ", MaxDepth+1), 1 + 2*MaxDepth},
		{"a long number", `{"a":` + strings.Repeat("1", MaxNumberLen+1) + `}`, 5},
		{"a long fraction", `{"a":-0.` + strings.Repeat("1", MaxNumberLen) + `}`, 5},
		{"checkpoint twice", `{"checkpoint":{},"checkpoint":{}}`, 17},
		{"a known property twice, once escaped", `{"step":{"usage":1, "us\u0061ge":2}}`, 20},
		{"a known property twice after a fault", `{"step":null,"step":null}`, 13},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseRequest([]byte(test.body))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v", err)
			}
			if syntax.Offset != test.offset || syntax.Msg == "" {
				t.Errorf("got %v, want byte %d", err, test.offset)
			}
		})
	}
}

func TestFaultsAreCapped(t *testing.T) {
	w := walker{}
	for i := range 2 * MaxFaults {
		w.fault(fmt.Sprint(i), "m", "e", "r")
	}
	if len(w.faults) != MaxFaults {
		t.Errorf("%d faults", len(w.faults))
	}
	if s := (Faults{{Message: "a"}, {Path: "p.q", Message: "b"}}).Error(); s != "validation failed: a; p.q: b" {
		t.Error(s)
	}
}
