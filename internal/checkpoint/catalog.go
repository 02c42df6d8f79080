package checkpoint

import (
	"bytes"
	"fmt"
	"slices"
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

// required are the properties that the document requires of a digest. An empty
// description is fine, an absent one is not.
var requiredOfDigest = [...]string{
	"type", "id", "key", "name", "minRuntimeVersion", "description", "owner", "createdAt", "updatedAt", "tags",
}

func parseCatalogEntry(raw []byte) (Digest, error) {
	var e catalogEntry
	if err := UnmarshalStrict(raw, &e); err != nil {
		return e.Digest, err
	}
	var seen []string
	if err := members(raw, func(name, value []byte) error {
		if slices.Contains(seen, string(name)) {
			return fmt.Errorf("property %q is there twice", name)
		}
		if bytes.Equal(value, []byte("null")) {
			return fmt.Errorf("property %q is null", name)
		}
		seen = append(seen, string(name))
		return nil
	}); err != nil {
		return e.Digest, err
	}
	for _, name := range requiredOfDigest {
		if !slices.Contains(seen, name) {
			return e.Digest, fmt.Errorf("property %q is missing", name)
		}
	}
	return e.Digest, e.check()
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
