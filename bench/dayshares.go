package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// dayKind is a kind of request of a busy sidecar's day.
type dayKind int

// The kinds, in the order of the reports.
const (
	dayWrite dayKind = iota
	dayGet
	dayList
	dayStream
	dayKinds
)

// dayNames names the kinds in flags and reports.
var dayNames = [dayKinds]string{"write", "get", "list", "stream"}

// dayShares are how many of a hundred requests are of each kind.
type dayShares [dayKinds]int

// usualShares are a day in which dashboards look at much more than is written.
var usualShares = dayShares{dayWrite: 10, dayGet: 70, dayList: 15, dayStream: 5}

// String writes the shares as parseShares reads them.
func (s dayShares) String() string {
	var parts []string
	for kind, n := range s {
		parts = append(parts, fmt.Sprintf("%s=%d", dayNames[kind], n))
	}
	return strings.Join(parts, ",")
}

// parseShares reads shares such as write=10,get=70,list=15,stream=5, which come
// to 100. What is not named is 0.
func parseShares(text string) (dayShares, error) {
	var s dayShares
	sum := 0
	for part := range strings.SplitSeq(text, ",") {
		name, digits, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(digits)
		known := false
		for kind, k := range dayNames {
			if k == name {
				s[kind], known = n, true
			}
		}
		if err != nil || n < 0 || !known {
			return s, usageError{fmt.Errorf("shares read like %s, not %q", usualShares, text)}
		}
		sum += n
	}
	if sum != 100 {
		return s, usageError{fmt.Errorf("the shares come to %d, not 100", sum)}
	}
	return s, nil
}

// pick draws a kind.
func (s dayShares) pick(rng *rand.Rand) dayKind {
	n := rng.IntN(100)
	for kind, share := range s {
		if n -= share; n < 0 {
			return dayKind(kind)
		}
	}
	return dayGet
}
