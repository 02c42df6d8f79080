package proxy

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
)

// The orders of a list of jobs.
const (
	sortStartedAt = "startedAt"
	sortLastAt    = "lastAt"
	sortSteps     = "steps"
	sortTokens    = "tokens"
)

// jobsQuery is the query of a list of jobs.
type jobsQuery struct {
	statuses   []checkpoint.JobStatus // none: any
	text       string                 // in lower case; "": none
	sort       string
	descending bool
	take, skip uint64
}

// selects reports whether the query leaves out jobs.
func (q *jobsQuery) selects() bool { return len(q.statuses) > 0 || q.text != "" }

// parseJobsQuery reads the query of a list of jobs and finds all its faults.
// Parameters that are not known are ignored.
func parseJobsQuery(args *fasthttp.Args) (q jobsQuery, faults checkpoint.Faults) {
	q = jobsQuery{sort: sortStartedAt, descending: true, take: defaultTake}
	seen := make(map[string]bool, 5)
	fault := func(name, message, expected, received string) {
		if len(faults) < checkpoint.MaxFaults {
			faults = append(faults, checkpoint.Fault{
				Path: name, Message: message, Expected: expected, Received: clip(received, 64),
			})
		}
	}
	for k, v := range args.All() {
		name, value := string(k), string(v)
		switch name {
		case "status":
		case "filter", "sort", "order", "take", "skip":
			if seen[name] {
				fault(name, "must be given once", "one value", "several")
				continue
			}
			seen[name] = true
		default:
			continue
		}
		switch name {
		case "status":
			status, ok := jobStatus(value)
			if !ok {
				fault(name, "must be one of "+jobStatusNames(), "enum", value)
			} else if !slices.Contains(q.statuses, status) {
				q.statuses = append(q.statuses, status)
			}
		case "filter":
			if n := utf8.RuneCountInString(value); n < 1 || n > maxFilter || !utf8.ValidString(value) {
				fault(name, "must be 1 to 256 characters", "string", value)
			}
			q.text = strings.ToLower(value)
		case "sort":
			if value != sortStartedAt && value != sortLastAt && value != sortSteps && value != sortTokens {
				fault(name, "must be one of startedAt, lastAt, steps, tokens", "enum", value)
			}
			q.sort = value
		case "order":
			if value != "asc" && value != "desc" {
				fault(name, "must be one of asc, desc", "enum", value)
			}
			q.descending = value == "desc"
		case "take":
			n, ok := wholeNumber(value)
			if !ok || n < 1 || n > maxTake {
				fault(name, "must be a whole number from 1 to 100", "number", value)
			}
			q.take = n
		case "skip":
			n, ok := wholeNumber(value)
			if !ok || n > maxSkip {
				fault(name, "must be a whole number, 0 or more", "number", value)
			}
			q.skip = n
		}
	}
	return q, faults
}

var jobStatuses = [...]checkpoint.JobStatus{
	checkpoint.JobProcessing, checkpoint.JobCompleted, checkpoint.JobRequestDelegateResult,
	checkpoint.JobRequestInteractiveToolResult, checkpoint.JobExceededMaxSteps, checkpoint.JobFailed,
}

func jobStatus(name string) (checkpoint.JobStatus, bool) {
	for _, s := range jobStatuses {
		if string(s) == name {
			return s, true
		}
	}
	return "", false
}

func jobStatusNames() string {
	names := make([]string, len(jobStatuses))
	for i, s := range jobStatuses {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
