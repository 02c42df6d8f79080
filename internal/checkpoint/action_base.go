package checkpoint

const (
	invalidResult    = "Invalid JSON in tool result"
	unexpectedResult = "Unexpected tool result"
)

// baseAction is the action of a tool of the base skill.
func (r *Request) baseAction() ([]byte, string) {
	switch r.ToolName {
	case "attemptCompletion":
		return r.attemptCompletionAction()
	case "think":
		return r.thinkAction()
	}
	fields, ok := baseTools[r.ToolName]
	if !ok {
		return r.generalAction([]byte(`"` + baseSkill + `"`))
	}
	literal := firstText(r.lit[slotResultResult])
	if literal == nil {
		return errorAction("No result found")
	}
	result := trimSpace(unquote(literal))
	failure, failed, err := resultError(result)
	if err != nil {
		return errorAction(invalidResult)
	}
	if failed {
		a := newAction("error", len(failure)+16)
		if kindOf(failure) == kindString {
			a.field("error", failure)
		}
		return a.end()
	}
	a := newAction(r.ToolName, len(result)+r.argsLen())
	if r.ToolName == "todo" {
		if a.b, err = r.appendTodoArgs(a.b); err != nil {
			return errorAction(unexpectedResult)
		}
	}
	if a.b, err = appendFields(a.b, result, fields); err != nil {
		return errorAction(unexpectedResult)
	}
	return a.end()
}

// resultError returns the member "error" of a tool result, and whether it has
// one. The error says that the result is no JSON object; one nested deeper than
// the JSON library goes (10,000) counts as none.
func resultError(result []byte) (value []byte, found bool, err error) {
	err = members(result, func(name, v []byte) error {
		if string(name) == "error" {
			value, found = v, true
		}
		return nil
	})
	return value, found, err
}

// attemptCompletionAction takes its result from the text with which the expert
// ended its run.
func (r *Request) attemptCompletionAction() ([]byte, string) {
	message := r.lastOf(listMessages)
	if message == nil {
		return errorAction("No messages found")
	}
	text := messageText(message)
	if text == nil {
		return errorAction("No text found")
	}
	a := newAction("attemptCompletion", len(text)+16)
	a.field("result", text)
	return a.end()
}

func (r *Request) thinkAction() ([]byte, string) {
	thought := pick(r.lit[slotCallArgs], "thought")[0]
	if falsy(thought) {
		return errorAction("No thought found")
	}
	if kindOf(thought) != kindString {
		return errorAction(unexpectedResult)
	}
	a := newAction("think", len(thought)+16)
	a.field("thought", thought)
	return a.end()
}

// falsy reports whether JavaScript takes value, nil if it is absent, for false.
func falsy(value []byte) bool {
	switch kindOf(value) {
	case kindString:
		return len(value) == len(`""`)
	case kindNumber:
		n, _ := parseNumber(value)
		return n == 0
	case kindTrue, kindObject, kindArray:
		return false
	}
	return true
}

// todoArgs are the lists that a todo action takes from the call. Both may be
// left out.
var todoArgs = []field{
	{name: "newTodos", is: fieldStrings},
	{name: "completedTodos", is: fieldNumbers},
}

func (r *Request) appendTodoArgs(dst []byte) ([]byte, error) {
	values := pick(r.lit[slotCallArgs], todoArgs[0].name, todoArgs[1].name)
	for i, v := range values {
		if k := kindOf(v); k == 0 || k == kindNull {
			v = []byte("[]")
		}
		var err error
		if dst, err = todoArgs[i].append(dst, v); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

var (
	pathField   = field{name: "path"}
	mediaFile   = []field{pathField, {name: "mimeType", optional: true}, {name: "size", is: fieldNumber, optional: true}}
	pathOnly    = []field{pathField}
	pathAndText = []field{pathField, {name: "text"}}
)

// baseTools are the tools of the base skill whose action is read from their
// result, with the fields that it has.
var baseTools = map[string][]field{
	"todo": {{name: "todos", is: fieldObjects, of: []field{
		{name: "id", is: fieldNumber}, {name: "title"}, {name: "completed", is: fieldBool},
	}}},
	"readImageFile":   mediaFile,
	"readPdfFile":     mediaFile,
	"readTextFile":    {pathField, {name: "content"}, {name: "from", is: fieldNumber, optional: true}, {name: "to", is: fieldNumber, optional: true}},
	"editTextFile":    {pathField, {name: "newText", optional: true}, {name: "oldText", optional: true}},
	"appendTextFile":  pathAndText,
	"writeTextFile":   pathAndText,
	"deleteFile":      pathOnly,
	"createDirectory": pathOnly,
	"moveFile":        {{name: "source"}, {name: "destination"}},
	"getFileInfo": {
		pathField, {name: "exists", is: fieldBool}, {name: "absolutePath"}, {name: "name"}, {name: "directory"},
		{name: "extension", optional: true}, {name: "mimeType", optional: true}, {name: "size", is: fieldNumber},
		{name: "sizeFormatted"}, {name: "created"}, {name: "modified"}, {name: "accessed"},
		{name: "permissions", is: fieldObject, of: []field{
			{name: "readable", is: fieldBool}, {name: "writable", is: fieldBool}, {name: "executable", is: fieldBool},
		}},
	},
	"listDirectory": {pathField, {name: "items", is: fieldObjects, of: []field{
		{name: "name"}, pathField, {name: "type", is: fieldEntry}, {name: "size", is: fieldNumber}, {name: "modified"},
	}}},
	"testUrl": {{name: "results", is: fieldObjects, of: []field{
		{name: "url"}, {name: "status", is: fieldNumber}, {name: "title"}, {name: "description"},
	}}},
}
