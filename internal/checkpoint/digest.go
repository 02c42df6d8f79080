package checkpoint

import "time"

// minRuntimeVersion is the only value that the document allows.
const minRuntimeVersion = "v1.0"

// Digest is what a checkpoint says about an expert, the document's
// expertDigest. Its times are as JavaScript's toISOString writes them.
type Digest struct {
	ID          string   `json:"id"`
	Key         string   `json:"key"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Owner       Owner    `json:"owner"`
	CreatedAt   string   `json:"createdAt"`
	UpdatedAt   string   `json:"updatedAt"`
	Version     string   `json:"version,omitempty"`
	Tags        []string `json:"tags"`
}

// Owner is the organization that owns an expert.
type Owner struct {
	Name           string `json:"name,omitempty"`
	OrganizationID string `json:"organizationId"`
	CreatedAt      string `json:"createdAt"`
}

// NewDigest returns the digest with which an expert is registered that is seen
// for the first time (mode open): the description is empty, tags holds the tag
// if the key names one, and version is left out if the request's is none. ref
// must be valid; id is the digest's own.
func NewDigest(ref ExpertRef, id string, owner Owner, now time.Time) Digest {
	at := string(AppendTime(nil, now.UnixMilli()))
	d := Digest{ID: id, Key: ref.Key, Name: ref.Name, Owner: owner, CreatedAt: at, UpdatedAt: at, Tags: []string{}}
	if _, _, tag, _ := ParseExpertKey(ref.Key); tag != "" {
		d.Tags = append(d.Tags, tag)
	}
	if ValidExpertVersion(ref.Version) {
		d.Version = ref.Version
	}
	return d
}

// Refresh brings the digest of an expert up to date with a later request for
// it (mode open). A key with a tag, or with none, names whatever is the latest,
// so version and updatedAt follow the request; a key with a version stays as it
// was registered. It reports whether the digest has changed.
func (d *Digest) Refresh(ref ExpertRef, now time.Time) bool {
	if _, version, _, _ := ParseExpertKey(d.Key); version != "" {
		return false
	}
	d.Version = ""
	if ValidExpertVersion(ref.Version) {
		d.Version = ref.Version
	}
	d.UpdatedAt = string(AppendTime(nil, now.UnixMilli()))
	return true
}

// AppendJSON appends the digest as it stands in a checkpoint, on one line.
func (d *Digest) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"expertDigest","id":`...)
	dst = AppendString(dst, d.ID)
	dst = append(dst, `,"key":`...)
	dst = AppendString(dst, d.Key)
	dst = append(dst, `,"name":`...)
	dst = AppendString(dst, d.Name)
	dst = append(dst, `,"minRuntimeVersion":"`+minRuntimeVersion+`","description":`...)
	dst = AppendString(dst, d.Description)
	dst = append(dst, `,"owner":{`...)
	if d.Owner.Name != "" {
		dst = append(dst, `"name":`...)
		dst = append(AppendString(dst, d.Owner.Name), ',')
	}
	dst = append(dst, `"organizationId":`...)
	dst = AppendString(dst, d.Owner.OrganizationID)
	dst = append(dst, `,"createdAt":`...)
	dst = AppendString(dst, d.Owner.CreatedAt)
	dst = append(dst, `},"createdAt":`...)
	dst = AppendString(dst, d.CreatedAt)
	dst = append(dst, `,"updatedAt":`...)
	dst = AppendString(dst, d.UpdatedAt)
	if d.Version != "" {
		dst = append(dst, `,"version":`...)
		dst = AppendString(dst, d.Version)
	}
	dst = append(dst, `,"tags":[`...)
	for i, tag := range d.Tags {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, tag)
	}
	return append(dst, `]}`...)
}
