package terminal

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The colours of a line, by what the reader should notice.
const (
	plain  = ""
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

var statusColours = map[string]string{
	"init": dim, "completed": green, "stoppedByDelegate": cyan, "stoppedByInteractiveTool": yellow,
	"stoppedByError": red, "stoppedByExceededMaxSteps": red,
	"requestDelegateResult": cyan, "requestInteractiveToolResult": yellow, "failed": red, "exceededMaxSteps": red,
}

// shown is what a line tells of a checkpoint.
type shown struct {
	StepNumber float64 `json:"stepNumber"`
	Status     string  `json:"status"`
	Expert     struct {
		Key string `json:"key"`
	} `json:"expert"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
	ToolName string `json:"toolName"`
	Usage    struct {
		TotalTokens float64 `json:"totalTokens"`
	} `json:"usage"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
}

// Lines renders checkpoints as lines.
type Lines struct {
	Colour bool
	Zone   *time.Location // of the times; nil means the local one
}

// Head names the columns.
func (l Lines) Head() string {
	return l.paint(dim, columns("TIME", "STEP", "EXPERT", "STATUS", "ACTION", "TOOL", "TOKENS", "TOOK", plain))
}

// Line renders a checkpoint: when it was finished, step, expert, status,
// action, tool, tokens used so far, and how long the step took.
func (l Lines) Line(checkpoint []byte) (string, error) {
	var c shown
	if err := json.Unmarshal(checkpoint, &c); err != nil {
		return "", fmt.Errorf("cannot read a checkpoint: %w", err)
	}
	at, took := c.FinishedAt, "-"
	if at.IsZero() {
		at = c.StartedAt
	} else if !c.StartedAt.IsZero() {
		took = Duration(c.FinishedAt.Sub(c.StartedAt))
	}
	tool := c.ToolName
	if tool == "" {
		tool = "-"
	}
	colour := plain
	if l.Colour {
		colour = statusColours[c.Status]
	}
	return columns(l.time(at), strconv.FormatFloat(c.StepNumber, 'f', -1, 64), c.Expert.Key, c.Status, c.Action.Type, tool,
		Tokens(c.Usage.TotalTokens), took, colour), nil
}

// columns lays a line out; colour is that of the status.
func columns(at, step, expert, status, action, tool, tokens, took, colour string) string {
	const statusWidth = 25
	painted := column(status, statusWidth)
	if colour != plain {
		painted = colour + painted + reset
	}
	return strings.TrimRight(fmt.Sprintf("%-14s %5s  %s %s %s %s %7s %7s", at, step, column(expert, 28), painted,
		column(action, 18), column(tool, 18), tokens, took), " ")
}

func (l Lines) paint(colour, s string) string {
	if !l.Colour {
		return s
	}
	return colour + s + reset
}

func (l Lines) time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	zone := l.Zone
	if zone == nil {
		zone = time.Local
	}
	return t.In(zone).Format("01-02 15:04:05")
}

// Tokens renders a count of tokens: 950, 12.3k, 1.2M.
func Tokens(n float64) string {
	switch {
	case n < 0 || math.IsNaN(n) || math.IsInf(n, 0):
		return "-"
	case n < 999.5:
		return strconv.FormatFloat(n, 'f', 0, 64)
	case n < 999_950:
		return strconv.FormatFloat(n/1e3, 'f', 1, 64) + "k"
	}
	return strconv.FormatFloat(n/1e6, 'f', 1, 64) + "M"
}

// Duration renders how long something took: 850ms, 4.2s, 3m05s, 2h03m, 5d02h.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
