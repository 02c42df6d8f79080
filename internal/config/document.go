package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// value is a value of a TOML file with its place. go-toml's own decoding stops
// at the first fault and forgets the places, so the file is read as this tree.
type value struct {
	at   Where
	kind unstable.Kind // Table and InlineTable are the same: Table
	text string        // of a scalar: the string itself, else as written

	entries []*entry // of a table, in the file's order
	items   []*value // of an array
}

// entry is a key of a table and what stands there.
type entry struct {
	name string
	at   Where // of the name
	val  *value
}

func (v *value) entry(name string) *entry {
	i := slices.IndexFunc(v.entries, func(e *entry) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return v.entries[i]
}

// parseDocument reads a TOML file. A fault of the syntax, or a key that stands
// twice, ends the reading: what follows could mean anything.
func parseDocument(name string, data []byte) (*value, *Fault) {
	// The syntax tree below is more lenient than the standard and knows nothing
	// of keys that are defined twice; decoding into a map checks both.
	var whole map[string]any
	if err := toml.Unmarshal(data, &whole); err != nil {
		at := Where{Name: name, Line: 1, Column: 1}
		if place, ok := errors.AsType[*toml.DecodeError](err); ok {
			at.Line, at.Column = place.Position()
		}
		return nil, &Fault{Where: at, Message: oneLine(strings.TrimPrefix(err.Error(), "toml: "))}
	}
	d := document{name: name}
	d.parser.Reset(data)
	d.root = &value{at: Where{Name: name, Line: 1, Column: 1}, kind: unstable.Table}
	d.table = d.root
	for d.parser.NextExpression() {
		d.expression(d.parser.Expression())
	}
	return d.root, d.fault
}

// document builds the tree of one file.
type document struct {
	name   string
	parser unstable.Parser
	root   *value
	table  *value // that of the last header
	fault  *Fault
}

func (d *document) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table:
		d.table = d.descend(d.root, n.Key())
	case unstable.ArrayTable:
		last, parent := d.last(d.root, n.Key())
		e := d.add(parent, last, unstable.Array)
		d.table = &value{at: last.at, kind: unstable.Table}
		e.val.items = append(e.val.items, d.table)
	case unstable.KeyValue:
		d.keyValue(d.table, n)
	}
}

func (d *document) keyValue(table *value, n *unstable.Node) {
	last, parent := d.last(table, n.Key())
	last.val = d.value(n.Value(), last.at)
	if parent.entry(last.name) != nil {
		d.conflict(last)
		return
	}
	parent.entries = append(parent.entries, last)
}

// last goes down to the table that holds the last part of a dotted key, and
// returns that part without a value.
func (d *document) last(table *value, key unstable.Iterator) (*entry, *value) {
	for key.Next() {
		part := &entry{name: string(key.Node().Data), at: d.at(key.Node())}
		if key.IsLast() {
			return part, table
		}
		table = d.step(table, part)
	}
	panic("config: a TOML key without parts")
}

func (d *document) descend(table *value, key unstable.Iterator) *value {
	last, parent := d.last(table, key)
	return d.step(parent, last)
}

// step enters the table at a part of a key: the last one if it is an array of
// tables, a new one if there is none.
func (d *document) step(table *value, part *entry) *value {
	e := d.add(table, part, unstable.Table)
	if n := len(e.val.items); n > 0 {
		return e.val.items[n-1]
	}
	return e.val
}

// add returns the table's entry of that name, or makes it with an empty value.
func (d *document) add(table *value, part *entry, kind unstable.Kind) *entry {
	if e := table.entry(part.name); e != nil {
		if e.val.kind != unstable.Table && e.val.kind != unstable.Array {
			d.conflict(part)
			e = &entry{val: &value{kind: kind}}
		}
		return e
	}
	part.val = &value{at: part.at, kind: kind}
	table.entries = append(table.entries, part)
	return part
}

func (d *document) value(n *unstable.Node, fallback Where) *value {
	v := &value{at: fallback, kind: n.Kind, text: string(n.Data)}
	if n.Raw.Length > 0 {
		v.at = d.at(n)
	}
	children := n.Children()
	switch n.Kind {
	case unstable.Array:
		for children.Next() {
			if child := children.Node(); child.Kind != unstable.Comment {
				v.items = append(v.items, d.value(child, v.at))
			}
		}
	case unstable.InlineTable:
		v.kind = unstable.Table
		for children.Next() {
			if child := children.Node(); child.Kind == unstable.KeyValue {
				d.keyValue(v, child)
			}
		}
	}
	return v
}

func (d *document) at(n *unstable.Node) Where {
	p := d.parser.Shape(n.Raw).Start
	return Where{Name: d.name, Line: p.Line, Column: p.Column}
}

func (d *document) conflict(part *entry) {
	if d.fault == nil {
		d.fault = &Fault{Where: part.at, Message: "key " + quote(part.name) + " is defined twice"}
	}
}

// oneLine escapes what would break the rule of one fault a line.
func oneLine(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// join extends the path of a key by a name, quoted if TOML would have to.
func join(path, name string) string {
	bare := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if !bare {
		name = quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
