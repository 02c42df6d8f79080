package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// ending is how a simulated job ends.
type ending int

// The endings, in the order in which the jobs of one run take them.
const (
	endCompleted ending = iota
	endError
	endMaxSteps
	// endInteractive stops for the user's answer, then goes on and completes.
	endInteractive
	endings
)

// minSteps is the smallest job: its start, a call and the longest ending.
const minSteps = 5

// jobOptions describe one simulated job.
type jobOptions struct {
	seed   uint64
	stream uint64
	// steps is the number of checkpoints, at least minSteps.
	steps  int
	ending ending
	// start is the time of the first step; the others follow by the seed.
	start time.Time
}

// job simulates the runtime's work on one job. The bodies depend only on the
// options and on the ids that the server answers to delegating checkpoints.
type job struct {
	jobOptions
	rng   *rand.Rand
	clock time.Time
	total usage
	// stepNumber runs on through the whole job, delegates included.
	stepNumber int
	posted     int
	post       postFunc
	last       answer
	err        error
}

var (
	coordinator = expert{Key: "@acme/project-lead@1.0.0", Name: "@acme/project-lead", Version: "1.0.0"}
	delegates   = []expert{
		{Key: "@acme/researcher@0.4.0", Name: "@acme/researcher", Version: "0.4.0"},
		{Key: "@acme/writer@latest", Name: "@acme/writer", Version: "2.0.0-rc.1"},
		{Key: "summarizer", Name: "summarizer", Version: "0.0.1"},
	}
)

// newJob returns the job that o describes.
func newJob(o jobOptions) *job {
	return &job{jobOptions: o, rng: newRand(o.seed, o.stream), clock: o.start}
}

// play posts the job: its start, then moves drawn from a shuffled tour of
// everything a runtime does, then its ending.
func (j *job) play(post postFunc) error {
	j.post = post
	main := j.newConversation(coordinator, "Prepare the release: "+prose(j.rng, 120))
	j.init(main)
	tour := j.tour()
	last := 1
	if j.ending == endInteractive {
		last = 3
	}
	for left := j.steps - j.posted - last; left > 0 && j.err == nil; left = j.steps - j.posted - last {
		if len(tour) == 0 {
			tour = j.tour()
		}
		m := tour[0]
		tour = tour[1:]
		if m.cost > left {
			// What does not fit any more gives way to a plain call.
			m = simpleMove(simpleTools[j.rng.IntN(len(simpleTools))])
		}
		m.play(j, main)
	}
	j.end(main)
	return j.err
}

// move is a part of a job that takes cost checkpoints.
type move struct {
	cost int
	play func(*job, *conversation)
}

// tour returns every move once, in an order of its own.
func (j *job) tour() []move {
	moves := []move{
		{delegationCost, (*job).delegate},
		{interactionCost, (*job).interact},
		{1, (*job).retry},
	}
	for _, t := range simpleTools {
		moves = append(moves, simpleMove(t))
	}
	j.rng.Shuffle(len(moves), func(a, b int) { moves[a], moves[b] = moves[b], moves[a] })
	return moves
}

// simpleMove is one call of t while the run goes on.
func simpleMove(t tool) move {
	return move{1, func(j *job, c *conversation) { j.useTool(c, statusProceeding, t) }}
}

// end posts the ending.
func (j *job) end(c *conversation) {
	switch j.ending {
	case endError:
		j.emit(c, statusError, turn{action: "error"})
	case endMaxSteps:
		j.useTool(c, statusExceededMaxSteps, simpleTools[2])
	case endInteractive:
		j.interact(c)
		j.complete(c)
	default:
		j.complete(c)
	}
}

// turn is what happens in one step.
type turn struct {
	action      string
	newMessages [][]byte
	call        *toolCall
	result      *toolResult
}

// emit posts the next checkpoint of the run c.
func (j *job) emit(c *conversation, status string, t turn) {
	if j.err != nil {
		return
	}
	spent := usage{}
	input := []byte("[]")
	if len(c.pending) > 0 {
		input = encodeArray(c.pending)
	}
	if status != statusInit {
		j.stepNumber++
		c.append(c.pending...)
		c.pending = nil
		c.append(t.newMessages...)
		in := 200 + len(c.joined)/8
		spent = usage{InputTokens: in, OutputTokens: 20 + j.rng.IntN(300), ReasoningTokens: j.rng.IntN(50), CachedInputTokens: in * 4 / 5}
		spent.TotalTokens = spent.InputTokens + spent.OutputTokens
		j.total.add(spent)
	}
	number := j.stepNumber
	if status == statusInit {
		number++
	}
	started := j.clock
	j.clock = j.clock.Add(time.Duration(400+j.rng.IntN(4000)) * time.Millisecond)
	s := stepHalf{StepNumber: number, InputMessages: input, ToolCall: t.call, ToolResult: t.result, Usage: spent, StartedAt: started.UnixMilli()}
	if status != statusInit {
		s.FinishedAt = j.clock.UnixMilli()
	}
	r := encodeBody(checkpointHalf{
		Status: status, StepNumber: number, Expert: c.expert, DelegateTo: c.delegateTo, DelegatedBy: c.delegatedBy,
		Usage: j.total, ContextWindow: contextWindow, ContextWindowUsage: float64(len(c.joined)/4) / contextWindow,
	}, c.array(), s, encodeArray(t.newMessages))
	r.action = t.action
	j.posted++
	r.idempotencyKey = fmt.Sprintf("bench-%x-%d-%d", j.seed, j.stream, j.posted)
	j.last, j.err = j.post(r)
}
