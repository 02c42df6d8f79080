package checkpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// Filter selects checkpoints in a list: the query parameter filter. It is safe
// for concurrent use.
type Filter struct {
	text string // in lower case; empty for an expression

	path   []pathStep
	op     string
	isText bool // the literal is a string
	str    string
	num    float64
}

// pathStep is a property to go to, or, without a name, every element.
type pathStep struct {
	name string // empty for []
}

// Summary is what a text filter looks at.
type Summary struct {
	Status     string
	ActionType string
	ExpertKey  string
	SkillName  string
	ToolName   string
}

// ParseFilter reads a filter. One that begins with a dot is an expression:
//
//	expression = path [space] op [space] literal
//	path       = "." name *( "." name / "[]" )
//	name       = 1*( letter / digit / "_" / "-" / "$" )
//	op         = "==" / "!=" / ">" / ">=" / "<" / "<="
//	literal    = a JSON string or a JSON number
//
// Any other filter is text that Match looks for.
func ParseFilter(s string) (*Filter, error) {
	if !strings.HasPrefix(s, ".") {
		return &Filter{text: strings.ToLower(s)}, nil
	}
	f := &Filter{}
	rest, err := f.parsePath(s)
	if err != nil {
		return nil, err
	}
	rest = strings.TrimLeft(rest, " \t")
	for _, op := range [...]string{"==", "!=", ">=", "<=", ">", "<"} {
		if strings.HasPrefix(rest, op) {
			f.op, rest = op, strings.TrimLeft(rest[len(op):], " \t")
			break
		}
	}
	if f.op == "" {
		return nil, fmt.Errorf("filter: expected one of == != > >= < <= at character %d", len(s)-len(rest)+1)
	}
	return f, f.parseLiteral(strings.TrimRight(rest, " \t"))
}

// parsePath reads the path that s starts with and returns what follows.
func (f *Filter) parsePath(s string) (rest string, err error) {
	rest = s
	for {
		switch {
		case strings.HasPrefix(rest, "."):
			n := 1
			for n < len(rest) && isNameChar(rest[n]) {
				n++
			}
			if n == 1 {
				return "", fmt.Errorf("filter: expected a name after the dot at character %d", len(s)-len(rest)+1)
			}
			f.path = append(f.path, pathStep{name: rest[1:n]})
			rest = rest[n:]
		case strings.HasPrefix(rest, "[]"):
			f.path = append(f.path, pathStep{})
			rest = rest[2:]
		default:
			return rest, nil
		}
	}
}

func isNameChar(c byte) bool {
	return isLowerAlnum(c) || 'A' <= c && c <= 'Z' || c == '_' || c == '-' || c == '$'
}

func (f *Filter) parseLiteral(s string) error {
	literal := []byte(s)
	r := read(literal)
	defer r.close()
	kind := r.kind()
	at, err := r.value()
	if err == nil {
		err = r.end()
	}
	_, tooLong := inspect(literal)
	if err != nil || tooLong != nil || kind != kindString && kind != kindNumber {
		return fmt.Errorf("filter: expected a string in quotation marks or a number after %s, not %s", f.op, excerpt(literal))
	}
	if kind == kindString {
		f.isText, f.str = true, string(unquote(at.of(literal)))
		return nil
	}
	var finite bool
	if f.num, finite = parseNumber(literal); !finite {
		return fmt.Errorf("filter: number %s is too large", excerpt(literal))
	}
	return nil
}

// TextOnly reports whether the filter is text, so that Match needs no document.
func (f *Filter) TextOnly() bool {
	return f.path == nil
}

// NeedsMessages reports whether the filter looks into messages, newMessages or
// inputMessages. One that does not gives the same with a document whose
// messages were left out.
func (f *Filter) NeedsMessages() bool {
	if f.TextOnly() {
		return false
	}
	switch f.path[0].name {
	case "messages", "newMessages", "inputMessages":
		return true
	}
	return false
}

// Match reports whether the filter selects a checkpoint. s is its summary and
// doc its JSON, which a text filter does not need.
//
// Text is looked for, without regard to case, in each field of the summary.
//
// An expression holds if it holds for any value that its path reaches; [] goes
// to every element. Numbers are compared as numbers, strings by code point. To
// a value of another type than the literal, and to a path that reaches none
// (a property is missing, or an array empty), only != applies. Of a property
// that is there twice the last counts.
func (f *Filter) Match(doc []byte, s Summary) bool {
	if f.TextOnly() {
		for _, field := range [...]string{s.Status, s.ActionType, s.ExpertKey, s.SkillName, s.ToolName} {
			if strings.Contains(strings.ToLower(field), f.text) {
				return true
			}
		}
		return false
	}
	return f.matchAt(bytes.TrimLeft(doc, " \t\r\n"), f.path)
}

// matchAt reports whether the filter holds for a value that path reaches from
// value.
func (f *Filter) matchAt(value []byte, path []pathStep) bool {
	if len(path) == 0 {
		return f.compare(value)
	}
	step := path[0]
	if step.name != "" {
		var next []byte
		if kindOf(value) == kindObject {
			err := members(value, func(name, v []byte) error {
				if string(name) == step.name {
					next = v
				}
				return nil
			})
			if err != nil {
				return false // it is no checkpoint
			}
		}
		if next == nil {
			return f.op == "!="
		}
		return f.matchAt(next, path[1:])
	}
	if kindOf(value) != kindArray {
		return f.op == "!="
	}
	match, empty := false, true
	err := elements(value, func(v []byte) error {
		empty = false
		if f.matchAt(v, path[1:]) {
			match = true
			return errStop
		}
		return nil
	})
	if err != nil && err != errStop {
		return false
	}
	return match || empty && f.op == "!="
}

// compare compares a value with the literal.
func (f *Filter) compare(value []byte) bool {
	var order int
	switch kind := kindOf(value); {
	case kind == kindString && f.isText:
		order = strings.Compare(string(unquote(value)), f.str)
	case kind == kindNumber && !f.isText:
		n, _ := parseNumber(value) // infinite if it is too large, as in JavaScript
		order = cmp.Compare(n, f.num)
	default:
		return f.op == "!="
	}
	switch f.op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "<":
		return order < 0
	}
	return order <= 0
}
