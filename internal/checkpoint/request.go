package checkpoint

import (
	"math"
	"strconv"
)

// Request is a valid request to create a checkpoint: the body of the
// document's POST. Its parts point into the body it was parsed from, which
// must not change as long as the Request is used.
type Request struct {
	Status      Status
	Expert      ExpertRef
	DelegateTo  *Delegation // nil if absent
	DelegatedBy *Delegator  // nil if absent
	StepUsage   Usage       // the usage of this step alone
	SkillName   string      // of step.toolCall, empty also if it is absent
	ToolName    string      // of step.toolCall, empty also if it is absent

	src     []byte            // the body, compact
	lit     [slotCount][]byte // the literal of each property of the schema, nil if absent
	parts   []Span            // elements of messages, newMessages and inputMessages in src, in its order
	lists   [listCount]list
	unknown []byte // unknown properties of checkpoint, each with a comma before it
}

// ExpertRef is an expert as a request names it: three strings that the schema
// does not restrict. Valid says whether they are acceptable.
type ExpertRef struct {
	Key     string
	Name    string
	Version string
}

// Delegation is checkpoint.delegateTo: whom the expert delegates to.
type Delegation struct {
	Expert     ExpertRef
	ToolCallID string
	ToolName   string
	Query      string
}

// Delegator is checkpoint.delegatedBy: who delegated to the expert.
type Delegator struct {
	Expert       ExpertRef
	ToolCallID   string
	ToolName     string
	CheckpointID string // an id; the checkpoint need not exist
}

// Usage counts tokens. They are finite, and whole where the runtime is sane.
type Usage struct {
	Input       float64
	Output      float64
	Reasoning   float64
	Total       float64
	CachedInput float64
}

// Experts returns the experts that the request names: its own, and those of
// delegateTo and delegatedBy, if there are any.
func (r *Request) Experts() []ExpertRef {
	experts := []ExpertRef{r.Expert}
	if r.DelegateTo != nil {
		experts = append(experts, r.DelegateTo.Expert)
	}
	if r.DelegatedBy != nil {
		experts = append(experts, r.DelegatedBy.Expert)
	}
	return experts
}

// ParseRequest parses and validates the body of a POST. The error is a
// *SyntaxError if body is no JSON that is taken (400), or Faults if it has the
// wrong shape (422).
//
// No JSON is, beyond what the grammar says: invalid UTF-8, nesting deeper than
// MaxDepth, a number longer than MaxNumberLen, and a known property named
// twice in one object. An escaped lone surrogate is taken.
func ParseRequest(body []byte) (*Request, error) {
	spaces, err := inspect(body)
	if err != nil {
		return nil, err
	}
	r, err := walk(body)
	if err != nil {
		return nil, err
	}
	if spaces > 0 {
		// White space goes here, once and for all: what is kept are slices.
		// It had to be checked first, for it may separate what is no JSON.
		compact := appendCompact(make([]byte, 0, len(body)-spaces), body)
		if r, err = walk(compact); err != nil {
			return nil, err
		}
	}
	r.fill()
	return r, nil
}

// fill derives the fields from the literals.
func (r *Request) fill() {
	r.Status, _ = parseStatus(unquote(r.lit[slotStatus]))
	r.Expert = r.expertRef(slotExpertKey)
	if r.lit[slotDelegateTo] != nil {
		r.DelegateTo = &Delegation{
			Expert:     r.expertRef(slotDelegateToKey),
			ToolCallID: r.text(slotDelegateToCallID),
			ToolName:   r.text(slotDelegateToToolName),
			Query:      r.text(slotDelegateToQuery),
		}
	}
	if r.lit[slotDelegatedBy] != nil {
		r.DelegatedBy = &Delegator{
			Expert:       r.expertRef(slotDelegatedByKey),
			ToolCallID:   r.text(slotDelegatedByCallID),
			ToolName:     r.text(slotDelegatedByToolName),
			CheckpointID: r.text(slotDelegatedByCheckpointID),
		}
	}
	r.StepUsage = Usage{
		Input:       r.number(slotStepUsage + usageInput),
		Output:      r.number(slotStepUsage + usageOutput),
		Reasoning:   r.number(slotStepUsage + usageReasoning),
		Total:       r.number(slotStepUsage + usageTotal),
		CachedInput: r.number(slotStepUsage + usageCachedInput),
	}
	r.SkillName = r.text(slotCallSkillName)
	r.ToolName = r.text(slotCallToolName)
}

// expertRef returns the expert whose key, name and version stand in s and the
// two slots after it.
func (r *Request) expertRef(s slot) ExpertRef {
	return ExpertRef{Key: r.text(s), Name: r.text(s + 1), Version: r.text(s + 2)}
}

// text returns the text of a string property, "" if it is absent.
func (r *Request) text(s slot) string {
	if r.lit[s] == nil {
		return ""
	}
	return string(unquote(r.lit[s]))
}

func (r *Request) number(s slot) float64 {
	n, _ := parseNumber(r.lit[s])
	return n
}

// millis returns a time property in whole milliseconds since the epoch. As in
// JavaScript's Date, a fraction is cut off.
func (r *Request) millis(s slot) int64 {
	return int64(math.Trunc(r.number(s)))
}

// parseNumber returns the value of a JSON number, and false if it is too large
// for a double (1E400).
func parseNumber(literal []byte) (float64, bool) {
	n, err := strconv.ParseFloat(string(literal), 64)
	return n, err == nil
}
