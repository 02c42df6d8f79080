package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative. It is written as a whole number
// with a unit, binary ("64MiB") or decimal ("64MB"), or as plain bytes.
type Size int64

// Binary units.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// units are the units that a Size may be written in. Those that String prefers
// stand first, the largest ahead.
var units = []struct {
	name  string
	bytes Size
}{
	{"PiB", 1 << 50}, {"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
	{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
}

// String writes s in the largest binary unit in which it is a whole number.
func (s Size) String() string {
	for _, u := range units[:5] {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

func parseSize(text string) (Size, error) {
	digits, unit := text, Size(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = rest, u.bytes
			break
		}
	}
	if unit == 1 {
		digits = strings.TrimSuffix(text, "B")
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf(`must be a size such as "64MiB", "64MB" or plain bytes, got %s`, quote(text))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("is too large: %s", quote(text))
	}
	return Size(n) * unit, nil
}
