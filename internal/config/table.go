package config

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// document applies the tables of a file.
func (l *loader) document(root *value) {
	for _, section := range root.entries {
		path := join("", section.name)
		switch {
		case !sections[section.name]:
			l.fault(section.at, path, "unknown %s", keyOrTable(section.val))
		case section.val.kind != unstable.Table:
			l.fault(section.val.at, path, "must be a table, got %s", kindName(section.val))
		default:
			l.section(path, section.val)
		}
	}
}

func (l *loader) section(name string, table *value) {
	for _, e := range table.entries {
		path := join(name, e.name)
		f, known := keys[path]
		switch {
		case !known:
			l.fault(e.at, path, "unknown %s", keyOrTable(e.val))
		case path == keysPath:
			l.authKeys(e.val)
		case path == pricesPath:
			l.prices(e.val)
		default:
			l.written(f, e.val)
		}
	}
}

// written applies a value of the file.
func (l *loader) written(f field, v *value) {
	if f.typ.Kind() != reflect.Slice {
		if text, ok := l.scalar(f, f.path, v); ok {
			l.apply(v.at, f, []item{{v.at, f.path, text}})
		}
		return
	}
	if v.kind != unstable.Array || len(v.items) > 0 && v.items[0].kind == unstable.Table {
		l.wrongKind(f.path, v, "a list of strings")
		return
	}
	items, sound := []item{}, true
	for i, element := range v.items {
		path := fmt.Sprintf("%s[%d]", f.path, i)
		text, ok := l.scalar(f, path, element)
		if ok {
			items = append(items, item{element.at, path, text})
		}
		sound = sound && ok
	}
	l.apply(v.at, f, items)
	l.bad[f.path] = l.bad[f.path] || !sound
}

// scalar returns the text of a value that has the kind its key wants.
func (l *loader) scalar(f field, path string, v *value) (string, bool) {
	want, ok := "a string", v.kind == unstable.String
	switch f.typ {
	case reflect.TypeFor[int]():
		want, ok = "a whole number", v.kind == unstable.Integer
	case reflect.TypeFor[Duration]():
		want = `a duration in quotes, such as "15s"`
	case reflect.TypeFor[Size]():
		want = `a size in quotes, such as "64MiB", or a number of bytes`
		ok = ok || v.kind == unstable.Integer
	}
	if !ok {
		l.wrongKind(path, v, want)
		l.set[f.path], l.bad[f.path] = v.at, true
		return "", false
	}
	if v.kind == unstable.Integer {
		// TOML also writes 1_000_000, +5 and 0xff; a variable does not. The
		// file was decoded before, so the number is sound and fits.
		n, _ := strconv.ParseInt(v.text, 0, 64)
		return strconv.FormatInt(n, 10), true
	}
	return v.text, true
}

func (l *loader) wrongKind(path string, v *value, want string) {
	l.fault(v.at, path, "must be %s, got %s", want, kindName(v))
}

func keyOrTable(v *value) string {
	if v.kind == unstable.Table || len(v.items) > 0 && v.items[0].kind == unstable.Table {
		return "table"
	}
	return "key"
}

// kindName names what stands there, never its value: it may be a secret that was
// written without quotes.
func kindName(v *value) string {
	switch v.kind {
	case unstable.Table:
		return "a table"
	case unstable.Array:
		if len(v.items) > 0 && v.items[0].kind == unstable.Table {
			return "an array of tables"
		}
		return "an array"
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "a boolean"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Integer:
		return "a number"
	}
	return "a date or time"
}
