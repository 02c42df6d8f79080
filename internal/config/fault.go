package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with the configuration.
type Fault struct {
	// Where the value was written.
	Where Where
	// Path of the key, such as server.listen or auth.keys[0].name. Empty if the
	// fault is not that of one key, for instance in the file's syntax.
	Path string
	// Message says what is wrong. It never shows a secret.
	Message string
}

// Where is the place of a value.
type Where struct {
	// Name is the file, the environment variable, or the flag with its dashes.
	Name string
	// Line and Column in the file, from 1, the column in bytes. Zero for a
	// variable, a flag, and a file that could not be read.
	Line, Column int
}

// String writes file:line:column, or only the name.
func (w Where) String() string {
	if w.Line == 0 {
		return w.Name
	}
	return fmt.Sprintf("%s:%d:%d", w.Name, w.Line, w.Column)
}

// String writes "where: path: message", in one line.
func (f Fault) String() string {
	if f.Path == "" {
		return fmt.Sprintf("%s: %s", f.Where, f.Message)
	}
	return fmt.Sprintf("%s: %s: %s", f.Where, f.Path, f.Message)
}

// Faults are all faults of a configuration, those of the file first, in its
// order. As an error it has one fault a line.
type Faults []Fault

// Error implements error.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts the faults with a position first and keeps the order of the others.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if (a.Where.Line == 0) != (b.Where.Line == 0) {
			return cmp.Compare(b.Where.Line, a.Where.Line)
		}
		return cmp.Or(cmp.Compare(a.Where.Line, b.Where.Line), cmp.Compare(a.Where.Column, b.Where.Column))
	})
}
