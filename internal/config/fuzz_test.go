package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzLoad holds, for the bytes of a file, that none make Load panic, that every
// fault has a position and is one line, and that a configuration without faults
// is within its bounds. Its seeds are in testdata/fuzz.
func FuzzLoad(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newLoader(nil)
		l.bytes("milepost.toml", data)
		c, err := l.result()
		if err == nil {
			for _, f := range fields {
				if v := f.of(c).Interface(); f.min != nil && f.check(v) != nil {
					t.Errorf("%s: %v", f.path, f.check(v))
				}
			}
			return
		}
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) == 0 {
			t.Fatalf("error %T: %v", err, err)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, fault := range faults {
			if fault.Where.Line < 1 || fault.Where.Line > lines || fault.Where.Column < 1 || fault.Message == "" {
				t.Errorf("without a position: %+v", fault)
			}
			if strings.ContainsAny(fault.String(), "\n\r") {
				t.Errorf("more than one line: %q", fault.String())
			}
		}
	})
}
