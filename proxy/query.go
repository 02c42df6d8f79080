package proxy

import (
	"strconv"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
)

// The bounds of a list (the document's query parameters).
const (
	defaultTake = 10
	maxTake     = 100
	maxFilter   = 256
	maxSkip     = 1<<53 - 1 // what a client's number can hold exactly
)

// listQuery is the query of a list.
type listQuery struct {
	pageQuery
	filter *checkpoint.Filter // nil: none
}

// pageQuery is what all lists share: an order and a page of it.
type pageQuery struct {
	descending bool
	take, skip uint64

	seen   map[string]bool
	faults checkpoint.Faults
}

func (q *pageQuery) fault(name, message, expected, received string) {
	if len(q.faults) < checkpoint.MaxFaults {
		q.faults = append(q.faults, checkpoint.Fault{
			Path: name, Message: message, Expected: expected, Received: clip(received, 64),
		})
	}
}

// once reports whether a parameter is there for the first time; a second one is
// a fault.
func (q *pageQuery) once(name string) bool {
	if q.seen[name] {
		q.fault(name, "must be given once", "one value", "several")
		return false
	}
	if q.seen == nil {
		q.seen = make(map[string]bool, 5)
	}
	q.seen[name] = true
	return true
}

// parse reads order, take and skip.
func (q *pageQuery) parse(name, value string) {
	switch name {
	case "order":
		if value != "asc" && value != "desc" {
			q.fault(name, "must be one of asc, desc", "enum", value)
		}
		q.descending = value == "desc"
	case "take":
		n, ok := wholeNumber(value)
		if !ok || n < 1 || n > maxTake {
			q.fault(name, "must be a whole number from 1 to 100", "number", value)
		}
		q.take = n
	case "skip":
		n, ok := wholeNumber(value)
		if !ok || n > maxSkip {
			q.fault(name, "must be a whole number, 0 or more", "number", value)
		}
		q.skip = n
	}
}

// appendMeta ends the elements of a page and begins what is said of it, up to skip:
// more may follow, then the braces.
func (q *pageQuery) appendMeta(b []byte, total uint64) []byte {
	b = append(b, `]},"meta":{"total":`...)
	b = strconv.AppendUint(b, total, 10)
	b = append(b, `,"take":`...)
	b = strconv.AppendUint(b, q.take, 10)
	b = append(b, `,"skip":`...)
	return strconv.AppendUint(b, q.skip, 10)
}

// filterText reports whether a filter has a length that is taken.
func (q *pageQuery) filterText(value string) bool {
	if n := utf8.RuneCountInString(value); n < 1 || n > maxFilter || !utf8.ValidString(value) {
		q.fault("filter", "must be 1 to 256 characters", "string", value)
		return false
	}
	return true
}

// parseListQuery reads the query of a list and finds all its faults. Parameters
// that the document does not know are ignored.
func parseListQuery(args *fasthttp.Args) (listQuery, checkpoint.Faults) {
	q := listQuery{pageQuery: pageQuery{take: defaultTake}}
	for k, v := range args.All() {
		name, value := string(k), string(v)
		switch name {
		case "filter", "sort", "order", "take", "skip":
		default:
			continue
		}
		if !q.once(name) {
			continue
		}
		switch name {
		case "filter":
			if !q.filterText(value) {
				break
			}
			f, err := checkpoint.ParseFilter(value)
			if err != nil {
				q.fault(name, err.Error(), "text or .path OP literal", value)
			}
			q.filter = f
		case "sort":
			// A checkpoint never changes and is numbered in time: the three
			// orders are one.
			if value != "createdAt" && value != "updatedAt" && value != "sequence" {
				q.fault(name, "must be one of createdAt, updatedAt, sequence", "enum", value)
			}
		default:
			q.parse(name, value)
		}
	}
	return q, q.faults
}

func wholeNumber(s string) (uint64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
