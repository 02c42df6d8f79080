package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// readChecks are those of GET of one checkpoint.
func readChecks() []conformanceCheck {
	return []conformanceCheck{
		{area: "read", rule: "GET gives what the answer to POST showed", check: func(v *verifier) error {
			job, all, err := v.seed(3)
			if err != nil {
				return err
			}
			for _, s := range all {
				r, err := v.get(collectionPath(job) + s.id)
				if err != nil {
					return err
				}
				got, err := r.checkpoint()
				if err != nil {
					return err
				}
				if !sameJSON(got.raw, s.raw) {
					return fmt.Errorf("GET gives %s, POST gave %s", excerpt(got.raw), excerpt(s.raw))
				}
			}
			return nil
		}},
		{area: "read", rule: "a checkpoint of another job is 404", check: func(v *verifier) error {
			_, all, err := v.seed(1)
			if err != nil {
				return err
			}
			other, _, err := v.seed(1)
			if err != nil {
				return err
			}
			return v.refuses(http.MethodGet, collectionPath(other)+all[0].id, nil, isError(404, "Not Found", ""))
		}},
		{area: "read", rule: "a checkpoint carries a strong ETag and may be kept for ever", beyond: true, check: func(v *verifier) error {
			r, err := v.seeded()
			if err != nil {
				return err
			}
			tag, control := r.header.Get("ETag"), r.header.Get("Cache-Control")
			if !strings.HasPrefix(tag, `"`) || !strings.Contains(control, "private") || !strings.Contains(control, "immutable") {
				return fmt.Errorf("ETag is %q, Cache-Control is %q", tag, control)
			}
			return nil
		}},
		{area: "read", rule: "If-None-Match with the ETag, in a list, or as * is 304 without a body; with another it is 200", beyond: true, check: func(v *verifier) error {
			r, err := v.seeded()
			if err != nil {
				return err
			}
			tag := r.header.Get("ETag")
			for given, want := range map[string]int{tag: 304, `"other", ` + tag: 304, "*": 304, "W/" + tag: 304, `"other"`: 200} {
				got, err := v.do(http.MethodGet, r.header.Get(pathHeader), nil, "If-None-Match", given)
				if err != nil {
					return err
				}
				if got.status != want || (want == 304 && (len(got.body) > 0 || got.header.Get("ETag") != tag)) {
					return fmt.Errorf("If-None-Match: %s gives %d and %d bytes", given, got.status, len(got.body))
				}
			}
			return nil
		}},
		{area: "read", rule: "HEAD gives what GET gives, without the body", beyond: true, check: func(v *verifier) error {
			r, err := v.seeded()
			if err != nil {
				return err
			}
			head, err := v.do(http.MethodHead, r.header.Get(pathHeader), nil)
			if err != nil {
				return err
			}
			if head.status != 200 || len(head.body) > 0 || head.header.Get("ETag") != r.header.Get("ETag") || head.header.Get("Content-Length") != fmt.Sprint(len(r.body)) {
				return fmt.Errorf("status %d, headers %v", head.status, head.header)
			}
			return nil
		}},
		{area: "read", rule: "an answer over 1 KiB is compressed when gzip is offered, with an ETag of its own", beyond: true, check: func(v *verifier) error {
			job := v.newJob()
			body := bytes.Replace(checkBody(statusProceeding, 1), []byte("step 1"), bytes.Repeat([]byte("the same words again. "), 200), 1)
			s, err := v.post(job, body)
			if err != nil {
				return err
			}
			plain, err := v.get(collectionPath(job) + s.id)
			if err != nil {
				return err
			}
			packed, err := v.get(collectionPath(job)+s.id, "Accept-Encoding", "gzip")
			if err != nil {
				return err
			}
			if packed.header.Get("Content-Encoding") != "gzip" || packed.header.Get("ETag") == plain.header.Get("ETag") ||
				!strings.Contains(packed.header.Get("Vary"), "Accept-Encoding") {
				return fmt.Errorf("headers %v", packed.header)
			}
			z, err := gzip.NewReader(bytes.NewReader(packed.body))
			if err != nil {
				return fmt.Errorf("the body is not gzip: %w", err)
			}
			if unpacked, err := io.ReadAll(z); err != nil || !bytes.Equal(unpacked, plain.body) {
				return fmt.Errorf("the body unpacks to something else (%v)", err)
			}
			return nil
		}},
		{area: "read", rule: "errors are not kept: Cache-Control: no-store", beyond: true, check: func(v *verifier) error {
			r, err := v.do(http.MethodGet, collectionPath(v.newJob()), nil)
			if err == nil && !strings.Contains(r.header.Get("Cache-Control"), "no-store") {
				err = fmt.Errorf("Cache-Control is %q", r.header.Get("Cache-Control"))
			}
			return err
		}},
	}
}

// pathHeader is where seeded leaves the path that it read.
const pathHeader = "X-Bench-Path"

// seeded makes a checkpoint and reads it.
func (v *verifier) seeded() (reply, error) {
	job, all, err := v.seed(1)
	if err != nil {
		return reply{}, err
	}
	path := collectionPath(job) + all[0].id
	r, err := v.get(path)
	if err == nil {
		r.header.Set(pathHeader, path)
	}
	return r, err
}

// page is the answer to a list.
type page struct {
	Data struct {
		Checkpoints []json.RawMessage `json:"checkpoints"`
	} `json:"data"`
	Meta struct {
		Total int `json:"total"`
		Take  int `json:"take"`
		Skip  int `json:"skip"`
	} `json:"meta"`
}

// list reads a page of a job.
func (v *verifier) list(job, query string) (page, error) {
	var p page
	r, err := v.get(collectionPath(job) + "?" + query)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return p, fmt.Errorf("a list is no JSON: %w: %s", err, excerpt(r.body))
	}
	return p, nil
}

// wantPage checks that a page is that part of all, in order.
func (p page) wantPage(total, take, skip int, all []stored) error {
	if p.Meta.Total != total || p.Meta.Take != take || p.Meta.Skip != skip || len(p.Data.Checkpoints) != len(all) {
		return fmt.Errorf("meta is %+v and there are %d checkpoints, not total %d, take %d, skip %d and %d", p.Meta, len(p.Data.Checkpoints), total, take, skip, len(all))
	}
	for i, raw := range p.Data.Checkpoints {
		if !sameJSON(raw, all[i].raw) {
			return fmt.Errorf("checkpoint %d of the page is %s, not %s", i+1, excerpt(raw), excerpt(all[i].raw))
		}
	}
	return nil
}

// listChecks are those of lists.
func listChecks() []conformanceCheck {
	return []conformanceCheck{
		{area: "list", rule: "pages hold the checkpoints in order; take, skip and order choose which", check: func(v *verifier) error {
			job, all, err := v.seed(12)
			if err != nil {
				return err
			}
			backwards := make([]stored, len(all))
			for i, s := range all {
				backwards[len(all)-1-i] = s
			}
			for _, c := range []struct {
				query      string
				take, skip int
				want       []stored
			}{
				{"take=10&skip=0", 10, 0, all[:10]}, {"take=10&skip=10", 10, 10, all[10:]}, {"take=100&skip=0", 100, 0, all}, {"take=3&skip=4&order=asc", 3, 4, all[4:7]},
				{"take=3&skip=4&order=desc", 3, 4, backwards[4:7]}, {"take=2&skip=0&sort=createdAt", 2, 0, all[:2]},
				{"take=2&skip=0&sort=updatedAt&order=desc", 2, 0, backwards[:2]}, {"take=10&skip=12", 10, 12, nil},
			} {
				p, err := v.list(job, c.query)
				if err == nil {
					err = p.wantPage(12, c.take, c.skip, c.want)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", c.query, err)
				}
			}
			return nil
		}},
		{area: "list", rule: "absent take and skip are 10 and 0; the path's last slash may be left out; sort takes sequence", beyond: true, check: func(v *verifier) error {
			job, all, err := v.seed(11)
			if err != nil {
				return err
			}
			for _, path := range []string{collectionPath(job), strings.TrimSuffix(collectionPath(job), "/"), collectionPath(job) + "?sort=sequence"} {
				r, err := v.get(path)
				if err != nil {
					return err
				}
				var p page
				if err := json.Unmarshal(r.body, &p); err != nil {
					return err
				}
				if err := p.wantPage(11, 10, 0, all[:10]); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
			}
			return nil
		}},
		{area: "list", rule: "values out of range, or of none of the words, are 422", check: func(v *verifier) error {
			job, _, err := v.seed(1)
			if err != nil {
				return err
			}
			for _, q := range []string{"take=0&skip=0", "take=101&skip=0", "take=x&skip=0", "take=1&skip=-1", "take=1&skip=0&sort=name", "take=1&skip=0&order=up",
				"take=1&skip=0&filter=", "take=1&skip=0&filter=" + strings.Repeat("f", 257)} {
				if err := v.refuses(http.MethodGet, collectionPath(job)+"?"+q, nil, isError(422, "Validation Failed", "")); err != nil {
					return err
				}
			}
			return nil
		}},
		{area: "list", rule: "filter takes text, or an expression; total counts what it leaves", beyond: true, check: func(v *verifier) error {
			job, all, err := v.seed(5, statusInit, statusProceeding, statusProceeding, statusProceeding, statusCompleted)
			if err != nil {
				return err
			}
			for filter, want := range map[string][]stored{
				`COMPLET`: all[4:], `.status == "proceeding"`: all[1:4], `.stepNumber >= 3`: all[2:], `.messages[].type == "userMessage"`: all, `nothing like it`: nil,
			} {
				p, err := v.list(job, "take=10&skip=0&filter="+url.QueryEscape(filter))
				if err == nil {
					err = p.wantPage(len(want), 10, 0, want)
				}
				if err != nil {
					return fmt.Errorf("filter %s: %w", filter, err)
				}
			}
			return v.refuses(http.MethodGet, collectionPath(job)+"?filter="+url.QueryEscape(`.status ==`), nil, hasFaults("filter"))
		}},
	}
}

// sameJSON tells whether a and b are the same JSON but for white space.
func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return errors.Join(json.Compact(&x, a), json.Compact(&y, b)) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
