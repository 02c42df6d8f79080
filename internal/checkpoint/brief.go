package checkpoint

import "fmt"

// maxBrief is how long, in bytes, a property of an action or a tool result may be
// that a brief keeps: a path, a command or an error fits, a file does not.
const maxBrief = 512

// AppendBrief appends to dst what a timeline shows of a checkpoint: its own JSON
// without messages, tool call and expert digests, and with what is short of its
// action and tool result. Values stay as they are, byte for byte, and in their
// order. json is a checkpoint as the API gives it; its messages may have been left
// out. The error is a *SyntaxError if it is none.
func AppendBrief(dst, json []byte) ([]byte, error) {
	b := brief{dst: dst}
	b.open('{')
	err := members(json, func(name, value []byte) error {
		switch string(name) {
		case "id", "sequence", "runId", "stepNumber", "status", "skillName", "toolName", "usage",
			"contextWindow", "contextWindowUsage", "startedAt", "finishedAt", "createdAt":
			b.property(name, value)
		case "expert", "delegateTo", "delegatedBy":
			return b.within(name, value)
		case "action", "toolResult":
			return b.short(name, value)
		}
		return nil
	})
	if err != nil {
		return dst, fmt.Errorf("brief of a checkpoint: %w", err)
	}
	b.close('}')
	return b.dst, nil
}

// brief is JSON in the making.
type brief struct {
	dst   []byte
	comma bool // the next property is not the first of its object
}

func (b *brief) open(c byte) { b.dst, b.comma = append(b.dst, c), false }

func (b *brief) close(c byte) { b.dst, b.comma = append(b.dst, c), true }

func (b *brief) name(name []byte) {
	if b.comma {
		b.dst = append(b.dst, ',')
	}
	b.dst = append(AppendString(b.dst, string(name)), ':')
}

func (b *brief) property(name, value []byte) {
	b.name(name)
	b.dst, b.comma = append(b.dst, value...), true
}

// object writes an object with what each writes; a value that is none is left out.
func (b *brief) object(name, value []byte, each func(name, value []byte) error) error {
	if kindOf(value) != kindObject {
		return nil
	}
	b.name(name)
	b.open('{')
	if err := members(value, each); err != nil {
		return err
	}
	b.close('}')
	return nil
}

// within keeps of an expert its key, and of a delegation whose it is.
func (b *brief) within(name, value []byte) error {
	return b.object(name, value, func(name, value []byte) error {
		switch string(name) {
		case "key", "checkpointId":
			b.property(name, value)
		case "expert":
			return b.within(name, value)
		}
		return nil
	})
}

// short keeps the properties of an object that are.
func (b *brief) short(name, value []byte) error {
	return b.object(name, value, func(name, value []byte) error {
		if len(value) <= maxBrief {
			b.property(name, value)
		}
		return nil
	})
}
