package checkpoint

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrNotCheckpoint says that a JSON text is not what it should be: a checkpoint
// with an id, or an answer that holds one or a list of them.
var ErrNotCheckpoint = errors.New("not a checkpoint of the API")

// Located is what must be known of a checkpoint that an API has answered, to
// keep it without changing a byte of it. What is absent or of another type than
// the document says is left empty, for the API may be newer than we are.
type Located struct {
	ID       string
	Sequence uint64 // as the API gave it, 0 if it gave none or no whole number
	Status   Status // as the API gave it, perhaps none that we know
	// Delegated says that delegatedBy is there and not null, and Line is the
	// line of runs that the checkpoint belongs to, from its strings.
	Delegated bool
	Line      Line

	// Parts is where the elements of inputMessages, messages and newMessages
	// stand, in order, at most MaxParts.
	Parts []Span

	// Usage is what the job has used, added up over it. HasUsage says that it is
	// there and an object of finite numbers.
	Usage    Usage
	HasUsage bool

	ActionType string // of action.type
	ExpertKey  string // of expert.key
	SkillName  string
	ToolName   string
}

// JobStatus is the status of a job whose last checkpoint this is.
func (l *Located) JobStatus() JobStatus { return JobStatusOf(l.Status, l.Delegated) }

// Summary is what a text filter looks at.
func (l *Located) Summary() Summary {
	return Summary{
		Status: string(l.Status), ActionType: l.ActionType, ExpertKey: l.ExpertKey,
		SkillName: l.SkillName, ToolName: l.ToolName,
	}
}

// maxSequence is the greatest whole number that every client of the API can
// hold: JavaScript's numbers are doubles.
const maxSequence = 1<<53 - 1

// Locate reads a checkpoint as an API answers it. Of a name that is there twice
// the last counts, as for JSON.parse. The error is a *SyntaxError if the text is
// no JSON, or ErrNotCheckpoint if it is no object with an id.
func Locate(json []byte) (Located, error) {
	r := read(json)
	defer r.close()
	var l Located
	var by Line
	isObject, err := r.eachMember(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			l.ID, err = r.text()
		case "sequence":
			l.Sequence, err = r.whole()
		case "status":
			var status string
			status, err = r.text()
			l.Status = Status(status)
		case "skillName":
			l.SkillName, err = r.text()
		case "toolName":
			l.ToolName, err = r.text()
		case "action":
			l.ActionType, err = r.textOf("type")
		case "expert":
			l.ExpertKey, err = r.textOf("key")
		case "delegatedBy":
			l.Delegated, by = r.kind() != kindNull, Line{}
			_, err = r.eachMember(func(name []byte) (err error) {
				switch string(name) {
				case "checkpointId":
					by.CheckpointID, err = r.text()
				case "toolCallId":
					by.ToolCallID, err = r.text()
				default:
					_, err = r.value()
				}
				return err
			})
		case "usage":
			l.Usage = Usage{}
			l.HasUsage, err = r.usage(&l.Usage)
		case "inputMessages", "messages", "newMessages":
			_, err = r.eachElement(func(at Span) error {
				if len(l.Parts) < MaxParts {
					l.Parts = append(l.Parts, at)
				}
				return nil
			})
		default:
			_, err = r.value()
		}
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return Located{}, err
	}
	if !isObject || !ValidID(l.ID) {
		return Located{}, ErrNotCheckpoint
	}
	if l.Delegated {
		by.ExpertKey = l.ExpertKey
		l.Line = by
	}
	return l, nil
}

// LocateOne returns where data.checkpoint stands in the body of an answer with
// one checkpoint. Its errors are those of Locate, but what is in the checkpoint
// is not looked at.
func LocateOne(body []byte) (Span, error) {
	r := read(body)
	defer r.close()
	var one Span
	_, err := r.eachMember(func(name []byte) (err error) {
		if string(name) != "data" {
			_, err = r.value()
			return err
		}
		one = Span{}
		_, err = r.eachMember(func(name []byte) error {
			at, err := r.value()
			if string(name) == "checkpoint" {
				one = at
			}
			return err
		})
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return Span{}, err
	}
	if kindOf(one.of(body)) != kindObject {
		return Span{}, ErrNotCheckpoint
	}
	return one, nil
}

// LocatedList is where the checkpoints of a list stand.
type LocatedList struct {
	Checkpoints []Span // each of data.checkpoints, whatever it is
	Total       uint64 // of meta.total
	HasTotal    bool   // meta.total is there and a whole number
}

// maxListed bounds the checkpoints of one answer. The document's take is at most
// a hundred, but a body of ones and commas has millions.
const maxListed = 1 << 16

// LocateList returns where the checkpoints stand in the body of an answer with a
// list. Its errors are those of Locate; more than 65,536 elements are
// ErrNotCheckpoint, too.
func LocateList(body []byte) (LocatedList, error) {
	r := read(body)
	defer r.close()
	var l LocatedList
	isList := false
	list := func(name []byte) (err error) {
		if string(name) != "checkpoints" {
			_, err = r.value()
			return err
		}
		l.Checkpoints = nil
		isList, err = r.eachElement(func(at Span) error {
			if len(l.Checkpoints) == maxListed {
				return ErrNotCheckpoint
			}
			l.Checkpoints = append(l.Checkpoints, at)
			return nil
		})
		return err
	}
	total := func(name []byte) (err error) {
		if string(name) != "total" {
			_, err = r.value()
			return err
		}
		at, err := r.value()
		if err != nil {
			return err
		}
		l.Total, l.HasTotal = wholeNumber(at.of(body))
		return nil
	}
	_, err := r.eachMember(func(name []byte) (err error) {
		switch string(name) {
		case "data":
			l.Checkpoints, isList = nil, false
			_, err = r.eachMember(list)
		case "meta":
			l.Total, l.HasTotal = 0, false
			_, err = r.eachMember(total)
		default:
			_, err = r.value()
		}
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return LocatedList{}, err
	}
	if !isList {
		return LocatedList{}, ErrNotCheckpoint
	}
	return l, nil
}

// OneLine returns JSON without line breaks, as the data of an event must be:
// json itself if it has none, else a copy without insignificant white space.
// json must be JSON, which has line breaks nowhere else.
func OneLine(json []byte) []byte {
	if !bytes.ContainsAny(json, "\r\n") {
		return json
	}
	return appendCompact(make([]byte, 0, len(json)), json)
}

// wholeNumber returns the value of a literal that is a whole number of at most
// maxSequence, written without fraction or exponent.
func wholeNumber(literal []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(literal), 10, 64)
	if err != nil || n > maxSequence {
		return 0, false
	}
	return n, true
}
