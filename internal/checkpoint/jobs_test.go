package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	jobA = "aaa000000000000000000001"
	jobB = "bbb000000000000000000002"
)

func TestParseJobs(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"one", `{"jobs":["` + jobA + `"]}`, "[" + jobA + "]"},
		{"in their order, as often as they are there", ` { "jobs" : [ "` + jobB + `" , "` + jobA + `","` + jobB + `"] } `, "[" + jobB + " " + jobA + " " + jobB + "]"},
		{"escapes", `{"j\u006fbs":["\u0061aa000000000000000000001"]}`, "[" + jobA + "]"},
		{"other properties, twice too", `{"x":1,"Jobs":[],"x":{},"jobs":["` + jobA + `"]}`, "[" + jobA + "]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			jobs, err := ParseJobs([]byte(c.body), 3)
			if err != nil || fmt.Sprint(jobs) != c.want {
				t.Errorf("got %v, %v", jobs, err)
			}
		})
	}
}

// What is no JSON is told by its position, as in every body.
func TestParseJobsRefusesWhatIsNoJSON(t *testing.T) {
	for _, c := range []struct {
		name, body string
		at         int64
	}{
		{"nothing", "", 0},
		{"cut", `{"jobs":["`, 10},
		{"data behind it", `{"jobs":["` + jobA + `"]}x`, 37},
		{"twice", `{"jobs":[],"\u006aobs":[]}`, 11},
		{"invalid UTF-8", "{\"x\":\"\xff\"}", 6},
		{"an open end", `{"jobs":["` + jobA + `",]}`, 35},
		{"NaN", `{"jobs":[NaN]}`, 9},
		{"nested too deep", strings.Repeat(`{"x":`, MaxDepth+1), 5 * MaxDepth},
		{"a long number", `{"x":` + strings.Repeat("1", MaxNumberLen+1) + `}`, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			jobs, err := ParseJobs([]byte(c.body), 3)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != c.at || jobs != nil {
				t.Errorf("got %v, %v; want a fault at %d", jobs, err, c.at)
			}
		})
	}
}

// JSON of another shape is told with all its faults.
func TestParseJobsListsFaults(t *testing.T) {
	long := strings.Repeat("é", 80)
	for _, c := range []struct{ name, body, want string }{
		{"an array", `[]`, "|object|array"},
		{"null", ` null `, "|object|null"},
		{"no jobs", `{}`, "jobs|array|undefined"},
		{"a string", `{"jobs":"x"}`, "jobs|array|string"},
		{"an object", `{"jobs":{"a":[1]}}`, "jobs|array|object"},
		{"none", `{"jobs":[]}`, "jobs|array of 1 to 3|array of 0"},
		{"too many", `{"jobs":["` + strings.Repeat(jobA+`","`, 3) + jobB + `"]}`, "jobs|array of 1 to 3|array of 4"},
		{"all that is wrong", `{"jobs":["` + jobA + `",7,"X",{}]}`, "jobs.1|string|number jobs.2|id|X jobs.3|string|object jobs|array of 1 to 3|array of 4"},
		{"a long one", `{"jobs":["` + long + `"]}`, "jobs.0|id|" + long[:64] + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			jobs, err := ParseJobs([]byte(c.body), 3)
			var faults Faults
			if !errors.As(err, &faults) || jobs != nil {
				t.Fatalf("got %v, %v", jobs, err)
			}
			var got []string
			for _, f := range faults {
				got = append(got, f.Path+"|"+f.Expected+"|"+f.Received)
				if f.Message == "" {
					t.Errorf("no message at %s", f.Path)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
	_, err := ParseJobs([]byte(`{"jobs":[`+strings.Repeat("1,", 5000)+`1]}`), 3)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != MaxFaults {
		t.Errorf("5001 faults are answered with %d", len(faults))
	}
}

// FuzzParseJobs compares ParseJobs with encoding/json.
func FuzzParseJobs(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `[]`, `null`, `{"jobs":[]}`, `{"jobs":["` + jobA + `"]}`, `{"jobs":["` + jobA + `","` + jobB + `",1]}`,
		`{"jobs":["` + jobA + `"],"jobs":null}`, `{"Jobs":["` + jobA + `"]}`, "{\"jobs\":[\"\xff\"]}", `{"jobs":["\u0061aa000000000000000000001"]}`,
		`{"jobs":[` + "\t" + `"` + jobB + `"` + "\n" + `]}{`, `{"a":[[[[`, `{"jobs":["\ud800"]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const limit = 2
		jobs, err := ParseJobs(body, limit)
		var syntax *SyntaxError
		var faults Faults
		switch {
		case errors.As(err, &syntax):
			if syntax.Offset < 0 || syntax.Offset > int64(len(body)) {
				t.Errorf("offset %d of %d", syntax.Offset, len(body))
			}
			if json.Valid(body) && utf8.Valid(body) && !tooMuch(body) && !jobsTwice(body) {
				t.Errorf("%v, but encoding/json takes %s", err, body)
			}
			return
		case !errors.As(err, &faults) && err != nil:
			t.Fatalf("neither syntax nor faults: %v", err)
		case !json.Valid(body) || !utf8.Valid(body) || tooMuch(body) || jobsTwice(body):
			t.Fatalf("taken: %s", body)
		}
		want, ok := plainJobs(body)
		ok = ok && len(want) >= 1 && len(want) <= limit && !slices.ContainsFunc(want, func(id string) bool { return !ValidID(id) })
		if ok != (err == nil) || ok && !slices.Equal(jobs, want) {
			t.Errorf("%s: got %v, %v; encoding/json has %v", body, jobs, err, want)
		}
	})
}

// jobsTwice reports whether the object body has its jobs twice.
func jobsTwice(body []byte) bool {
	jobs := property{name: "jobs", is: typeArray}
	return namedTwice(body, &property{is: typeObject, of: []property{jobs}})
}

// plainJobs reads the jobs of a body that is JSON by encoding/json.
func plainJobs(body []byte) (jobs []string, ok bool) {
	var object map[string]json.RawMessage // names in their case, unlike a struct
	var elements []any
	if json.Unmarshal(body, &object) != nil || json.Unmarshal(object["jobs"], &elements) != nil {
		return nil, false
	}
	for _, e := range elements {
		s, ok := e.(string)
		if !ok {
			return nil, false
		}
		jobs = append(jobs, s)
	}
	return jobs, true
}
