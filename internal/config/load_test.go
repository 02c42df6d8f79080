package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// write puts a file called milepost.toml into a directory of its own.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "milepost.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t testing.TB, text string, env ...string) *Config {
	t.Helper()
	c, err := Load(write(t, text), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faultsOf loads a file that has faults and returns them, its directory left
// out.
func faultsOf(t testing.TB, text string, env []string, flags map[string]string) []string {
	t.Helper()
	path := ""
	if text != "" {
		path = write(t, text)
	}
	c, err := Load(path, env, flags)
	if err == nil {
		t.Fatal("no fault")
	}
	if c != nil {
		t.Error("a configuration in spite of faults")
	}
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("error of type %T", err)
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(faults) {
		t.Errorf("%d faults in %d lines", len(faults), n)
	}
	return strings.Split(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""), "\n")
}

func TestNothingGivenIsTheDefault(t *testing.T) {
	c, err := Load("", []string{"HOME=/root", "PATH="}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("got %+v", c)
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "[server]\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:2\"\nmax_requests = 3\n[store]\ndir = \"file\"\n")
	env := []string{"MILEPOST_SERVER_LISTEN=127.0.0.1:11", "MILEPOST_SERVER_ADMIN_LISTEN=127.0.0.1:12", "MILEPOST_STORE_DIR=env"}
	flags := map[string]string{"listen": "127.0.0.1:21", "data": "flag"}
	c, err := Load(file, env, flags)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule      string
		got, want any
	}{
		{"a flag beats a variable and the file", c.Server.Listen, "127.0.0.1:21"},
		{"a variable beats the file", c.Server.AdminListen, "127.0.0.1:12"},
		{"a flag beats a variable", c.Store.Dir, "flag"},
		{"the file beats the default", c.Server.MaxRequests, 3},
		{"the default is left", c.Server.MaxConnections, 16384},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.rule, tt.got, tt.want)
		}
	}
}

func TestFormsOfValues(t *testing.T) {
	c := mustLoad(t, `
server = { max_body = 1_048_576, max_requests = 0x10, queue_timeout = "1m0s" }
cache.size = "1GB"
stream."unknown_job" = 'wait'
[store]
retention_size = "3TiB"
retention_age = "1h30m"
`, "MILEPOST_SERVER_CORS_ORIGINS=https://a.example, http://localhost:3000", "MILEPOST_SERVER_ADMIN_LISTEN=")
	for _, tt := range []struct{ got, want any }{
		{c.Server.MaxBody, MiB},
		{c.Server.MaxRequests, 16},
		{c.Server.QueueTimeout.Std(), time.Minute},
		{c.Cache.Size, Size(1e9)},
		{c.Stream.UnknownJob, "wait"},
		{c.Store.RetentionSize, 3 * TiB},
		{c.Store.RetentionAge.Std(), 90 * time.Minute},
		{strings.Join(c.Server.CORSOrigins, " "), "https://a.example http://localhost:3000"},
		{c.Server.AdminListen, ""},
	} {
		if tt.got != tt.want {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
}

func TestDurationAndSizeReadWhatTheyPrint(t *testing.T) {
	for _, text := range []string{"0s", "250ms", "15s", "2m", "1m30s", "24h", "1h0m1s", "1h30m"} {
		d, err := parseDuration(text)
		if err != nil || d.String() != text {
			t.Errorf("%s: got %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"0B", "1B", "1023B", "1KiB", "64MiB", "3GiB", "5TiB", "7PiB"} {
		s, err := parseSize(text)
		if err != nil || s.String() != text {
			t.Errorf("%s: got %v, %v", text, s, err)
		}
	}
}
