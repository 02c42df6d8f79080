package openapitest

import (
	"net/http"
	"strings"
	"testing"
)

func TestGoodExchangesHaveNoFaults(t *testing.T) {
	for name, build := range map[string]func() exchange{
		"create": func() exchange { return goodCreate(t) },
		"read":   func() exchange { return goodRead(t) },
		"list":   func() exchange { return goodList(t) },
		"list without the last slash": func() exchange {
			x := goodList(t)
			setTarget(&x, strings.TrimSuffix(jobPath, "/"))
			return x
		},
		"head": func() exchange {
			x := goodRead(t)
			setMethod(&x, http.MethodHead)
			x.respBody = nil
			return x
		},
		"not modified": func() exchange {
			x := goodRead(t)
			x.req.Header.Set("If-None-Match", x.resp.Header.Get("ETag"))
			x.resp.StatusCode, x.respBody = 304, nil
			x.resp.Header.Del("Content-Type")
			return x
		},
		"unknown property of the checkpoint": func() exchange {
			x := goodCreate(t)
			edit(t, &x.reqBody, `"retryCount":0`, `"retryCount":0,"metadata":{"a":[1e400]}`)
			edit(t, &x.respBody, `"retryCount":0`, `"retryCount":0,"metadata":{"a":[1e400]}`)
			return x
		},
		"wrong request refused": func() exchange {
			x := refused(goodCreate(t), 422, `{"code":422,"error":"Validation Failed","reason":[`+
				`{"path":"step","message":"step is required","expected":"object","received":"undefined"}]}`)
			x.reqBody = []byte(`{}`)
			return x
		},
		"no key": func() exchange {
			x := refused(goodRead(t), 401, `{"code":401,"error":"Unauthorized","reason":"Failed to authenticate"}`)
			x.req.Header.Del("Authorization")
			return x
		},
		"description without a key": func() exchange {
			x := goodRead(t)
			setTarget(&x, "/openapi.yaml")
			x.req.Header.Del("Authorization")
			x.resp, x.respBody = response(200, "application/yaml"), []byte("openapi: 3.1.0\n")
			return x
		},
		"stream": func() exchange {
			x := goodRead(t)
			setTarget(&x, jobPath+"stream?last_event_id=a8k2m4n6p8q0r2s4t6u8w0y2")
			x.resp = response(200, "text/event-stream; charset=utf-8",
				"Cache-Control", "no-cache, no-transform", "X-Accel-Buffering", "no")
			x.respBody = nil
			return x
		},
		"stream by a ticket": func() exchange {
			x := goodRead(t)
			setTarget(&x, jobPath+"stream?ticket=abc")
			x.req.Header.Del("Authorization")
			x.resp = response(200, "text/event-stream; charset=utf-8",
				"Cache-Control", "no-cache, no-transform", "X-Accel-Buffering", "no")
			x.respBody = nil
			return x
		},
		"stream of two jobs that have ended": func() exchange {
			x := goodRead(t)
			setTarget(&x, "/api/milepost/v1/stream?job=test12345678901234567890&job=test12345678901234567891&last_event_id=abc")
			x.resp, x.respBody = response(204, "", "Cache-Control", "no-store"), nil
			return x
		},
		"unknown route": func() exchange {
			x := refused(goodRead(t), 404, `{"code":404,"error":"Not Found","reason":"Route not found"}`)
			setTarget(&x, "/nowhere")
			return x
		},
		"path value that never reached the route": func() exchange {
			x := refused(goodRead(t), 404, `{"code":404,"error":"Not Found","reason":"Route not found"}`)
			setTarget(&x, "/api/studio/v1/expert_jobs/..%2f../checkpoints/")
			return x
		},
		"unknown method": func() exchange {
			x := refused(goodRead(t), 405, `{"code":405,"error":"Method Not Allowed","reason":"not here"}`)
			setMethod(&x, http.MethodDelete)
			x.resp.Header.Set("Allow", "GET, HEAD")
			return x
		},
		"preflight": func() exchange {
			x := goodRead(t)
			setMethod(&x, http.MethodOptions)
			x.req.Header.Set("Origin", "https://dashboard.example")
			x.req.Header.Set("Access-Control-Request-Method", "GET")
			x.resp, x.respBody = response(204, ""), nil
			return x
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, fault := range New(t).faults(build()) {
				t.Error(fault)
			}
		})
	}
}

func TestPlantedFaultsAreReported(t *testing.T) {
	for _, planted := range []struct {
		name string
		from func(*testing.T) exchange
		by   func(*testing.T, *exchange)
		want string // part of the fault
	}{
		// Requests that the server should not have accepted.
		{"property missing in the request", goodCreate, func(t *testing.T, x *exchange) {
			edit(t, &x.reqBody, `"status":"proceeding",`, "")
		}, "/checkpoint: missing property 'status'"},
		{"wrong type in the request", goodCreate, func(t *testing.T, x *exchange) {
			edit(t, &x.reqBody, `"inputTokens":5231`, `"inputTokens":"5231"`)
		}, "/checkpoint/usage/inputTokens: got string, want number"},
		{"null for an optional property", goodCreate, func(t *testing.T, x *exchange) {
			edit(t, &x.reqBody, `"contextWindow":200000`, `"contextWindow":null`)
		}, "/checkpoint/contextWindow: got null, want number"},
		{"time out of range", goodCreate, func(t *testing.T, x *exchange) {
			edit(t, &x.reqBody, `"startedAt":1795498920012`, `"startedAt":8640000000000001`)
		}, "/step/startedAt"},
		{"expert key against its pattern", goodCreate, func(t *testing.T, x *exchange) {
			edit(t, &x.reqBody, `"key":"@acme/release-notes@1.2.0"`, `"key":"@acme/release-notes@"`)
		}, "/checkpoint/expert/key"},
		{"no request body", goodCreate, func(t *testing.T, x *exchange) { x.reqBody = nil }, "body is no JSON"},
		{"request of another type", goodCreate, func(t *testing.T, x *exchange) {
			x.req.Header.Set("Content-Type", "text/plain")
		}, `content type "text/plain"`},
		{"no key", goodRead, func(t *testing.T, x *exchange) { x.req.Header.Del("Authorization") }, "without a bearer key"},
		{"a ticket where a key is needed", goodList, func(t *testing.T, x *exchange) {
			setTarget(x, jobPath+"?ticket=abc")
			x.req.Header.Del("Authorization")
		}, "without a bearer key"},
		{"stream of no job", goodRead, func(t *testing.T, x *exchange) {
			setTarget(x, "/api/milepost/v1/stream")
		}, `without the query parameter "job"`},
		{"stream of a job and a half", goodRead, func(t *testing.T, x *exchange) {
			setTarget(x, "/api/milepost/v1/stream?job=test12345678901234567890&job=test1234567890")
		}, `job="test1234567890"`},
		{"job id too short", goodList, func(t *testing.T, x *exchange) {
			setTarget(x, "/api/studio/v1/expert_jobs/short/checkpoints/")
		}, `expertJobId="short"`},
		{"take too large", goodList, func(t *testing.T, x *exchange) { setTarget(x, jobPath+"?take=101") }, `take="101"`},
		{"take no number", goodList, func(t *testing.T, x *exchange) { setTarget(x, jobPath+"?take=ten") }, `take="ten"`},
		{"take not whole", goodList, func(t *testing.T, x *exchange) { setTarget(x, jobPath+"?take=1.5") }, `take="1.5"`},
		{"skip empty", goodList, func(t *testing.T, x *exchange) { setTarget(x, jobPath+"?skip=") }, `skip=""`},
		{"filter empty", goodList, func(t *testing.T, x *exchange) { setTarget(x, jobPath+"?filter=") }, `filter=""`},
		{"sort unknown", goodList, func(t *testing.T, x *exchange) { setTarget(x, jobPath+"?sort=id") }, `sort="id"`},
		{"idempotency key with a space", goodCreate, func(t *testing.T, x *exchange) {
			x.req.Header.Set("Idempotency-Key", "a b")
		}, "Idempotency-Key"},

		// Responses.
		{"property missing", goodRead, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"sequence":3,`, "")
		}, "/data/checkpoint: missing property 'sequence'"},
		{"wrong type", goodRead, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"stepNumber":2`, `"stepNumber":"2"`)
		}, "/data/checkpoint/stepNumber: got string, want number"},
		{"property too many", goodRead, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"cachedInputTokens":1024`, `"cachedInputTokens":1024,"cost":1`)
		}, "/data/checkpoint/usage"},
		{"time without milliseconds", goodRead, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `05:42:02.345Z`, `05:42:02Z`)
		}, "/data/checkpoint/finishedAt"},
		{"action against its form", goodRead, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"path":"CHANGES.md","to"`, `"path":7,"to"`)
		}, "/data/checkpoint/action/path: got number, want string"},
		{"action unknown", goodRead, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"type":"readTextFile"`, `"type":"readFile"`)
		}, "/data/checkpoint/action"},
		{"wrong in a page", goodList, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"sequence":3`, `"sequence":0`)
		}, "/data/checkpoints/0/sequence"},
		{"total not whole", goodList, func(t *testing.T, x *exchange) {
			edit(t, &x.respBody, `"total":3`, `"total":3.5`)
		}, "/meta/total"},
		{"body truncated", goodRead, func(t *testing.T, x *exchange) {
			x.respBody = x.respBody[:len(x.respBody)-1]
		}, "body is no JSON"},
		{"data after the body", goodRead, func(t *testing.T, x *exchange) {
			x.respBody = append(x.respBody, '}')
		}, "body is no JSON"},
		{"undocumented status", goodRead, func(t *testing.T, x *exchange) { x.resp.StatusCode = 206 }, "status 206 is not documented"},
		{"status of another operation", goodRead, func(t *testing.T, x *exchange) {
			*x = refused(*x, 507, `{"code":507,"error":"Insufficient Storage","reason":"x"}`)
		}, "status 507 is not documented"},
		{"wrong error text", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 404, strings.Replace(notFoundBody, "job not", "Job not", 1))
		}, "/reason"},
		{"wrong error title", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 404, strings.Replace(notFoundBody, "Not Found", "NotFound", 1))
		}, "/error"},
		{"code against the status", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 404, strings.Replace(notFoundBody, "404", "400", 1))
		}, "/code"},
		{"422 with a text for a reason", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 422, `{"code":422,"error":"Validation Failed","reason":"take"}`)
		}, "/reason: got string, want array"},
		{"422 without a fault", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 422, `{"code":422,"error":"Validation Failed","reason":[]}`)
		}, "/reason: minItems"},
		{"429 without Retry-After", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 429, `{"code":429,"error":"Too Many Requests","reason":"x"}`)
		}, "header Retry-After is missing"},
		{"Retry-After no number", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 503, `{"code":503,"error":"Service Unavailable","reason":"x"}`)
			x.resp.Header.Set("Retry-After", "soon")
		}, "header Retry-After"},
		{"405 without Allow", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 405, `{"code":405,"error":"Method Not Allowed","reason":"x"}`)
			setMethod(x, http.MethodPut)
		}, "header Allow is missing"},
		{"undocumented method answered", goodList, func(t *testing.T, x *exchange) {
			setMethod(x, http.MethodPut)
		}, "must be 405 and not 200"},
		{"undocumented path answered", goodList, func(t *testing.T, x *exchange) {
			setTarget(x, "/nowhere")
		}, "must be 404 and not 200"},
		{"error that may be kept", goodList, func(t *testing.T, x *exchange) {
			*x = refused(*x, 404, notFoundBody)
			x.resp.Header.Del("Cache-Control")
		}, "header Cache-Control is missing"},
		{"weak ETag", goodRead, func(t *testing.T, x *exchange) { x.resp.Header.Set("ETag", `W/"a"`) }, "header Etag"},
		{"no ETag", goodRead, func(t *testing.T, x *exchange) { x.resp.Header.Del("ETag") }, "header ETag is missing"},
		{"list kept", goodList, func(t *testing.T, x *exchange) {
			x.resp.Header.Set("Cache-Control", "private")
		}, "header Cache-Control"},
		{"response of another type", goodRead, func(t *testing.T, x *exchange) {
			x.resp.Header.Set("Content-Type", "text/html")
		}, `content type "text/html"`},
		{"response without a type", goodRead, func(t *testing.T, x *exchange) {
			x.resp.Header.Del("Content-Type")
		}, `content type ""`},
		{"body in an answer to HEAD", goodRead, func(t *testing.T, x *exchange) {
			setMethod(x, http.MethodHead)
		}, "where none is documented"},
		{"body with 304", goodRead, func(t *testing.T, x *exchange) { x.resp.StatusCode = 304 }, "where none is documented"},
		{"compressed without Vary", goodRead, func(t *testing.T, x *exchange) {
			x.resp.Uncompressed = true
		}, "lacks Vary"},
		{"unknown content coding", goodRead, func(t *testing.T, x *exchange) {
			x.resp.Header.Set("Content-Encoding", "deflate")
		}, `content coding "deflate"`},
		{"body that is not in its coding", goodRead, func(t *testing.T, x *exchange) {
			x.resp.Header.Set("Content-Encoding", "zstd")
		}, "cannot decode the zstd body"},
		{"stream without its headers", goodRead, func(t *testing.T, x *exchange) {
			setTarget(x, jobPath+"stream")
			x.resp = response(200, "text/event-stream", "Cache-Control", "no-cache, no-transform")
		}, "header X-Accel-Buffering is missing"},
	} {
		t.Run(planted.name, func(t *testing.T) {
			x := planted.from(t)
			planted.by(t, &x)
			faults := New(t).faults(x)
			for _, fault := range faults {
				if strings.Contains(strings.ToLower(fault.Error()), strings.ToLower(planted.want)) {
					return
				}
			}
			t.Errorf("faults %v, want one with %q", faults, planted.want)
		})
	}
}

// spy is a test that notes whether it was failed.
type spy struct {
	testing.TB
	failures []string
}

func (s *spy) Helper() {}

func (s *spy) Errorf(format string, args ...any) {
	s.failures = append(s.failures, format)
}

func (s *spy) Error(...any) { s.failures = append(s.failures, "") }

func TestCheckFailsTheTest(t *testing.T) {
	x := goodRead(t)
	v := New(t)
	watched := &spy{TB: t}
	v.Check(watched, x.req, nil, x.resp, x.respBody)
	if len(watched.failures) != 0 {
		t.Errorf("a good exchange failed the test: %v", watched.failures)
	}
	v.Check(watched, x.req, nil, x.resp, []byte(`{}`))
	if len(watched.failures) != 1 {
		t.Errorf("%d failures, want 1", len(watched.failures))
	}
}

// A fault of one action names that action's property, not those of the other
// nineteen.
func TestFaultOfAnActionIsShort(t *testing.T) {
	x := goodRead(t)
	edit(t, &x.respBody, `"path":"CHANGES.md","to"`, `"path":7,"to"`)
	faults := New(t).faults(x)
	if len(faults) != 1 || len(faults[0].Error()) > 100 {
		t.Errorf("faults %v, want one short one", faults)
	}
}
