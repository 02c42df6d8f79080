package config

import (
	"slices"
	"strings"
	"testing"
)

// TestVariableNames writes down the names that users' deployments rely on.
func TestVariableNames(t *testing.T) {
	var got []string
	for _, f := range fields {
		if f.path != keysPath {
			got = append(got, f.variable)
		}
	}
	want := strings.Fields(`
		MILEPOST_SERVER_LISTEN MILEPOST_SERVER_ADMIN_LISTEN MILEPOST_SERVER_MAX_BODY
		MILEPOST_SERVER_TLS_CERT MILEPOST_SERVER_TLS_KEY MILEPOST_SERVER_MAX_HEADER
		MILEPOST_SERVER_MAX_CONNECTIONS MILEPOST_SERVER_MAX_REQUESTS MILEPOST_SERVER_QUEUE_TIMEOUT
		MILEPOST_SERVER_MAX_BODY_BYTES MILEPOST_SERVER_MAX_LIST_BYTES MILEPOST_SERVER_READ_TIMEOUT
		MILEPOST_SERVER_MIN_BODY_RATE MILEPOST_SERVER_WRITE_TIMEOUT MILEPOST_SERVER_IDLE_TIMEOUT
		MILEPOST_SERVER_RATE_LIMIT MILEPOST_SERVER_RATE_BURST MILEPOST_SERVER_DRAIN_TIMEOUT
		MILEPOST_SERVER_DRAIN_SPREAD MILEPOST_SERVER_CORS_ORIGINS MILEPOST_SERVER_SCAN_TIMEOUT
		MILEPOST_STORE_DIR MILEPOST_STORE_MIN_FREE MILEPOST_STORE_BALLAST MILEPOST_STORE_CHECK_INTERVAL
		MILEPOST_STORE_RETENTION_AGE MILEPOST_STORE_RETENTION_SIZE MILEPOST_STORE_ABANDON_AFTER
		MILEPOST_STORE_RETENTION_INTERVAL MILEPOST_STORE_BLOCK_CACHE MILEPOST_STORE_MEMTABLE
		MILEPOST_STORE_APPEND_MEMORY MILEPOST_CACHE_SIZE MILEPOST_STREAM_HEARTBEAT
		MILEPOST_STREAM_STALL_TIMEOUT MILEPOST_STREAM_UNKNOWN_JOB MILEPOST_EXPERTS_MODE
		MILEPOST_EXPERTS_CATALOG MILEPOST_UPSTREAM_URL MILEPOST_UPSTREAM_AUTH MILEPOST_UPSTREAM_API_KEY
		MILEPOST_LOG_LEVEL MILEPOST_LOG_FORMAT`)
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEveryDefaultCanBeSetByVariable(t *testing.T) {
	for _, f := range fields {
		if f.path == keysPath {
			continue
		}
		text := strings.Trim(literal(f.of(Default()).Interface()), `"[]`)
		if _, err := Load("", []string{f.variable + "=" + text}, nil); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestVariablesThatAreNotOurs(t *testing.T) {
	link := []string{
		"MILEPOST_SERVICE_HOST=10.0.0.1", "MILEPOST_SERVICE_PORT=8080", "MILEPOST_SERVICE_PORT_HTTP=8080",
		"MILEPOST_PORT=tcp://10.0.0.1:8080", "MILEPOST_PORT_8080_TCP_ADDR=10.0.0.1",
		"MILEPOST_ADMIN_SERVICE_HOST=10.0.0.2", "MILEPOST_ADMIN_SERVICE_PORT=9090", "MILEPOST_ADMIN_PORT=tcp://10.0.0.2:9090",
	}
	if _, err := Load("", link, nil); err != nil {
		t.Errorf("the addresses that Kubernetes sets are refused: %v", err)
	}
	got := faultsOf(t, "", append(link, "MILEPOST_SERVER_PORT=80", "milepost_x=", "MILEPOSTX=1"), nil)
	if !slices.Equal(got, []string{"MILEPOST_SERVER_PORT: unknown variable"}) {
		t.Errorf("got %q", got)
	}
	c := mustLoad(t, "[[auth.keys]]\nname = \"a\"\nsecret_env = \"MILEPOST_RUNTIME\""+goodKey, "MILEPOST_RUNTIME=0123456789abcdef")
	if len(c.Auth.Keys) != 1 {
		t.Error("a variable that a secret_env names is not taken")
	}
}
