package checkpoint

import (
	"testing"
	"time"
)

var testOwner = Owner{OrganizationID: "oooooooooooooooooooooooo", CreatedAt: "2025-01-01T00:00:00.000Z"}

func TestNewDigest(t *testing.T) {
	const head = `{"type":"expertDigest","id":"dddddddddddddddddddddddd",`
	const tail = `"minRuntimeVersion":"v1.0","description":"","owner":{"organizationId":"oooooooooooooooooooooooo","createdAt":"2025-01-01T00:00:00.000Z"},` +
		`"createdAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:04:05.678Z"`
	for _, test := range []struct {
		name string
		ref  ExpertRef
		want string
	}{
		{"a key with a version", ExpertRef{"@acme/a@1.0.0", "@acme/a", "1.0.0"}, `"key":"@acme/a@1.0.0","name":"@acme/a",` + tail + `,"version":"1.0.0","tags":[]}`},
		{"a key with a tag", ExpertRef{"a@latest", "a", "2.0.0-rc.1"}, `"key":"a@latest","name":"a",` + tail + `,"version":"2.0.0-rc.1","tags":["latest"]}`},
		{"a key alone, and no version", ExpertRef{"a", "a", "dev"}, `"key":"a","name":"a",` + tail + `,"tags":[]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := NewDigest(test.ref, "dddddddddddddddddddddddd", testOwner, testTime)
			if got := string(d.AppendJSON(nil)); got != head+test.want {
				t.Errorf("got  %s\nwant %s", got, head+test.want)
			}
		})
	}
}

func TestDigestRefresh(t *testing.T) {
	later := testTime.Add(time.Second)
	for _, test := range []struct {
		name, key, version string
		want               string // "version updatedAt"
	}{
		{"a version stays", "a@1.0.0", "1.0.1", "1.0.0 2026-01-02T03:04:05.678Z"},
		{"a tag follows", "a@latest", "1.0.1", "1.0.1 2026-01-02T03:04:06.678Z"},
		{"a key alone follows", "a", "1.0.1", "1.0.1 2026-01-02T03:04:06.678Z"},
		{"what is no version takes it away", "a", "dev", " 2026-01-02T03:04:06.678Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := NewDigest(ExpertRef{test.key, "a", "1.0.0"}, "dddddddddddddddddddddddd", testOwner, testTime)
			before := d.UpdatedAt
			changed := d.Refresh(ExpertRef{test.key, "a", test.version}, later)
			if got := d.Version + " " + d.UpdatedAt; got != test.want || changed != (d.UpdatedAt != before) {
				t.Errorf("got %s, changed %v", got, changed)
			}
		})
	}
}
