package terminal

import (
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	full := `{"stepNumber":2,"status":"completed","expert":{"key":"@acme/lead@1.0.0"},"action":{"type":"readTextFile"},"toolName":"readTextFile",` +
		`"usage":{"totalTokens":12345},"startedAt":"2026-01-02T03:04:05.000Z","finishedAt":"2026-01-02T03:04:09.250Z"}`
	for _, tt := range []struct {
		name, checkpoint, want string
		colour                 bool
	}{
		{
			"all there is", full,
			"01-02 03:04:09     2  @acme/lead@1.0.0             completed                 readTextFile       readTextFile         12.3k    4.2s", false,
		},
		{
			"coloured", full,
			"01-02 03:04:09     2  @acme/lead@1.0.0             \x1b[32mcompleted                \x1b[0m readTextFile       readTextFile         12.3k    4.2s", true,
		},
		{
			"not finished, no tool", `{"stepNumber":1.5,"status":"init","startedAt":"2026-01-02T03:04:05.000Z"}`,
			"01-02 03:04:05   1.5                               init                                         -                        0       -", false,
		},
		{
			"what is too long is cut, what is dangerous replaced",
			`{"status":"x\u001b[2J","expert":{"key":"` + strings.Repeat("é", 40) + `"},"toolName":"a\u202eb\nc"}`,
			"-                  0  " + strings.Repeat("é", 27) + "… x\ufffd[2J                                        a\ufffdb\ufffdc                    0       -", false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Lines{Colour: tt.colour, Zone: time.UTC}.Line([]byte(tt.checkpoint))
			if err != nil || got != tt.want {
				t.Errorf("%v\n got %q\nwant %q", err, got, tt.want)
			}
		})
	}
	if _, err := (Lines{}).Line([]byte(`[]`)); err == nil {
		t.Error("an array is no checkpoint")
	}
}

func TestJobLine(t *testing.T) {
	now := time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, job string }{
		{"keys", `"experts":["@acme/lead@1.0.0","b"],"checkpoints":15,"steps":12,"tokens":{"totalTokens":1200000},"startedAt":"2026-01-02T03:00:00.000Z","lastAt":"2026-01-02T03:59:30Z"}`},
		{"objects, input and output", `"experts":[{"key":"@acme/lead@1.0.0"},{"key":"b"}],"checkpoints":15,"steps":12,"tokens":{"input":1000000,"output":200000},"startedAt":"2026-01-02T03:00:00.000Z","lastAt":"2026-01-02T03:59:30Z","endedAt":"2026-01-02T03:59:30Z"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Lines{Zone: time.UTC}.JobLine([]byte(`{"id":"`+job+`","status":"processing",`+tt.job), now)
			want := job + "  processing                   @acme/lead@1.0.0 +1             12    15    1.2M  01-02 03:00:00  59m30s  30.0s ago"
			if err != nil || got != want {
				t.Errorf("%v\n got %q\nwant %q", err, got, want)
			}
		})
	}
	got, err := Lines{Zone: time.UTC}.JobLine([]byte(`{"id":"`+job+`"}`), now)
	if want := job + "                               -                                -     -       -  -                    -  -"; err != nil || got != want {
		t.Errorf("with nothing known: %v\n got %q\nwant %q", err, got, want)
	}
}

func TestTokensAndDurations(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 999.6: "1.0k", 12345: "12.3k", 999_949: "999.9k", 999_950: "1.0M", 1.26e6: "1.3M", -1: "-"} {
		if got := Tokens(n); got != want {
			t.Errorf("%v tokens: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0ms", 999 * time.Millisecond: "999ms", 59_999 * time.Millisecond: "59.9s", time.Minute: "1m00s",
		3*time.Minute + 5*time.Second: "3m05s", 26*time.Hour + 3*time.Minute: "1d02h", 2*time.Hour + 3*time.Minute: "2h03m", -1: "-",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Pretty keeps every literal, and lets nothing through to the terminal.
func TestPretty(t *testing.T) {
	got, err := Pretty([]byte("{\"b\":1.10,\"a\":[12345678901234567890,\"\\u001b \u009b31m \u202e\"]}"))
	want := "{\n  \"b\": 1.10,\n  \"a\": [\n    12345678901234567890,\n    \"\\u001b \ufffd31m \ufffd\"\n  ]\n}\n"
	if err != nil || got != want {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
	if _, err := Pretty([]byte("{")); err == nil {
		t.Error("half an object is not refused")
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		done, total int
		want        string
	}{{0, 0, ""}, {0, 4, "[------------------------] 0%"}, {1, 2, "[############------------] 50%"}, {3, 2, "[########################] 100%"}} {
		if got := Bar(tt.done, tt.total); got != tt.want {
			t.Errorf("%d of %d: %q, want %q", tt.done, tt.total, got, tt.want)
		}
	}
}

// A note takes the line of progress away first.
func TestProgress(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, true)
	p.Draw("half")
	p.Draw("so soon")
	p.Note("a\x1bb")
	p.Note("c")
	if want := "\r\x1b[Khalf\r\x1b[Kmilepost: a\ufffdb\nmilepost: c\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	p = NewProgress(&b, false)
	p.Draw("half")
	p.Note("c")
	if b.String() != "milepost: c\n" {
		t.Errorf("without a terminal: %q", b.String())
	}
}
