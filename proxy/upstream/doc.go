// Package upstream is the API that a sidecar stands in front of
// (semantics.md, "In front of an upstream").
//
// Client.Pass relays a request and its answer as they are, Client.Do gets an
// answer that is held in memory, Client.Open opens a stream. All of them share
// the addresses behind the upstream's name, the deadlines and one breaker, so
// that an upstream which is down is left alone by all.
//
// What the package promises: nothing is sent twice that may have had an effect,
// unless it carries an Idempotency-Key; a request or an answer that broke off is
// never taken for a whole one; bodies pass in bounded memory; and what reaches
// the upstream is framed anew, so that no two parties can see different
// requests in the same bytes.
package upstream
