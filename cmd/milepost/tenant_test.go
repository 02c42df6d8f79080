package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAnotherTenantGetsNothing tries everything that a sidecar has of one tenant's
// job with the keys of another, with one that only writes, with none and with a
// wrong one: while the upstream is there, when it is away, and after a restart of
// the sidecar then.
func TestAnotherTenantGetsNothing(t *testing.T) {
	base := t.TempDir()
	keys := map[string]string{"ours": "secret-of-our-tenant", "theirs": "secret-of-another-tenant", "writer": "secret-of-our-writer"}
	config := ""
	for name, key := range keys {
		organization, scopes := "organizationourtenant001", `"read", "write"`
		if name == "theirs" {
			organization = "organizationanother00001"
		}
		if name == "writer" {
			scopes = `"write"`
		}
		config += fmt.Sprintf("[[auth.keys]]\nname = %q\nsecret_sha256 = \"%x\"\norganization_id = %q\napplication_id = \"application0000000000001\"\nscopes = [%s]\n",
			name, sha256.Sum256([]byte(key)), organization, scopes)
	}
	file := filepath.Join(base, "keys.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	up := startWith(t, []string{"--config", file}, filepath.Join(base, "up"), freeAddress(t), freeAddress(t))
	sideDir, sideEnv := filepath.Join(base, "side"), []string{"MILEPOST_UPSTREAM_URL=http://" + up.api, "MILEPOST_UPSTREAM_RETRIES=0"}
	side := startProcess(t, sideDir, sideEnv...)

	const job, words = "tenant000000000000000001", "only our tenant knows this"
	post := func(step int, status string) {
		b := strings.ReplaceAll(strings.Replace(requestBody(step), `"status":"proceeding"`, `"status":"`+status+`"`, 1), "text ", words+" ")
		if code, answer, err := side.do("POST", path(job), keys["ours"], b, ""); err != nil || code != 200 {
			t.Fatalf("POST: %d %s %v", code, answer, err)
		}
	}
	post(1, "init")
	post(2, "completed")
	ask := func(method, target, key, body string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+side.api+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	all, _ := idsAs(t, side, job, keys["ours"])
	one, streams, own := path(job)+all[0], "/api/milepost/v1/stream", "/api/milepost/v1/jobs"
	code, ticket := ask("POST", streams+"/tickets", keys["ours"], `{"jobs":["`+job+`"]}`)
	if code != 200 {
		t.Fatalf("a ticket: %d %s", code, ticket)
	}
	_, ticket, _ = strings.Cut(ticket, `"ticket":"`)
	ticket, _, _ = strings.Cut(ticket, `"`)
	targets := []string{
		one, path(job), path(job) + "?take=1", path(job) + "?filter=" + all[0], path(job) + "stream", path(job) + "stream?last_event_id=" + all[1],
		path(job) + "stream?last_event_id=complete-" + all[1], streams + "?job=" + job, streams + "?job=" + job + "&job=" + strings.Repeat("x", 24),
		own + "/" + job, own + "/" + job + "/diff?from=" + all[0] + "&to=" + all[1], own + "/" + job + "/timeline",
		one + "?ticket=" + ticket, path(job) + "?ticket=" + ticket, own + "/" + job + "?ticket=" + ticket,
	}
	attack := func(when string) {
		t.Helper()
		for _, key := range []string{keys["theirs"], keys["writer"], "", "nobody-has-this-secret", keys["ours"] + "x"} {
			for _, target := range targets {
				for _, method := range []string{"GET", "HEAD"} {
					for _, header := range [][]string{nil, {"If-None-Match", `"` + all[0] + `"`}, {"If-None-Match", "*"}, {"Last-Event-ID", "complete-" + all[1]}, {"Range", "bytes=0-9"}} {
						code, b := ask(method, target, key, "", header...)
						if code < 400 || strings.Contains(b, words) {
							t.Errorf("%s: %s %s with %q and %q: %d %.200s", when, method, target, key, header, code, b)
						}
					}
				}
			}
			if code, b := ask("POST", streams+"/tickets", key, `{"jobs":["`+job+`"]}`); code < 400 {
				t.Errorf("%s: a ticket with %q: %d %s", when, key, code, b)
			}
			if code, b := ask("GET", own, key, ""); code < 400 && strings.Contains(b, job) {
				t.Errorf("%s: the jobs with %q: %d %s", when, key, code, b)
			}
		}
		// And nothing of it has taken anything from whom may read.
		for _, target := range []string{one, path(job), path(job) + "stream", own + "/" + job} {
			if code, b := ask("GET", target, keys["ours"], ""); code != 200 {
				t.Errorf("%s: %s with our key: %d %s", when, target, code, b)
			}
		}
	}
	attack("with the upstream")
	_ = up.stop(syscall.SIGKILL)
	attack("in an outage")
	if err := side.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v\n%s", err, side.logs.String())
	}
	logs := side.logs.String()
	side = startAt(t, sideDir, side.api, side.admin, sideEnv...)
	attack("after a restart in an outage")
	if err := side.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v\n%s", err, side.logs.String())
	}
	if b := logs + side.logs.String(); strings.Contains(b, "secret-of") || strings.Contains(b, words) {
		t.Errorf("the log tells a key or a checkpoint: %s", b)
	}
}
