package checkpoint

import (
	"fmt"
	"time"
)

// Catalog is the set of experts that exist in mode catalog. It does not change.
type Catalog struct {
	byKey map[string][]byte // digest JSON by key, "@latest" added to a key without version or tag
}

// ParseCatalog reads a JSON array of expert digests, as they stand in a
// checkpoint. An unknown property, a missing one, one that does not match its
// pattern, and a second digest for a key are errors, which name the entry.
func ParseCatalog(data []byte) (*Catalog, error) {
	if _, err := inspect(data); err != nil {
		return nil, err
	}
	c := &Catalog{byKey: map[string][]byte{}}
	n := 0
	err := elements(data, func(entry []byte) error {
		n++
		d, err := parseCatalogEntry(entry)
		if err == nil {
			key := catalogKey(d.Key)
			if _, twice := c.byKey[key]; twice {
				err = fmt.Errorf("there is an entry for %q already", key)
			}
			c.byKey[key] = d.AppendJSON(nil)
		}
		if err != nil {
			return fmt.Errorf("entry %d (key %q): %w", n, d.Key, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Lookup returns the digest JSON of the expert that key names; a key without
// version or tag means the one with @latest. The bytes must not be changed.
func (c *Catalog) Lookup(key string) (digest []byte, ok bool) {
	digest, ok = c.byKey[catalogKey(key)]
	return digest, ok
}

// Len returns the number of experts.
func (c *Catalog) Len() int {
	return len(c.byKey)
}

// catalogKey returns key with the tag that it means.
func catalogKey(key string) string {
	if name, version, tag, ok := ParseExpertKey(key); ok && version == "" && tag == "" {
		return name + "@latest"
	}
	return key
}

// catalogEntry is a digest with the properties that have one value only.
type catalogEntry struct {
	Digest
	Type              string `json:"type"`
	MinRuntimeVersion string `json:"minRuntimeVersion"`
}

// The properties of a digest and of its owner. An empty description is fine,
// an absent one is not.
var (
	digestProperties = []property{
		{name: "type"}, {name: "id"}, {name: "key"}, {name: "name"}, {name: "minRuntimeVersion"}, {name: "description"},
		{name: "owner"}, {name: "createdAt"}, {name: "updatedAt"}, {name: "version", optional: true}, {name: "tags"},
	}
	ownerProperties = []property{{name: "name", optional: true}, {name: "organizationId"}, {name: "createdAt"}}
)

func parseCatalogEntry(raw []byte) (Digest, error) {
	var e catalogEntry
	if err := unmarshalStrict(raw, &e); err != nil {
		return e.Digest, err
	}
	if err := checkNames(raw, "", digestProperties); err != nil {
		return e.Digest, err
	}
	if err := checkNames(pick(raw, "owner")[0], "owner.", ownerProperties); err != nil {
		return e.Digest, err
	}
	return e.Digest, e.check()
}

// checkNames checks that object has the properties and no others, each once
// and not null. Decoding does not tell: it takes names in any case, and null
// for nothing.
func checkNames(object []byte, prefix string, properties []property) error {
	seen := make([]bool, len(properties))
	err := members(object, func(name, value []byte) error {
		i := find(properties, name)
		switch {
		case i < 0:
			return fmt.Errorf("property %q is unknown", prefix+string(name))
		case seen[i]:
			return fmt.Errorf("property %q is there twice", prefix+string(name))
		case kindOf(value) == kindNull:
			return fmt.Errorf("property %q is null", prefix+string(name))
		}
		seen[i] = true
		return nil
	})
	if err != nil {
		return err
	}
	for i, p := range properties {
		if !seen[i] && !p.optional {
			return fmt.Errorf("property %q is missing", prefix+p.name)
		}
	}
	return nil
}

// check checks the values of an entry against their patterns.
func (e *catalogEntry) check() error {
	d := &e.Digest
	_, _, _, keyOK := ParseExpertKey(d.Key)
	for _, rule := range []struct {
		ok          bool
		name, value string
	}{
		{e.Type == "expertDigest", "type", e.Type},
		{ValidID(d.ID), "id", d.ID},
		{keyOK, "key", d.Key},
		{ValidExpertName(d.Name), "name", d.Name},
		{e.MinRuntimeVersion == minRuntimeVersion, "minRuntimeVersion", e.MinRuntimeVersion},
		{d.Version == "" || ValidExpertVersion(d.Version), "version", d.Version},
		{d.Owner.Name == "" || isWord(d.Owner.Name), "owner.name", d.Owner.Name},
		{ValidID(d.Owner.OrganizationID), "owner.organizationId", d.Owner.OrganizationID},
		{validTime(d.Owner.CreatedAt), "owner.createdAt", d.Owner.CreatedAt},
		{validTime(d.CreatedAt), "createdAt", d.CreatedAt},
		{validTime(d.UpdatedAt), "updatedAt", d.UpdatedAt},
	} {
		if !rule.ok {
			return fmt.Errorf("%s %q is not valid", rule.name, rule.value)
		}
	}
	for _, tag := range d.Tags {
		if !isWord(tag) {
			return fmt.Errorf("tag %q is not valid", tag)
		}
	}
	return nil
}

// validTime reports whether s is a time of RFC 3339, which is what a client
// reads with JavaScript's Date.
func validTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}
