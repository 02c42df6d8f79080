package upstream

import (
	"strconv"
	"strings"
	"time"
)

// interpretation is what a whole stream means.
type interpretation struct {
	events  []Event
	lastID  string
	retry   time.Duration
	retried bool
}

// interpret follows the steps of the HTML standard ("Interpreting an event
// stream") over a text that is there as a whole.
func interpret(text string) interpretation {
	var out interpretation
	text = strings.TrimPrefix(text, "\uFEFF")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	lines = lines[:len(lines)-1] // what no line end follows
	var data, kind string
	for _, line := range lines {
		if line == "" {
			if data != "" {
				if kind == "" {
					kind = "message"
				}
				out.events = append(out.events, Event{ID: out.lastID, Type: kind, Data: []byte(strings.TrimSuffix(data, "\n"))})
			}
			data, kind = "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			kind = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				out.lastID = value
			}
		case "retry":
			if value != "" && strings.Trim(value, "0123456789") == "" {
				out.retry, out.retried = retryOf(value), true
			}
		}
	}
	return out
}

// retryOf reads a number of milliseconds.
func retryOf(digits string) time.Duration {
	ms, _ := strconv.ParseFloat(digits, 64) // infinite where it is beyond
	return time.Duration(min(ms, float64(longestRetry/time.Millisecond))) * time.Millisecond
}
