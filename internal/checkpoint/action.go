package checkpoint

import "strings"

// baseSkill is the name of the skill whose tools have actions of their own. A
// version may stand behind it, so it is a prefix.
const baseSkill = "@perstack/base"

// Action returns the action of the checkpoint, what the step did, as JSON of
// one line, and its type. The rules are those of semantics.md, "action".
//
// The action always has the shape that the reference client checks, because
// that client drops an event whose action has not: where the rules give
// something else, the action is an error.
func (r *Request) Action() (json []byte, typ string) {
	called := r.SkillName != "" && r.ToolName != ""
	switch {
	case r.Status == StatusStoppedByDelegate && r.DelegateTo != nil:
		return r.delegateAction()
	case r.Status == StatusStoppedByInteractiveTool && called:
		a := newAction("interactiveTool", r.argsLen())
		a.field("skillName", r.lit[slotCallSkillName])
		a.field("toolName", r.lit[slotCallToolName])
		a.field("args", r.lit[slotCallArgs])
		return a.end()
	case !called || r.lit[slotResult] == nil:
		return r.retryAction()
	case strings.HasPrefix(r.SkillName, baseSkill):
		return r.baseAction()
	}
	return r.generalAction(r.lit[slotCallSkillName])
}

func (r *Request) delegateAction() ([]byte, string) {
	if r.lastOf(listMessages) == nil {
		return errorAction("No messages found for delegate action")
	}
	a := newAction("delegate", len(r.lit[slotDelegateToKey])+len(r.lit[slotDelegateToQuery])+64)
	a.b = append(a.b, `,"delegateTo":[{"expertKey":`...)
	a.b = append(a.b, r.lit[slotDelegateToKey]...)
	a.field("query", r.lit[slotDelegateToQuery])
	a.b = append(a.b, `}]`...)
	return a.end()
}

// generalAction is the action of a tool that has none of its own.
func (r *Request) generalAction(skillName []byte) ([]byte, string) {
	a := newAction("generalTool", r.argsLen()+len(r.lit[slotResultResult]))
	a.field("skillName", skillName)
	a.field("toolName", r.lit[slotCallToolName])
	a.field("args", r.lit[slotCallArgs])
	a.field("result", r.lit[slotResultResult])
	return a.end()
}

// argsLen bounds the length of an action with the call and its args.
func (r *Request) argsLen() int {
	return len(r.lit[slotCallArgs]) + len(r.lit[slotCallSkillName]) + len(r.lit[slotCallToolName]) + 64
}

// retryAction is the action of a step that has no tool call with a result: the
// runtime then puts the reason into the first new message, as JSON.
func (r *Request) retryAction() ([]byte, string) {
	message := r.firstOf(listNewMessages)
	if message == nil {
		return errorAction("No new messages found")
	}
	literal := messageText(message)
	if literal == nil {
		return errorAction("No text part found in retry message")
	}
	text := trimSpace(unquote(literal))
	if kindOf(text) == kindNull || !isJSON(text) {
		return errorAction("Failed to parse retry message")
	}
	values := [2][]byte{[]byte(`"Unknown error"`), []byte(`""`)}
	if kindOf(text) == kindObject {
		given := pick(text, "error", "message")
		for i, v := range given {
			switch kindOf(v) {
			case 0, kindNull:
			case kindString:
				values[i] = v
			default:
				return errorAction(unexpectedResult)
			}
		}
	}
	a := newAction("retry", len(values[0])+len(values[1])+32)
	a.field("error", values[0])
	a.field("message", values[1])
	return a.end()
}

// actionWriter writes an action.
type actionWriter struct {
	b   []byte
	typ string
}

// newAction starts an action with room for size more bytes.
func newAction(typ string, size int) *actionWriter {
	a := &actionWriter{b: make([]byte, 0, size+64), typ: typ}
	a.b = append(a.b, `{"type":"`...)
	a.b = append(a.b, typ...)
	a.b = append(a.b, '"')
	return a
}

// field appends a field whose value is JSON of one line.
func (a *actionWriter) field(name string, value []byte) {
	a.b = append(a.b, `,"`...)
	a.b = append(a.b, name...)
	a.b = append(a.b, `":`...)
	a.b = append(a.b, value...)
}

func (a *actionWriter) end() ([]byte, string) {
	return append(a.b, '}'), a.typ
}

// errorAction is the action of a step whose own action cannot be told.
func errorAction(reason string) ([]byte, string) {
	a := newAction("error", len(reason)+32)
	a.field("error", AppendString(nil, reason))
	return a.end()
}
