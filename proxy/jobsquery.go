package proxy

import (
	"slices"
	"strings"

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
	pageQuery
	statuses []checkpoint.JobStatus // none: any
	text     string                 // in lower case; "": none
	sort     string
}

// selects reports whether the query leaves out jobs.
func (q *jobsQuery) selects() bool { return len(q.statuses) > 0 || q.text != "" }

// parseJobsQuery reads the query of a list of jobs and finds all its faults.
// Parameters that are not known are ignored.
func parseJobsQuery(args *fasthttp.Args) (jobsQuery, checkpoint.Faults) {
	q := jobsQuery{pageQuery: pageQuery{descending: true, take: defaultTake}, sort: sortStartedAt}
	for k, v := range args.All() {
		name, value := string(k), string(v)
		switch name {
		case "status":
		case "filter", "sort", "order", "take", "skip":
			if !q.once(name) {
				continue
			}
		default:
			continue
		}
		switch name {
		case "status":
			status, ok := jobStatus(value)
			if !ok {
				q.fault(name, "must be one of "+jobStatusNames(), "enum", value)
			} else if !slices.Contains(q.statuses, status) {
				q.statuses = append(q.statuses, status)
			}
		case "filter":
			if q.filterText(value) {
				q.text = strings.ToLower(value)
			}
		case "sort":
			if value != sortStartedAt && value != sortLastAt && value != sortSteps && value != sortTokens {
				q.fault(name, "must be one of startedAt, lastAt, steps, tokens", "enum", value)
			}
			q.sort = value
		default:
			q.parse(name, value)
		}
	}
	return q, q.faults
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
