package upstream

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Try is Do without a second attempt, for callers who have something better to
// do.
func (c *Client) Try(ctx context.Context, route string, r Request) (*Answer, error) {
	return c.timed(ctx, route, &r, c.attempt)
}

// Away reports whether what Try returned says that the upstream cannot be reached
// now, or that something before it cannot reach it.
func Away(a *Answer, err error) bool {
	if err != nil {
		return errors.Is(err, ErrRefused) || errors.Is(err, ErrBroken) || errors.Is(err, ErrLate) ||
			errors.Is(err, context.DeadlineExceeded)
	}
	_, away := passing(a.Status, "")
	return away
}

type answerKind byte

const (
	answerTaken answerKind = iota
	answerAway
	answerLater    // it is not about this checkpoint, or for the moment only
	answerConflict // another request with the key is being worked on
	answerRefused
)

// kindOfAnswer tells what a status says of a delivery. 401 and 403 are about the
// sidecar's own key: with another one the same checkpoint is taken.
func kindOfAnswer(status int) answerKind {
	switch {
	case status >= 200 && status < 300:
		return answerTaken
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return answerAway
	case status == http.StatusConflict:
		return answerConflict
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusRequestTimeout,
		status == http.StatusTooEarly, status == http.StatusTooManyRequests, status < 400, status >= 500:
		return answerLater
	}
	return answerRefused
}

// retryAfter is how long an answer wants its caller to wait. The bound of the
// back-off is a bound for it, too.
func retryAfter(a *Answer) time.Duration {
	seconds, _ := strconv.Atoi(a.Header.Get("Retry-After")) // a date, or nothing, is no pause
	return time.Duration(min(max(seconds, 0), 3600)) * time.Second
}
