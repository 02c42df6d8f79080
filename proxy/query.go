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
	filter     *checkpoint.Filter // nil: none
	descending bool
	take, skip uint64
}

// parseListQuery reads the query of a list and finds all its faults. Parameters
// that the document does not know are ignored.
func parseListQuery(args *fasthttp.Args) (q listQuery, faults checkpoint.Faults) {
	q.take = defaultTake
	seen := make(map[string]bool, 5)
	fault := func(name, message, expected, received string) {
		faults = append(faults, checkpoint.Fault{
			Path: name, Message: message, Expected: expected, Received: clip(received, 64),
		})
	}
	for k, v := range args.All() {
		name, value := string(k), string(v)
		switch name {
		case "filter", "sort", "order", "take", "skip":
		default:
			continue
		}
		if seen[name] {
			fault(name, "must be given once", "one value", "several")
			continue
		}
		seen[name] = true
		switch name {
		case "filter":
			if n := utf8.RuneCountInString(value); n < 1 || n > maxFilter || !utf8.ValidString(value) {
				fault(name, "must be 1 to 256 characters", "string", value)
				break
			}
			f, err := checkpoint.ParseFilter(value)
			if err != nil {
				fault(name, err.Error(), "text or .path OP literal", value)
			}
			q.filter = f
		case "sort":
			// A checkpoint never changes and is numbered in time: the three
			// orders are one.
			if value != "createdAt" && value != "updatedAt" && value != "sequence" {
				fault(name, "must be one of createdAt, updatedAt, sequence", "enum", value)
			}
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

func wholeNumber(s string) (uint64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
