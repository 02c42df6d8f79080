package proxy

import (
	"crypto/sha256"
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// draft is a checkpoint that stands in the copy until the upstream has made its
// own of the request. Its run and its experts are what can be known here: the run
// goes on from the last checkpoint of its line, and an expert has a digest that the
// upstream's replaces.
type draft struct {
	request *checkpoint.Request
	job, id string
	at      time.Time
	owner   checkpoint.Owner
}

// make is store.Acceptance.Make.
func (d *draft) make(slot store.Slot) (store.Copy, error) {
	var run checkpoint.Run
	if last, err := checkpoint.ParseImported(slot.Last); slot.Last != nil && err == nil {
		run = checkpoint.Run{ID: last.RunID, Ended: last.Status.EndsRun()}
	}
	run, _ = run.Next(d.request.Status, checkpoint.NewID)
	assigned := checkpoint.Assigned{
		ID: d.id, RunID: run.ID, JobID: d.job, Sequence: slot.Place, CreatedAt: d.at, Expert: d.digest(d.request.Expert),
	}
	if d.request.DelegateTo != nil {
		assigned.DelegateToExpert = d.digest(d.request.DelegateTo.Expert)
	}
	if d.request.DelegatedBy != nil {
		assigned.DelegatedByExpert = d.digest(d.request.DelegatedBy.Expert)
	}
	doc := d.request.Encode(assigned)
	located, err := checkpoint.Locate(doc.JSON)
	return store.Copy{JSON: doc.JSON, Located: located, At: d.at}, err
}

// digest returns the digest of an expert, with the same id each time that its key
// is named by the same organization.
func (d *draft) digest(ref checkpoint.ExpertRef) []byte {
	owner := d.owner
	owner.CreatedAt = string(checkpoint.AppendTime(nil, d.at.UnixMilli()))
	digest := checkpoint.NewDigest(ref, derivedID(owner.OrganizationID+"/"+ref.Key), owner, d.at)
	return digest.AppendJSON(nil)
}

// derivedID makes an id of a text.
func derivedID(text string) string {
	sum := sha256.Sum256([]byte(text))
	id := make([]byte, checkpoint.IDLen)
	for i := range id {
		id[i] = 'a' + sum[i]%26
	}
	return string(id)
}
