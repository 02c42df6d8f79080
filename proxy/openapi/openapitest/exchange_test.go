package openapitest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	jobPath        = "/api/studio/v1/expert_jobs/test12345678901234567890/checkpoints/"
	checkpointPath = jobPath + "a8k2m4n6p8q0r2s4t6u8w0y2"
	notFoundBody   = `{"code":404,"error":"Not Found","reason":"Expert job not found"}`
)

// example returns an example of the description as JSON.
func example(t *testing.T, ptr string) []byte {
	t.Helper()
	n, ok := open(t).at(ptr)
	if !ok {
		t.Fatalf("nothing at %s", ptr)
	}
	data, err := json.Marshal(n.object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goodCreate is a POST that matches the description, and its answer.
func goodCreate(t *testing.T) exchange {
	body := example(t, pointer("/paths", "/api/studio/v1/expert_jobs/{expertJobId}/checkpoints/",
		"post", "requestBody", "content", "application/json", "example"))
	req := httptest.NewRequest(http.MethodPost, jobPath, nil)
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "step-2")
	return exchange{
		req:      req,
		reqBody:  body,
		resp:     response(200, "application/json"),
		respBody: example(t, pointer("/components/responses/CheckpointCreated/content", "application/json", "example")),
		complete: true,
	}
}

// goodRead is a GET of one checkpoint that matches the description.
func goodRead(t *testing.T) exchange {
	x := goodCreate(t)
	x.req = httptest.NewRequest(http.MethodGet, checkpointPath, nil)
	x.req.Header.Set("Authorization", "Bearer secret")
	x.req.Header.Set("Content-Type", "application/json")
	x.reqBody = nil
	x.resp.Header.Set("ETag", `"a8k2m4n6p8q0r2s4t6u8w0y2"`)
	x.resp.Header.Set("Cache-Control", "private, max-age=31536000, immutable")
	return x
}

// goodList is a GET of a page that matches the description.
func goodList(t *testing.T) exchange {
	x := goodRead(t)
	setTarget(&x, jobPath+"?take=25&skip=2&sort=sequence&order=desc")
	x.resp = response(200, "application/json", "Cache-Control", "no-store")
	x.respBody = example(t, pointer("/components/responses/CheckpointPage/content", "application/json", "example"))
	return x
}

// refused turns an exchange into one that the server refused.
func refused(x exchange, status int, body string) exchange {
	x.resp = response(status, "application/json", "Cache-Control", "no-store")
	x.respBody = []byte(body)
	return x
}

// response builds a response with a content type and further headers.
func response(status int, contentType string, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}}
	if contentType != "" {
		resp.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

// setTarget gives a request another path and query.
func setTarget(x *exchange, target string) {
	header := x.req.Header
	x.req = httptest.NewRequest(x.req.Method, target, nil)
	x.req.Header = header
}

// setMethod gives a request another method.
func setMethod(x *exchange, method string) {
	header := x.req.Header
	x.req = httptest.NewRequest(method, x.req.URL.RequestURI(), nil)
	x.req.Header = header
}

// edit replaces text in a body, which must be there.
func edit(t *testing.T, body *[]byte, old, new string) {
	t.Helper()
	if !strings.Contains(string(*body), old) {
		t.Fatalf("%s does not contain %s", *body, old)
	}
	*body = []byte(strings.Replace(string(*body), old, new, 1))
}
