package checkpoint

import "time"

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
		dst = appendYear(append(dst, '-'), -year)
	case year > 9999:
		dst = appendYear(append(dst, '+'), year)
	default:
		dst = appendTwo(appendTwo(dst, year/100), year%100)
	}
	dst = appendTwo(append(dst, '-'), int(month))
	dst = appendTwo(append(dst, '-'), day)
	dst = appendTwo(append(dst, 'T'), hour)
	dst = appendTwo(append(dst, ':'), minute)
	dst = appendTwo(append(dst, ':'), second)
	n := t.Nanosecond() / int(time.Millisecond)
	return append(appendTwo(append(dst, '.'), n/10), '0'+byte(n%10), 'Z')
}

// appendYear appends a year in six digits.
func appendYear(dst []byte, n int) []byte {
	return appendTwo(appendTwo(appendTwo(dst, n/10000), n/100%100), n%100)
}

// appendTwo appends n, which is below 100, in two digits. Each checkpoint has
// several times, and strconv is not made for what has a fixed width.
func appendTwo(dst []byte, n int) []byte {
	return append(dst, '0'+byte(n/10), '0'+byte(n%10))
}
