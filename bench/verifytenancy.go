package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

// tenancyChecks are those of a second organization.
func tenancyChecks() []conformanceCheck {
	return []conformanceCheck{
		{area: "tenancy", rule: "another organization gets 404 for a job, on every method", beyond: true, secondKey: true, check: func(v *verifier) error {
			job, all, err := v.seed(2)
			if err != nil {
				return err
			}
			for _, x := range []struct {
				method, path string
				body         []byte
			}{
				{http.MethodGet, collectionPath(job) + "?take=10&skip=0", nil},
				{http.MethodGet, collectionPath(job) + all[0].id, nil},
				{http.MethodHead, collectionPath(job) + all[0].id, nil},
				{http.MethodGet, collectionPath(job) + "stream", nil},
				{http.MethodPost, collectionPath(job), checkBody(statusProceeding, 3)},
			} {
				r, err := v.as(v.other, x.method, x.path, x.body)
				if err == nil && (r.status != http.StatusNotFound || bytes.Contains(r.body, []byte(all[0].id))) {
					err = fmt.Errorf("status %d: %s", r.status, excerpt(r.body))
				}
				if err != nil {
					return fmt.Errorf("%s %s: %w", x.method, x.path, err)
				}
			}
			p, err := v.list(job, "take=10&skip=0")
			if err == nil {
				err = p.wantPage(2, 10, 0, all)
			}
			return err
		}},
		{area: "tenancy", rule: "a job of another organization looks like one that nobody has", beyond: true, secondKey: true, check: func(v *verifier) error {
			job, all, err := v.seed(1)
			if err != nil {
				return err
			}
			for _, tail := range []string{"?take=10&skip=0", all[0].id, "stream"} {
				taken, err := v.as(v.other, http.MethodGet, collectionPath(job)+tail, nil)
				if err != nil {
					return err
				}
				free, err := v.as(v.other, http.MethodGet, collectionPath(v.newJob())+tail, nil)
				if err != nil {
					return err
				}
				if taken.status != free.status || !bytes.Equal(taken.body, free.body) {
					return fmt.Errorf("GET %s: %d %s, and %d %s", tail, taken.status, excerpt(taken.body), free.status, excerpt(free.body))
				}
			}
			return nil
		}},
		{area: "tenancy", rule: "the body in the cache is not given to another organization", beyond: true, secondKey: true, check: func(v *verifier) error {
			r, err := v.seeded()
			if err != nil {
				return err
			}
			path, tag := r.header.Get(pathHeader), r.header.Get("ETag")
			for range 3 {
				// The first key warms whatever there is.
				if _, err := v.get(path); err != nil {
					return err
				}
				got, err := v.as(v.other, http.MethodGet, path, nil, "If-None-Match", tag)
				if err == nil && got.status != http.StatusNotFound {
					err = fmt.Errorf("status %d: %s", got.status, excerpt(got.body))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{area: "tenancy", rule: "each organization may use the other's Idempotency-Key", beyond: true, secondKey: true, check: func(v *verifier) error {
			post := func(key string, step int) error {
				r, err := v.as(key, http.MethodPost, collectionPath(v.newJob()), checkBody(statusProceeding, step), "Idempotency-Key", "same")
				if err == nil && r.status != http.StatusOK {
					err = fmt.Errorf("status %d: %s", r.status, excerpt(r.body))
				}
				return err
			}
			return errors.Join(post(v.key, 1), post(v.other, 2))
		}},
	}
}
