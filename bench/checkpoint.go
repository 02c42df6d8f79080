package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The statuses of a checkpoint, from the API document's table.
const (
	statusInit             = "init"
	statusProceeding       = "proceeding"
	statusCompleted        = "completed"
	statusInteractive      = "stoppedByInteractiveTool"
	statusDelegate         = "stoppedByDelegate"
	statusExceededMaxSteps = "stoppedByExceededMaxSteps"
	statusError            = "stoppedByError"
)

// expert is an expert as a request names it.
type expert struct {
	Key     string `json:"key"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// delegateTo is the expert to which a coordinator hands a task.
type delegateTo struct {
	Expert     expert `json:"expert"`
	ToolCallID string `json:"toolCallId"`
	ToolName   string `json:"toolName"`
	Query      string `json:"query"`
}

// delegatedBy is where a delegate's task comes from. CheckpointID is the id
// that the server gave to the delegating checkpoint.
type delegatedBy struct {
	Expert       expert `json:"expert"`
	ToolCallID   string `json:"toolCallId"`
	ToolName     string `json:"toolName"`
	CheckpointID string `json:"checkpointId"`
}

// usage counts tokens.
type usage struct {
	InputTokens       int `json:"inputTokens"`
	OutputTokens      int `json:"outputTokens"`
	ReasoningTokens   int `json:"reasoningTokens"`
	TotalTokens       int `json:"totalTokens"`
	CachedInputTokens int `json:"cachedInputTokens"`
}

// add counts v in.
func (u *usage) add(v usage) {
	u.InputTokens += v.InputTokens
	u.OutputTokens += v.OutputTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.TotalTokens += v.TotalTokens
	u.CachedInputTokens += v.CachedInputTokens
}

// toolCall is the call of a tool by a model.
type toolCall struct {
	ID        string `json:"id"`
	SkillName string `json:"skillName"`
	ToolName  string `json:"toolName"`
	Args      any    `json:"args"`
}

// toolResult is what a tool answered; Result holds message parts.
type toolResult struct {
	ID        string `json:"id"`
	SkillName string `json:"skillName"`
	ToolName  string `json:"toolName"`
	Result    []part `json:"result"`
}

// message is one entry of a conversation.
type message struct {
	Type     string `json:"type"`
	Contents []part `json:"contents"`
	ID       string `json:"id"`
	Cache    bool   `json:"cache,omitempty"`
}

// part is one piece of a message: a text, a tool call or a tool result.
type part struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Text       string `json:"text,omitempty"`
	ToolCallID string `json:"toolCallId,omitempty"`
	ToolName   string `json:"toolName,omitempty"`
	Args       any    `json:"args,omitempty"`
	Contents   []part `json:"contents,omitempty"`
}

// checkpointHalf is the first half of a body, without the messages.
type checkpointHalf struct {
	Status             string       `json:"status"`
	StepNumber         int          `json:"stepNumber"`
	Expert             expert       `json:"expert"`
	DelegateTo         *delegateTo  `json:"delegateTo,omitempty"`
	DelegatedBy        *delegatedBy `json:"delegatedBy,omitempty"`
	Usage              usage        `json:"usage"`
	ContextWindow      int          `json:"contextWindow"`
	ContextWindowUsage float64      `json:"contextWindowUsage"`
}

// stepHalf is the second half of a body, without the new messages.
type stepHalf struct {
	StepNumber    int             `json:"stepNumber"`
	InputMessages json.RawMessage `json:"inputMessages,omitempty"`
	ToolCall      *toolCall       `json:"toolCall,omitempty"`
	ToolResult    *toolResult     `json:"toolResult,omitempty"`
	Usage         usage           `json:"usage"`
	StartedAt     int64           `json:"startedAt"`
	FinishedAt    int64           `json:"finishedAt,omitempty"`
}

// encodeBody builds a body from its halves and the already encoded messages,
// each a JSON array. Appending keeps a job of many steps linear in the bytes
// it posts: no message is encoded twice.
func encodeBody(c checkpointHalf, messages []byte, s stepHalf, newMessages []byte) request {
	head, tail := mustJSON(c), mustJSON(s)
	b := make([]byte, 0, len(head)+len(tail)+len(messages)+len(newMessages)+64)
	b = append(b, `{"checkpoint":{"messages":`...)
	messagesAt := len(b)
	b = append(b, messages...)
	b = append(b, ',')
	b = append(b, head[1:]...)
	b = append(b, `,"step":{"newMessages":`...)
	newAt := len(b)
	b = append(b, newMessages...)
	b = append(b, ',')
	b = append(b, tail[1:]...)
	b = append(b, '}')
	return request{
		body:        b,
		status:      c.Status,
		stepNumber:  c.StepNumber,
		messages:    b[messagesAt : messagesAt+len(messages)],
		newMessages: b[newAt : newAt+len(newMessages)],
	}
}

// encodeArray joins encoded values to a JSON array.
func encodeArray(values [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(values, []byte{','})...), ']')
}

// mustJSON encodes a value of this package, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cannot encode %T: %v", v, err))
	}
	return b
}
