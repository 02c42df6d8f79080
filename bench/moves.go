package main

const (
	// delegationCost counts: delegate, the delegate's start, call and end, and
	// the coordinator's return.
	delegationCost = 5
	// interactionCost counts: the question and the user's answer.
	interactionCost = 2
)

// init announces the start of a run. It has no new messages, so the document's
// rules make its action an error.
func (j *job) init(c *conversation) {
	j.emit(c, statusInit, turn{action: "error"})
}

// useTool is a step in which the model calls t and gets its result.
func (j *job) useTool(c *conversation, status string, t tool) {
	args, text := t.call(j.rng)
	call := &toolCall{ID: "toolu_" + newID(j.rng), SkillName: t.skill, ToolName: t.name, Args: args}
	result := &toolResult{ID: call.ID, SkillName: t.skill, ToolName: t.name, Result: []part{j.text(text)}}
	said := ""
	if j.rng.IntN(2) == 0 {
		said = prose(j.rng, 40+j.rng.IntN(160))
	}
	messages := [][]byte{mustJSON(j.expertMessage(said, call)), mustJSON(j.toolMessage(*result))}
	if t.name == completionTool.name {
		messages = append(messages, mustJSON(j.expertMessage("Done. "+prose(j.rng, 200), nil)))
	}
	j.emit(c, status, turn{action: t.action, newMessages: messages, call: call, result: result})
}

// complete ends a run with its final text.
func (j *job) complete(c *conversation) { j.useTool(c, statusCompleted, completionTool) }

// retry is a step in which the model gave nothing usable; the runtime tells it so.
func (j *job) retry(c *conversation) {
	reason := resultText(object{
		"error":   "Error: No tool call or text generated",
		"message": "You must generate a tool call or provide a response. Try again.",
	})
	j.emit(c, statusProceeding, turn{action: "retry", newMessages: [][]byte{mustJSON(j.userMessage(reason))}})
}

// interact asks the user and goes on with the answer.
func (j *job) interact(c *conversation) {
	call := &toolCall{
		ID: "toolu_" + newID(j.rng), SkillName: "user-input", ToolName: "askUser",
		Args: object{"question": "Deploy to production? \"yes\" / no", "choices": []string{"yes", "no"}},
	}
	ask := j.expertMessage("I need your word for this.", call)
	j.emit(c, statusInteractive, turn{action: "interactiveTool", newMessages: [][]byte{mustJSON(ask)}, call: call})
	j.resume(c, call, "user-input", "yes")
}

// resume is the step with which a run goes on after someone else's work: it
// has a result and no call. Its message is no JSON, so its action is an error.
func (j *job) resume(c *conversation, call *toolCall, skill, text string) {
	result := &toolResult{ID: call.ID, SkillName: skill, ToolName: call.ToolName, Result: []part{j.text(text)}}
	j.emit(c, statusProceeding, turn{
		action: "error", newMessages: [][]byte{mustJSON(j.toolMessage(*result))}, result: result,
	})
}

// delegate hands a task to another expert, plays that expert's run, and
// returns to the coordinator.
func (j *job) delegate(c *conversation) {
	to := delegates[j.rng.IntN(len(delegates))]
	query := "Find out what the notes say: " + prose(j.rng, 80)
	call := &toolCall{
		ID: "toolu_" + newID(j.rng), SkillName: to.Name, ToolName: "delegate", Args: object{"query": query},
	}
	c.delegateTo = &delegateTo{Expert: to, ToolCallID: call.ID, ToolName: call.ToolName, Query: query}
	j.emit(c, statusDelegate, turn{
		action: "delegate", newMessages: [][]byte{mustJSON(j.expertMessage("I hand this over.", call))}, call: call,
	})

	d := j.newConversation(to, query)
	d.delegatedBy = &delegatedBy{Expert: c.expert, ToolCallID: call.ID, ToolName: call.ToolName, CheckpointID: j.last.id}
	j.init(d)
	j.useTool(d, statusProceeding, simpleTools[2])
	report := prose(j.rng, 300)
	// A run that completes with text alone has no call: its action is an error.
	j.emit(d, statusCompleted, turn{action: "error", newMessages: [][]byte{mustJSON(j.expertMessage(report, nil))}})

	j.resume(c, call, "delegate/"+to.Key, report)
}
