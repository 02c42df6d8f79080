package config

import "strconv"

// quote shows a value in a message: escaped, so that a fault stays one line, and
// cut, so that it stays readable.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
