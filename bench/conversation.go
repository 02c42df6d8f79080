package main

// contextWindow is the simulated model's window in tokens.
const contextWindow = 200_000

// conversation is one run of one expert: its messages so far, already encoded.
type conversation struct {
	expert      expert
	delegateTo  *delegateTo
	delegatedBy *delegatedBy
	// joined holds the encoded messages, separated by commas.
	joined []byte
	// pending holds the instruction and the query until the first step carries them.
	pending [][]byte
}

// newConversation returns a run of e that was asked query.
func (j *job) newConversation(e expert, query string) *conversation {
	instruction := message{Type: "instructionMessage", ID: newID(j.rng), Cache: true, Contents: []part{
		j.text("You are the expert \"" + e.Key + "\", working in a loop of tool calls inside a sandboxed workspace.\n" + prose(j.rng, 900)),
	}}
	return &conversation{expert: e, pending: [][]byte{mustJSON(instruction), mustJSON(j.userMessage(query))}}
}

// append adds encoded messages.
func (c *conversation) append(messages ...[]byte) {
	for _, m := range messages {
		if len(c.joined) > 0 {
			c.joined = append(c.joined, ',')
		}
		c.joined = append(c.joined, m...)
	}
}

// array returns the messages as a JSON array.
func (c *conversation) array() []byte {
	a := make([]byte, 0, len(c.joined)+2)
	return append(append(append(a, '['), c.joined...), ']')
}

// text returns a text part.
func (j *job) text(s string) part { return part{Type: "textPart", ID: newID(j.rng), Text: s} }

// userMessage returns what a person said.
func (j *job) userMessage(s string) message {
	return message{Type: "userMessage", ID: newID(j.rng), Contents: []part{j.text(s)}}
}

// expertMessage returns what the model said, and the tool it calls if any.
func (j *job) expertMessage(s string, call *toolCall) message {
	m := message{Type: "expertMessage", ID: newID(j.rng)}
	if s != "" {
		m.Contents = append(m.Contents, j.text(s))
	}
	if call != nil {
		m.Contents = append(m.Contents, part{
			Type: "toolCallPart", ID: newID(j.rng), ToolCallID: call.ID, ToolName: call.ToolName, Args: call.Args,
		})
	}
	return m
}

// toolMessage returns what a tool answered.
func (j *job) toolMessage(r toolResult) message {
	return message{Type: "toolMessage", ID: newID(j.rng), Contents: []part{{
		Type: "toolResultPart", ID: newID(j.rng), ToolCallID: r.ID, ToolName: r.ToolName, Contents: r.Result,
	}}}
}
