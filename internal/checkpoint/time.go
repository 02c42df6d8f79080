package checkpoint

import (
	"strconv"
	"time"
)

// maxTime is the largest distance from the epoch, in milliseconds, that a
// time can have (ECMA-262, "Time Values and Time Range").
const maxTime = 8.64e15

// AppendTime appends the time that lies ms milliseconds after the epoch, as
// JavaScript's Date.prototype.toISOString writes it: 2026-01-02T03:04:05.678Z,
// and a year before 0 or after 9999 with a sign and six digits. |ms| must be
// at most 8.64e15.
func AppendTime(dst []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	switch {
	case year < 0:
		dst = appendDigits(append(dst, '-'), -year, 6)
	case year > 9999:
		dst = appendDigits(append(dst, '+'), year, 6)
	default:
		dst = appendDigits(dst, year, 4)
	}
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	dst = appendDigits(append(dst, '.'), t.Nanosecond()/int(time.Millisecond), 3)
	return append(dst, 'Z')
}

// appendDigits appends n in width digits, with leading zeros.
func appendDigits(dst []byte, n, width int) []byte {
	for limit := 10; width > 1; width-- {
		if n < limit {
			dst = append(dst, "00000"[:width-1]...)
			break
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
