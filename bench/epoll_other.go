//go:build !linux

package main

import "errors"

// run says that the generator needs epoll and what /proc tells.
func (r *swarmReader) run() {
	r.err = errors.New("the fan-out generator runs on Linux alone")
	r.swarm.fail(r.err)
}
