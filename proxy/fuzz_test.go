package proxy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
)

func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"/", "", "/openapi.yaml", collection(jobID), strings.TrimSuffix(collection(jobID), "/"),
		collection(jobID) + jobID, collection(jobID) + "stream", collection("..") + "/", collection("%2e%2e%2f"),
		"/api/studio/v1/expert_jobs/", "/api/studio/v1/expert_jobs//checkpoints//",
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		target := parsePath(path)
		if target.route == routeNone || target.route == routeOpenAPI || target.faults() != nil {
			return
		}
		// What passes is exactly one of the documented paths with valid ids.
		want := collection(string(target.job)) + string(target.checkpoint)
		if target.route == routeStream {
			want += "stream"
		}
		if got := string(path); got != want && got+"/" != want {
			t.Errorf("%q is taken for %q", got, want)
		}
		if !checkpoint.ValidIDBytes(target.job) {
			t.Errorf("%q: job %q", path, target.job)
		}
	})
}

func FuzzListQuery(f *testing.F) {
	for _, q := range []string{
		"", "take=10&skip=0", "take=&skip=", "take=18446744073709551616", "skip=9007199254740992", "filter=%ff",
		"filter=.a%20%3D%3D%201", "sort=sequence&order=desc", "take=1&take=1", "&&=&%", "take=+1", "take=%31",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		var args fasthttp.Args
		args.Parse(query)
		q, faults := parseListQuery(&args)
		if faults == nil && (q.take < 1 || q.take > maxTake || q.skip > maxSkip) {
			t.Errorf("%q: take %d, skip %d", query, q.take, q.skip)
		}
		if _, err := checkpoint.Marshal(faults); err != nil {
			t.Errorf("%q: %v", query, err)
		}
		for _, f := range faults {
			if f.Path == "" || f.Message == "" {
				t.Errorf("%q: fault %+v", query, f)
			}
			if !utf8.ValidString(f.Path) {
				t.Errorf("%q: path %q", query, f.Path)
			}
		}
	})
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, h := range []string{"gzip, br;q=0.2, zstd;q=0", "*", ";", "q=1", "gzip;q=1e999", ","} {
		f.Add([]byte(h))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		if c := parseAcceptEncoding(header); int(c) >= len(codingNames) {
			t.Errorf("%q: coding %d", header, c)
		}
	})
}
