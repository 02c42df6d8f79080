package checkpoint

import (
	"strconv"
	"time"
)

// Assigned is what the server adds to a request. The ids are ids, and the
// digests are JSON of one line.
type Assigned struct {
	ID                string
	RunID             string
	JobID             string
	Sequence          uint64 // 1, 2, 3 … within the job
	CreatedAt         time.Time
	Expert            []byte // digest of checkpoint.expert
	DelegateToExpert  []byte // digest of delegateTo.expert, if there is one
	DelegatedByExpert []byte // digest of delegatedBy.expert, if there is one
	Envelope          Envelope
}

// Envelope is what an answer has around a checkpoint. It is written with it, so
// that the answer is not a second copy of the checkpoint.
type Envelope struct{ Before, After string }

// Document is a checkpoint as every endpoint serves it.
type Document struct {
	JSON       []byte // one line
	Enveloped  []byte // JSON in its envelope, in the same memory
	Parts      []Span // every element of inputMessages, messages and newMessages in JSON, in order, at most MaxParts
	Messages   []Span // those of Parts that are in messages, if these are all that are there
	ActionType string
}

// fixedLen is more than a document takes beside what is copied into it: names,
// ids, times, numbers and brackets.
const fixedLen = 1280

// maxSpare is the part of a document that may be memory that it does not use: a
// quarter.
const maxSpare = 4

// Encode writes the checkpoint that the request makes.
func (r *Request) Encode(a Assigned) Document {
	action, actionType := r.Action()
	before, after := a.Envelope.Before, a.Envelope.After
	e := encoder{r: r, start: len(before), parts: make([]Span, 0, len(r.parts))}
	e.b = make([]byte, 0, len(before)+r.encodedLen(a)+len(action)+len(after))

	e.b = append(e.b, before...)
	e.b = append(e.b, `{"type":"checkpoint","id":"`...)
	e.b = append(e.b, a.ID...)
	e.b = append(e.b, `","action":`...)
	e.b = append(e.b, action...)
	e.b = append(e.b, `,"runId":"`...)
	e.b = append(e.b, a.RunID...)
	e.b = append(e.b, `","expertJobId":"`...)
	e.b = append(e.b, a.JobID...)
	e.b = append(e.b, `","sequence":`...)
	e.b = strconv.AppendUint(e.b, a.Sequence, 10)
	e.literal("stepNumber", slotStepNumber)
	e.literal("status", slotStatus)
	e.name("expert")
	e.b = append(e.b, a.Expert...)
	e.literal("skillName", slotCallSkillName)
	e.literal("toolName", slotCallToolName)
	e.delegateTo(a.DelegateToExpert)
	e.delegatedBy(a.DelegatedByExpert)
	e.list("inputMessages", slotInputMessages, listInputMessages)
	e.list("messages", slotMessages, listMessages)
	e.list("newMessages", slotNewMessages, listNewMessages)
	e.tool("toolCall", slotCall, slotCallID, "args")
	e.tool("toolResult", slotResult, slotResultID, "result")
	e.usage()
	e.literal("contextWindow", slotContextWindow)
	e.literal("contextWindowUsage", slotContextWindowUsage)
	e.time("startedAt", slotStartedAt)
	e.time("finishedAt", slotFinishedAt)
	now := a.CreatedAt.UnixMilli()
	e.b = append(AppendTime(append(e.b, `,"createdAt":"`...), now), '"')
	e.b = append(AppendTime(append(e.b, `,"updatedAt":"`...), now), '"')
	e.b = append(e.b, r.unknown...)
	e.b = append(e.b, '}')
	e.b = append(e.b, after...)
	if spare := cap(e.b) - len(e.b); spare > len(e.b)/maxSpare {
		// It is kept for long, by several.
		e.b = append(make([]byte, 0, len(e.b)), e.b...)
	}
	end := len(e.b) - len(after)
	json := e.b[e.start:end:end]
	return Document{JSON: json, Enveloped: e.b, Parts: e.parts, Messages: e.messages, ActionType: actionType}
}

// encodedLen bounds the length of the document without its action.
func (r *Request) encodedLen(a Assigned) int {
	n := fixedLen + len(r.unknown) + len(a.Expert) + len(a.DelegateToExpert) + len(a.DelegatedByExpert)
	for _, literal := range r.lit {
		n += len(literal)
	}
	// These stand for what is in other slots, or are written differently or not
	// at all.
	for _, s := range [...]slot{slotDelegateTo, slotDelegatedBy, slotCall, slotResult, slotDelegateToQuery} {
		n -= len(r.lit[s])
	}
	for _, s := range [...]slot{slotExpertKey, slotDelegateToKey, slotDelegatedByKey} {
		n -= len(r.lit[s]) + len(r.lit[s+1]) + len(r.lit[s+2]) // in the digest
	}
	return n + len(r.lit[slotCallSkillName]) + len(r.lit[slotCallToolName]) // written twice
}

// encoder appends properties to a document.
type encoder struct {
	r     *Request
	b     []byte
	start int // of the JSON in b
	parts []Span
	// messages are those of parts that are in the list of that name.
	messages []Span
}

// name starts a property.
func (e *encoder) name(name string) {
	e.b = append(e.b, `,"`...)
	e.b = append(e.b, name...)
	e.b = append(e.b, `":`...)
}

// literal appends a property as it came, if it came.
func (e *encoder) literal(name string, s slot) {
	if e.r.lit[s] == nil {
		return
	}
	e.name(name)
	e.b = append(e.b, e.r.lit[s]...)
}

// list appends a list of messages, if it came, and notes where its elements
// stand.
func (e *encoder) list(name string, s slot, id listID) {
	if e.r.lit[s] == nil {
		return
	}
	e.name(name)
	l := &e.r.lists[id]
	shift := len(e.b) - e.start - l.at.Start
	first := len(e.parts)
	for _, p := range e.r.parts[l.from:l.to] {
		e.parts = append(e.parts, Span{p.Start + shift, p.End + shift})
	}
	if id == listMessages && len(e.r.parts) < MaxParts {
		e.messages = e.parts[first:len(e.parts):len(e.parts)]
	}
	e.b = append(e.b, e.r.lit[s]...)
}

// delegateTo appends whom the expert delegates to. Its query is left out, as in
// the document: it stands in the action.
func (e *encoder) delegateTo(expert []byte) {
	if e.r.DelegateTo == nil {
		return
	}
	e.b = append(e.b, `,"delegateTo":{"expert":`...)
	e.b = append(e.b, expert...)
	e.literal("toolCallId", slotDelegateToCallID)
	e.literal("toolName", slotDelegateToToolName)
	e.b = append(e.b, '}')
}

func (e *encoder) delegatedBy(expert []byte) {
	if e.r.DelegatedBy == nil {
		return
	}
	e.b = append(e.b, `,"delegatedBy":{"expert":`...)
	e.b = append(e.b, expert...)
	e.literal("toolCallId", slotDelegatedByCallID)
	e.literal("toolName", slotDelegatedByToolName)
	e.literal("checkpointId", slotDelegatedByCheckpointID)
	e.b = append(e.b, '}')
}

// tool appends the call or the result of a tool, whose id, skillName, toolName
// and content stand in id and the three slots after it.
func (e *encoder) tool(name string, whole, id slot, content string) {
	if e.r.lit[whole] == nil {
		return
	}
	e.name(name)
	e.b = append(e.b, `{"id":`...)
	e.b = append(e.b, e.r.lit[id]...)
	e.literal("skillName", id+1)
	e.literal("toolName", id+2)
	e.literal(content, id+3)
	e.b = append(e.b, '}')
}

func (e *encoder) usage() {
	e.b = append(e.b, `,"usage":{"inputTokens":`...)
	e.b = append(e.b, e.r.lit[slotUsage+usageInput]...)
	e.literal("outputTokens", slotUsage+usageOutput)
	e.literal("reasoningTokens", slotUsage+usageReasoning)
	e.literal("totalTokens", slotUsage+usageTotal)
	e.literal("cachedInputTokens", slotUsage+usageCachedInput)
	e.b = append(e.b, '}')
}

// time appends a time that came in milliseconds, if it came.
func (e *encoder) time(name string, s slot) {
	if e.r.lit[s] == nil {
		return
	}
	e.name(name)
	e.b = append(AppendTime(append(e.b, '"'), e.r.millis(s)), '"')
}
