package main

import "time"

const (
	// growingSteps and growingText make the job of the growth figures: 200
	// steps of two new messages of about 4 KB each come to about 155 MB posted,
	// 1.6 MB of it unique, and a last body of 1.5 MB.
	growingSteps = 200
	growingText  = 3400
)

// growingJob is one long run in which every step reads and writes texts.
type growingJob struct {
	seed  uint64
	steps int
}

// growingJob returns the job of the growth figures, a short one for a smoke run.
func (s *scenario) growingJob() growingJob {
	if s.smoke {
		return growingJob{seed: 1, steps: 20}
	}
	return growingJob{seed: 1, steps: growingSteps}
}

// play posts the start of the run, its steps, and its completion as the last.
func (g growingJob) play(post postFunc) error {
	j := newJob(jobOptions{seed: g.seed, start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	j.post = post
	c := j.newConversation(coordinator, "Go through all files.")
	j.init(c)
	for j.posted < g.steps && j.err == nil {
		path := filePath(j.rng, "md")
		call := &toolCall{
			ID: "toolu_" + newID(j.rng), SkillName: baseSkill, ToolName: "readTextFile", Args: object{"path": path},
		}
		result := &toolResult{ID: call.ID, SkillName: baseSkill, ToolName: "readTextFile", Result: []part{
			j.text(resultText(object{"path": path, "content": prose(j.rng, growingText)})),
		}}
		j.emit(c, statusProceeding, turn{
			action:      "readTextFile",
			newMessages: [][]byte{mustJSON(j.expertMessage(prose(j.rng, growingText), call)), mustJSON(j.toolMessage(*result))},
			call:        call,
			result:      result,
		})
	}
	j.complete(c)
	return j.err
}
