package terminal

import (
	"os"
	"strings"
	"unicode"
)

// IsTerminal reports whether f is a terminal that understands colours and
// cursor movements, as far as its device and TERM tell.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// Coloured reports whether colours may go to f: it is a terminal, and NO_COLOR
// is not set (no-color.org).
func Coloured(f *os.File) bool { return IsTerminal(f) && os.Getenv("NO_COLOR") == "" }

// Clean replaces what could move a terminal's cursor, change its state or turn
// text around: control and format characters, and line separators.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unsafeRune(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// CleanJSON does the same for indented JSON, whose own line feeds stay.
func CleanJSON(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unsafeRune(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func unsafeRune(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// column cuts or fills s to a width in characters.
func column(s string, width int) string {
	r := []rune(Clean(s))
	if len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return string(r) + strings.Repeat(" ", width-len(r))
}
