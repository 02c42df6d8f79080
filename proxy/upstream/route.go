package upstream

import (
	"sync"

	"milepost/metrics"
)

// passRoute is the label of what Pass relays.
const passRoute = "other"

// routes keeps the series of the routes at hand. There are a handful.
type routes struct {
	metrics *metrics.Upstream
	known   sync.Map // of *metrics.UpstreamRoute by name
}

func (r *routes) of(name string) *metrics.UpstreamRoute {
	if found, ok := r.known.Load(name); ok {
		return found.(*metrics.UpstreamRoute)
	}
	found, _ := r.known.LoadOrStore(name, r.metrics.Route(name))
	return found.(*metrics.UpstreamRoute)
}
