package main

import (
	"fmt"
	"time"

	"milepost/internal/checkpoint"
)

const (
	// documentJob is the id of the job to which all documents belong.
	documentJob = "j00000000000000000000000"
	// documentExpert stands for the digest of every expert in a document.
	documentExpert = `{"type":"expertDigest"}`
)

// document is a checkpoint as the server would store it.
type document struct {
	checkpoint.Document
	line    checkpoint.Line
	summary checkpoint.Summary
}

// documentID returns the id of the document with that sequence.
func documentID(sequence uint64) string { return fmt.Sprintf("c%023d", sequence) }

// documentsOf plays a job and returns what the server would store of it.
func documentsOf(job source) ([]document, error) {
	var docs []document
	err := job.play(func(r request) (answer, error) {
		parsed, err := checkpoint.ParseRequest(r.body)
		if err != nil {
			return answer{}, err
		}
		sequence := uint64(len(docs) + 1)
		d := document{line: parsed.Line(), Document: parsed.Encode(checkpoint.Assigned{
			ID: documentID(sequence), RunID: documentID(0), JobID: documentJob, Sequence: sequence,
			CreatedAt: time.UnixMilli(1767323045678),
			Expert:    []byte(documentExpert), DelegateToExpert: []byte(documentExpert), DelegatedByExpert: []byte(documentExpert),
		})}
		d.summary = checkpoint.Summary{
			Status: string(parsed.Status), ActionType: d.ActionType, ExpertKey: parsed.Expert.Key,
			SkillName: parsed.SkillName, ToolName: parsed.ToolName,
		}
		docs = append(docs, d)
		return answer{id: documentID(sequence), sequence: int64(sequence)}, nil
	})
	return docs, err
}
