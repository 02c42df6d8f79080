package checkpoint

import (
	"encoding/json"
	"strings"
	"testing"
)

const catalogEntryJSON = `{"type":"expertDigest","id":"dddddddddddddddddddddddd","key":"@acme/a@1.0.0","name":"@acme/a",` +
	`"minRuntimeVersion":"v1.0","description":"<A>","owner":{"name":"acme","organizationId":"oooooooooooooooooooooooo","createdAt":"2025-01-01T00:00:00.000Z"},` +
	`"createdAt":"2025-01-02T00:00:00.000Z","updatedAt":"2025-01-03T00:00:00Z","version":"1.0.0","tags":["stable"]}`

func TestCatalogLookup(t *testing.T) {
	second := strings.Replace(catalogEntryJSON, "@acme/a@1.0.0", "b", 1)
	third := strings.Replace(catalogEntryJSON, "@acme/a@1.0.0", "c@latest", 1)
	c, err := ParseCatalog([]byte(" [" + catalogEntryJSON + ",\n" + second + "," + third + "]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Len() != 3 {
		t.Errorf("%d experts", c.Len())
	}
	if d, _ := c.Lookup("@acme/a@1.0.0"); string(d) != catalogEntryJSON {
		t.Errorf("got  %s\nwant %s", d, catalogEntryJSON)
	}
	for key, want := range map[string]bool{
		"b": true, "b@latest": true, "c": true, "c@latest": true,
		"@acme/a": false, "@acme/a@latest": false, "@acme/a@stable": false, "@acme/a@1.0.1": false, "": false, "B": false,
	} {
		if _, ok := c.Lookup(key); ok != want {
			t.Errorf("%q: %v", key, ok)
		}
	}
}

func TestParseCatalogNamesTheFault(t *testing.T) {
	for _, test := range []struct{ name, old, new, want string }{
		{"an unknown property", `"tags"`, `"x":1,"tags"`, `"x"`},
		{"a property in another case", `"tags"`, `"Tags"`, `property "Tags" is unknown`},
		{"a property of the owner in another case", `"organizationId"`, `"organizationID"`, `property "owner.organizationID" is unknown`},
		{"an owner without organization", `"organizationId":"oooooooooooooooooooooooo",`, ``, `property "owner.organizationId" is missing`},
		{"a property twice", `"tags"`, `"id":"dddddddddddddddddddddddd","tags"`, `property "id" is there twice`},
		{"a missing property", `"description":"<A>",`, ``, `property "description" is missing`},
		{"a missing owner", `"owner":{"name":"acme","organizationId":"oooooooooooooooooooooooo","createdAt":"2025-01-01T00:00:00.000Z"},`, ``, `property "owner" is missing`},
		{"null", `["stable"]`, `null`, `property "tags" is null`},
		{"another type", `"expertDigest"`, `"x"`, `type "x" is not valid`},
		{"a bad id", `"dddddddddddddddddddddddd"`, `"D"`, `id "D" is not valid`},
		{"a bad key", `@acme/a@1.0.0`, `A`, `key "A" is not valid`},
		{"a bad name", `"name":"@acme/a"`, `"name":"a.b"`, `name "a.b" is not valid`},
		{"a bad version", `"version":"1.0.0"`, `"version":"1"`, `version "1" is not valid`},
		{"a bad runtime version", `"v1.0"`, `"v2"`, `minRuntimeVersion "v2" is not valid`},
		{"a bad owner", `"oooooooooooooooooooooooo"`, `""`, `owner.organizationId "" is not valid`},
		{"a bad time", `2025-01-02T00:00:00.000Z`, `yesterday`, `createdAt "yesterday" is not valid`},
		{"a bad tag", `"stable"`, `"Stable"`, `tag "Stable" is not valid`},
		{"a tag that is no string", `"stable"`, `1`, `entry 2`},
	} {
		t.Run(test.name, func(t *testing.T) {
			first := strings.Replace(catalogEntryJSON, "@acme/a@1.0.0", "b", 1)
			_, err := ParseCatalog([]byte("[" + first + "," + string(edit(t, catalogEntryJSON, test.old, test.new)) + "]"))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "entry 2") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	twice := strings.Replace(catalogEntryJSON, "@acme/a@1.0.0", "b", 1) + "," + strings.Replace(catalogEntryJSON, "@acme/a@1.0.0", "b@latest", 1)
	if _, err := ParseCatalog([]byte("[" + twice + "]")); err == nil || !strings.Contains(err.Error(), `entry 2 (key "b@latest"): there is an entry`) {
		t.Error(err)
	}
	for _, text := range []string{"", "{}", "[", "null", "[1]", "[] []"} {
		if _, err := ParseCatalog([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// What a digest appends is what a catalog reads.
func TestDigestRoundTrip(t *testing.T) {
	d := NewDigest(ExpertRef{"a@beta", "a", "1.0.0"}, "dddddddddddddddddddddddd", testOwner, testTime)
	text := d.AppendJSON([]byte("["))
	c, err := ParseCatalog(append(text, ']'))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Lookup("a@beta"); string(got) != string(text[1:]) {
		t.Errorf("got %s, want %s", got, text[1:])
	}
	if !json.Valid(text[1:]) {
		t.Error("no JSON")
	}
}
