package config

import "reflect"

// Diff compares the configuration that is in force with one that was loaded
// anew. It names the keys that differ, in the order of the file: those that a
// running server takes over, and those for which it has to be started again.
func (c *Config) Diff(next *Config) (changed, refused []string) {
	for _, f := range fields {
		switch {
		case same(f.of(c), f.of(next)):
		case f.reload:
			changed = append(changed, f.path)
		default:
			refused = append(refused, f.path)
		}
	}
	return changed, refused
}

// Reloaded returns what is in force after a reload: c with the reloadable values
// of next. Neither of the two is changed.
func (c *Config) Reloaded(next *Config) *Config {
	merged := *c
	for _, f := range fields {
		if f.reload {
			f.of(&merged).Set(f.of(next))
		}
	}
	return &merged
}

// same holds a nil list and an empty one to be equal.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
