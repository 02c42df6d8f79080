package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field is one key of the configuration, as the struct and its tags declare it.
type field struct {
	path     string // server.listen
	variable string // MILEPOST_SERVER_LISTEN
	index    []int  // in Config
	typ      reflect.Type
	min, max any // of typ, or nil
	enum     []string
	reload   bool
}

// fields are all keys of all sections, arrays of tables among them, in the order of the
// structs. keys finds one by its path.
var (
	fields   = declared()
	keys     = byPath(fields)
	sections = sectionNames()
)

const keysPath = "auth.keys"

func declared() []field {
	var all []field
	for _, section := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if section.Tag.Get("toml") == "-" {
			continue
		}
		for _, f := range reflect.VisibleFields(section.Type) {
			all = append(all, declare(section, f))
		}
	}
	return all
}

func declare(section, f reflect.StructField) field {
	path := section.Tag.Get("toml") + "." + f.Tag.Get("toml")
	d := field{
		path:     path,
		variable: prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_")),
		index:    []int{section.Index[0], f.Index[0]},
		typ:      f.Type,
		reload:   f.Tag.Get("reload") == "yes",
	}
	if list, ok := f.Tag.Lookup("enum"); ok {
		d.enum = strings.Split(list, "|")
	}
	d.min, d.max = d.bound(f.Tag, "min"), d.bound(f.Tag, "max")
	return d
}

func (f field) bound(tag reflect.StructTag, name string) any {
	text, ok := tag.Lookup(name)
	if !ok {
		return nil
	}
	v, err := f.parse(text)
	if err != nil {
		panic(fmt.Sprintf("config: tag %s of %s: %v", name, f.path, err))
	}
	return v
}

func byPath(all []field) map[string]field {
	m := make(map[string]field, len(all))
	for _, f := range all {
		m[f.path] = f
	}
	return m
}

func sectionNames() map[string]bool {
	m := make(map[string]bool)
	for _, f := range fields {
		section, _, _ := strings.Cut(f.path, ".")
		m[section] = true
	}
	return m
}

// of returns the field's value in a configuration.
func (f field) of(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(f.index)
}

// parse reads one value, or one item of a list, without regard to bounds.
func (f field) parse(text string) (any, error) {
	switch f.typ {
	case reflect.TypeFor[Duration]():
		return parseDuration(text)
	case reflect.TypeFor[Size]():
		return parseSize(text)
	case reflect.TypeFor[int]():
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("must be a whole number, got %s", quote(text))
		}
		return n, nil
	case reflect.TypeFor[Secret]():
		return Secret(text), nil
	}
	return text, nil
}

// check holds a parsed value against the field's bounds and its own rule.
func (f field) check(v any) error {
	if f.min != nil && number(v) < number(f.min) {
		return fmt.Errorf("must be at least %v, got %v", f.min, v)
	}
	if f.max != nil && number(v) > number(f.max) {
		return fmt.Errorf("must be at most %v, got %v", f.max, v)
	}
	text, _ := v.(string)
	if f.enum != nil && !slices.Contains(f.enum, text) {
		return fmt.Errorf("must be %s, got %s", oneOf(f.enum), quote(text))
	}
	if rule := rules[f.path]; rule != nil {
		return rule(text)
	}
	return nil
}

func number(v any) int64 { return reflect.ValueOf(v).Int() }

// oneOf lists what a value may be: "a" or "b", or one of "a", "b", "c".
func oneOf(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	if len(quoted) == 2 {
		return strings.Join(quoted, " or ")
	}
	return "one of " + strings.Join(quoted, ", ")
}
