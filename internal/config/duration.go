package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Duration is a time span that is never negative, written as Go writes it:
// "250ms", "15s", "1h30m".
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes d in its shortest form: "2m", not "2m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf(`must be a duration such as "15s" or "1h30m", got %s`, quote(s))
	case d < 0:
		return 0, errors.New("must not be negative")
	}
	return Duration(d), nil
}
