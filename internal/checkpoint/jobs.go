package checkpoint

import (
	"fmt"
	"strconv"
)

// ParseJobs reads a request that names jobs: {"jobs": [ids]}, 1 to limit of
// them, in its order. The error is a *SyntaxError if body is no JSON that is
// taken (400, as for ParseRequest), or Faults if it has the wrong shape (422).
// Unknown properties are ignored.
func ParseJobs(body []byte, limit int) ([]string, error) {
	if _, err := inspect(body); err != nil {
		return nil, err
	}
	p := jobsParser{reader: read(body), limit: limit}
	defer p.close()
	if err := p.object(); err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return p.jobs, nil
}

// jobsName is the property that holds the jobs.
const jobsName = "jobs"

type jobsParser struct {
	*reader
	limit  int
	count  int // of elements
	jobs   []string
	faults Faults
}

func (p *jobsParser) fault(path, message, expected, received string) {
	if len(p.faults) < MaxFaults {
		p.faults = append(p.faults, Fault{Path: path, Message: message, Expected: expected, Received: received})
	}
}

// expect reads past the value that comes next, which should be of another kind.
func (p *jobsParser) expect(path string, kind byte) error {
	got := p.kind()
	if _, err := p.value(); err != nil {
		return err
	}
	p.fault(path, "Invalid input: expected "+typeName(kind)+", received "+typeName(got), typeName(kind), typeName(got))
	return nil
}

// object reads the request.
func (p *jobsParser) object() error {
	if p.kind() != kindObject {
		return p.expect("", kindObject)
	}
	if _, err := p.delim(); err != nil {
		return err
	}
	seen := false
	for p.kind() == kindString {
		at, err := p.value()
		if err != nil {
			return err
		}
		switch {
		case string(unquote(at.of(p.src))) != jobsName:
			_, err = p.value()
		case seen:
			err = &SyntaxError{int64(at.Start), fmt.Sprintf("duplicate property %q", jobsName)}
		default:
			seen = true
			err = p.array()
		}
		if err != nil {
			return err
		}
	}
	if !seen {
		p.fault(jobsName, "Required", typeName(kindArray), "undefined")
	}
	_, err := p.delim()
	return err
}

// array reads the ids.
func (p *jobsParser) array() error {
	if p.kind() != kindArray {
		return p.expect(jobsName, kindArray)
	}
	if _, err := p.delim(); err != nil {
		return err
	}
	for k := p.kind(); k != ']' && k != 0; k = p.kind() {
		if err := p.element(k); err != nil {
			return err
		}
	}
	if _, err := p.delim(); err != nil {
		return err
	}
	if p.count < 1 || p.count > p.limit {
		p.fault(jobsName, fmt.Sprintf("must be 1 to %d ids", p.limit), fmt.Sprintf("array of 1 to %d", p.limit), fmt.Sprintf("array of %d", p.count))
	}
	return nil
}

// element reads an id, which begins a value of kind k.
func (p *jobsParser) element(k byte) error {
	path := jobsName + "." + strconv.Itoa(p.count)
	p.count++
	if k != kindString {
		return p.expect(path, kindString)
	}
	at, err := p.value()
	if err != nil {
		return err
	}
	id := unquote(at.of(p.src))
	switch {
	case !ValidIDBytes(id):
		p.fault(path, fmt.Sprintf("Invalid id: must be %d characters of a-z and 0-9", IDLen), "id", excerpt(id))
	case p.count <= p.limit:
		p.jobs = append(p.jobs, string(id))
	}
	return nil
}
