package config

import (
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
)

// maxFile bounds the configuration file. Thousands of keys fit; what is larger
// is some other file.
const maxFile = 1 << 20

// flagPaths are the keys that have a flag, by the flag's name.
var flagPaths = map[string]string{
	"listen":       "server.listen",
	"admin-listen": "server.admin_listen",
	"data":         "store.dir",
	"upstream":     "upstream.url",
}

// Load reads the configuration: the defaults, over them the TOML file at path
// ("" for none), over it the variables MILEPOST_… of env (in the form of
// os.Environ), over them the flags that were given, by name without dashes:
// listen, admin-listen, data, upstream.
//
// An error is always of type Faults and holds every fault of every source, also
// of values that another source overrides.
func Load(path string, env []string, flags map[string]string) (*Config, error) {
	l := newLoader(env)
	if path != "" {
		l.file(path)
	}
	l.environment()
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		l.flag(name, flags[name])
	}
	return l.result()
}

// loader is one Load.
type loader struct {
	cfg *Config
	env map[string]string

	set        map[string]Where // where each key was set last
	bad        map[string]bool  // keys whose last value is a fault
	mentioned  map[string]bool  // variables that a secret_env names
	unreadable bool             // the file has no meaning at all
	faults     Faults
}

func newLoader(env []string) *loader {
	return &loader{
		cfg: Default(), env: variables(env),
		set: map[string]Where{}, bad: map[string]bool{}, mentioned: map[string]bool{},
	}
}

func (l *loader) result() (*Config, error) {
	if !l.unreadable {
		l.contradictions()
	}
	if len(l.faults) > 0 {
		l.faults.sort()
		return nil, l.faults
	}
	return l.cfg, nil
}

func (l *loader) fault(at Where, path, format string, args ...any) {
	l.faults = append(l.faults, Fault{Where: at, Path: path, Message: fmt.Sprintf(format, args...)})
}

// file applies the file at path.
func (l *loader) file(path string) {
	data, err := readFile(path)
	if err != nil {
		l.unreadable = true
		l.fault(Where{Name: path}, "", "%v", err)
		return
	}
	l.bytes(path, data)
}

// bytes applies the contents of a file.
func (l *loader) bytes(path string, data []byte) {
	root, fault := parseDocument(path, data)
	if fault != nil {
		l.unreadable = true
		l.faults = append(l.faults, *fault)
		return
	}
	l.document(root)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %v: is this the right file?", Size(maxFile))
	}
	return data, nil
}

func (l *loader) flag(name, text string) {
	at := Where{Name: "--" + name}
	path, ok := flagPaths[name]
	if !ok {
		l.fault(at, "", "unknown flag")
		return
	}
	l.text(at, keys[path], text)
}

// text applies a value that came as text: from a variable or a flag.
func (l *loader) text(at Where, f field, text string) {
	items := []item{{at, f.path, text}}
	if f.typ.Kind() == reflect.Slice {
		items = splitList(at, f.path, text)
	}
	l.apply(at, f, items)
}

// item is the text of a value, or of one item of a list.
type item struct {
	at   Where
	path string
	text string
}

// apply sets a key, unless a part of its value is a fault.
func (l *loader) apply(at Where, f field, items []item) {
	l.set[f.path], l.bad[f.path] = at, false
	target := f.of(l.cfg)
	list := []string{}
	for _, it := range items {
		v, err := f.parse(it.text)
		if err == nil {
			err = f.check(v)
		}
		switch {
		case err != nil:
			l.bad[f.path] = true
			l.fault(it.at, it.path, "%v", err)
		case f.typ.Kind() == reflect.Slice:
			list = append(list, it.text)
		default:
			target.Set(reflect.ValueOf(v))
		}
	}
	if f.typ.Kind() == reflect.Slice && !l.bad[f.path] {
		target.Set(reflect.ValueOf(list))
	}
}
