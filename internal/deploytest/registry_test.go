package deploytest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"milepost/metrics"
)

// root is the top of the repository, seen from this package.
const root = "../.."

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.Join(path...)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// family is one series of the program.
type family struct {
	labels    map[string]bool
	histogram bool
}

// registry returns every series that the program exports, by its name. Those
// with labels show themselves once they have been counted.
func registry(t *testing.T) map[string]family {
	t.Helper()
	m := metrics.New()
	m.RegisterStore(func() metrics.StoreFigures { return metrics.StoreFigures{Pebble: new(pebble.Metrics)} })
	m.RegisterCache(func() metrics.CacheFigures { return metrics.CacheFigures{} })
	m.RegisterSpool(func() metrics.SpoolFigures { return metrics.SpoolFigures{} })
	m.HTTPRequests.WithLabelValues("", "", "")
	m.HTTPDuration.WithLabelValues("", "")
	m.CacheRequests.WithLabelValues("", "")
	m.AuthFailures.WithLabelValues("")
	m.LimitRejections.WithLabelValues("")
	m.JobsDeleted.WithLabelValues("")
	m.Stream.Closed("")
	m.Upstream.Route("").Done(200, 0)
	found := make(map[string]family)
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		entry := family{labels: make(map[string]bool)}
		for _, one := range f.GetMetric() {
			entry.histogram = entry.histogram || one.GetHistogram() != nil
			for _, l := range one.GetLabel() {
				entry.labels[l.GetName()] = true
			}
		}
		found[f.GetName()] = entry
	}
	described(t, m.Registry, found)
	return found
}

var fqName = regexp.MustCompile(`fqName: "(milepost_[a-z0-9_]+)"`)

// described fails if the registry has a series that was not counted above.
func described(t *testing.T, r *prometheus.Registry, found map[string]family) {
	t.Helper()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		r.Describe(descriptions)
	}()
	for d := range descriptions {
		name := fqName.FindStringSubmatch(d.String())
		if name == nil {
			continue // of Go or the process
		}
		if _, ok := found[name[1]]; !ok {
			t.Errorf("%s is declared, but this test does not count it: add it to registry", name[1])
		}
	}
}

// lookUp finds the series of a name as it stands in an expression: that of a
// histogram has a suffix.
func lookUp(all map[string]family, name string) (family, bool) {
	if f, ok := all[name]; ok {
		return f, !f.histogram
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := strings.CutSuffix(name, suffix)
		if f, known := all[base]; ok && known && f.histogram {
			return f, true
		}
	}
	return family{}, false
}
