package config

import (
	"slices"
	"testing"
)

func TestDiff(t *testing.T) {
	old := Default()
	next := mustLoad(t, `
[server]
listen = "127.0.0.1:1"
rate_limit = 5
cors_origins = ["*"]
[store]
dir = "elsewhere"
[log]
level = "debug"
[[auth.keys]]
name = "a"
secret = "0123456789abcdef"`+goodKey)
	changed, refused := old.Diff(next)
	if want := []string{"server.rate_limit", "server.cors_origins", "log.level", "auth.keys"}; !slices.Equal(changed, want) {
		t.Errorf("changed: got %s, want %s", changed, want)
	}
	if want := []string{"server.listen", "store.dir"}; !slices.Equal(refused, want) {
		t.Errorf("refused: got %s, want %s", refused, want)
	}

	merged := old.Reloaded(next)
	if merged.Server.Listen != old.Server.Listen || merged.Server.RateLimit != 5 || len(merged.Auth.Keys) != 1 {
		t.Errorf("reloaded: got %+v", merged)
	}
	if changed, refused = merged.Diff(next); len(changed) != 0 || len(refused) != 2 {
		t.Errorf("a second reload changes %s and refuses %s", changed, refused)
	}
	if changed, refused = old.Diff(Default()); len(changed)+len(refused) != 0 {
		t.Errorf("of equal ones %s and %s differ", changed, refused)
	}
}

// TestReloadable writes down what SIGHUP takes over.
func TestReloadable(t *testing.T) {
	var got []string
	for _, f := range fields {
		if f.reload {
			got = append(got, f.path)
		}
	}
	want := []string{
		"server.max_body", "server.max_connections", "server.max_requests", "server.queue_timeout",
		"server.max_body_bytes", "server.max_list_bytes", "server.min_body_rate", "server.rate_limit",
		"server.rate_burst", "server.cors_origins", "server.scan_timeout", "stream.max_subscribers",
		"stream.max_subscribers_per_key", "stream.max_subscribers_per_job",
		"prices.currency", "prices.experts", "log.level", "auth.keys",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
