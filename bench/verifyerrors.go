package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// notAuthenticated is what every 401 says.
var notAuthenticated = isError(http.StatusUnauthorized, "Unauthorized", "Failed to authenticate")

// errorChecks are those of authentication, routes and what a request may not be.
func errorChecks() []conformanceCheck {
	return []conformanceCheck{
		{area: "errors", rule: "without a key, and with a wrong one, each endpoint answers 401", check: func(v *verifier) error {
			job := v.newJob()
			for _, x := range [][2]string{
				{http.MethodGet, collectionPath(job)}, {http.MethodGet, collectionPath(job) + v.newJob()},
				{http.MethodPost, collectionPath(job)}, {http.MethodGet, collectionPath(job) + "stream"},
			} {
				for _, key := range []string{"", "no-key-of-this-server-0123456789"} {
					var body []byte
					if x[0] == http.MethodPost {
						body = checkBody(statusProceeding, 1)
					}
					r, err := v.as(key, x[0], x[1], body)
					if err == nil {
						err = notAuthenticated(r)
					}
					if err != nil {
						return fmt.Errorf("%s %s with the key %q: %w", x[0], x[1], key, err)
					}
				}
			}
			return nil
		}},
		{area: "errors", rule: "a caller without a key learns no more than 401: not of routes, methods or bodies", beyond: true, check: func(v *verifier) error {
			for _, path := range []string{"/api/studio/v1/nothing", collectionPath("BAD"), collectionPath(v.newJob()) + "?take=x"} {
				r, err := v.as("", http.MethodGet, path, nil)
				if err == nil {
					err = notAuthenticated(r)
				}
				if err != nil {
					return fmt.Errorf("GET %s: %w", path, err)
				}
			}
			return nil
		}},
		{area: "errors", rule: "a job id, or checkpoint id, that breaks its pattern is 422", check: func(v *verifier) error {
			job := v.newJob()
			for _, path := range []string{collectionPath("short"), collectionPath(strings.ToUpper(job)), collectionPath(job) + "x", collectionPath("short") + "stream"} {
				if err := v.refuses(http.MethodGet, path, nil, isError(422, "Validation Failed", "")); err != nil {
					return err
				}
			}
			return v.refuses(http.MethodPost, collectionPath("short"), checkBody(statusProceeding, 1), isError(422, "Validation Failed", ""))
		}},
		{area: "errors", rule: "the reason of a 422 is an array that names the parameter", beyond: true, check: func(v *verifier) error {
			job := v.newJob()
			return errors.Join(
				v.refuses(http.MethodGet, collectionPath("short"), nil, hasFaults("expertJobId")),
				v.refuses(http.MethodGet, collectionPath(job)+"x", nil, hasFaults("checkpointId")))
		}},
		{area: "errors", rule: "the list of an unknown job is 404", check: func(v *verifier) error {
			return v.refuses(http.MethodGet, collectionPath(v.newJob())+"?take=10&skip=0", nil, isError(404, "Not Found", ""))
		}},
		{area: "errors", rule: "an unknown checkpoint is 404, in a known job and in an unknown one", check: func(v *verifier) error {
			job, _, err := v.seed(1)
			if err != nil {
				return err
			}
			for _, j := range []string{job, v.newJob()} {
				if err := v.refuses(http.MethodGet, collectionPath(j)+v.newJob(), nil, isError(404, "Not Found", "")); err != nil {
					return err
				}
			}
			return nil
		}},
		{area: "errors", rule: "404 reads \"Expert job not found\" or \"Checkpoint not found\"", beyond: true, check: func(v *verifier) error {
			job, _, err := v.seed(1)
			return errors.Join(err,
				v.refuses(http.MethodGet, collectionPath(v.newJob()), nil, isError(404, "Not Found", "Expert job not found")),
				v.refuses(http.MethodGet, collectionPath(job)+v.newJob(), nil, isError(404, "Not Found", "Checkpoint not found")))
		}},
		{area: "errors", rule: "a body of the wrong shape is 422", check: func(v *verifier) error {
			for _, body := range []string{`{}`, `[]`, `{"checkpoint":{},"step":{}}`, strings.Replace(smallestBody, `"proceeding"`, `"paused"`, 1)} {
				if err := v.refuses(http.MethodPost, collectionPath(v.newJob()), []byte(body), isError(422, "Validation Failed", "")); err != nil {
					return fmt.Errorf("%w (the body was %s)", err, excerpt([]byte(body)))
				}
			}
			return nil
		}},
		{area: "errors", rule: "the reason of a 422 names all faults of a body", beyond: true, check: func(v *verifier) error {
			body := strings.Replace(smallestBody, `"inputTokens":0`, `"inputTokens":"0"`, 1)
			body = strings.Replace(body, `"newMessages":[]`, `"newMessages":{}`, 1)
			return v.refuses(http.MethodPost, collectionPath(v.newJob()), []byte(body), hasFaults("checkpoint.usage.inputTokens", "step.newMessages"))
		}},
		{area: "errors", rule: "a body that is no JSON is 400", beyond: true, check: func(v *verifier) error {
			for _, body := range []string{`{"checkpoint":`, smallestBody + `x`, `nonsense`, `{"checkpoint":NaN,"step":{}}`} {
				if err := v.refuses(http.MethodPost, collectionPath(v.newJob()), []byte(body), isError(400, "Bad Request", "")); err != nil {
					return fmt.Errorf("%w (the body was %s)", err, excerpt([]byte(body)))
				}
			}
			return nil
		}},
		{area: "errors", rule: "a body that is not called JSON is 415", beyond: true, check: func(v *verifier) error {
			return v.refuses(http.MethodPost, collectionPath(v.newJob()), checkBody(statusProceeding, 1),
				func(r reply) error { return r.wantError(415, "Unsupported Media Type", "") }, "Content-Type", "text/plain")
		}},
		{area: "errors", rule: "an expert whose key breaks its pattern is 400", beyond: true, check: func(v *verifier) error {
			body := strings.Replace(smallestBody, `"key":"e"`, `"key":"No Such Expert"`, 1)
			return v.refuses(http.MethodPost, collectionPath(v.newJob()), []byte(body), isError(400, "Bad Request", "Expert not found: No Such Expert"))
		}},
		{area: "errors", rule: "a refused POST does not make the job", check: func(v *verifier) error {
			job := v.newJob()
			if err := v.refuses(http.MethodPost, collectionPath(job), []byte(`{}`), isError(422, "Validation Failed", "")); err != nil {
				return err
			}
			return v.refuses(http.MethodGet, collectionPath(job)+"?take=10&skip=0", nil, isError(404, "Not Found", ""))
		}},
		{area: "errors", rule: "an unknown route is 404 and an unknown method 405 with Allow", beyond: true, check: func(v *verifier) error {
			return errors.Join(
				v.refuses(http.MethodGet, "/api/studio/v1/nothing", nil, isError(404, "Not Found", "")),
				v.refuses(http.MethodDelete, collectionPath(v.newJob()), nil, func(r reply) error {
					if r.header.Get("Allow") == "" {
						return fmt.Errorf("status %d without Allow", r.status)
					}
					return r.wantError(405, "Method Not Allowed", "")
				}))
		}},
	}
}
