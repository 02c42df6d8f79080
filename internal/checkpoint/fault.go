package checkpoint

import "strings"

// MaxFaults is how many faults of one request are reported. A body can have
// as many as it has properties, which is a few dozen.
const MaxFaults = 100

// Fault is one way in which a request has the wrong shape, an element of
// reason in a 422.
type Fault struct {
	Path     string `json:"path"`     // checkpoint.usage.inputTokens, or empty for the body
	Message  string `json:"message"`  // for people
	Expected string `json:"expected"` // a type, or what it is restricted to
	Received string `json:"received"` // a type, "undefined", or the wrong value
}

// Faults are all faults of a request, at most MaxFaults.
type Faults []Fault

func (f Faults) Error() string {
	var b strings.Builder
	b.WriteString("validation failed")
	for i, fault := range f {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		if fault.Path != "" {
			b.WriteString(fault.Path + ": ")
		}
		b.WriteString(fault.Message)
	}
	return b.String()
}
