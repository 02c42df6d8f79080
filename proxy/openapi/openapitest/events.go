package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// eventChecker passes the body of an event stream on and checks its events
// against the schemas that the description names for them. Of the stream it
// keeps the event under way.
type eventChecker struct {
	io.ReadCloser
	transport *transport
	exchange  exchange
	schemas   map[string]string // JSON pointers by the event's name
	event     []byte
	faults    error // of a transport without a test
}

// checkEvents returns the body to read in place of the exchange's.
func (t *transport) checkEvents(x exchange) io.ReadCloser {
	return &eventChecker{ReadCloser: x.resp.Body, transport: t, exchange: x, schemas: t.validator.document.eventsOf(x)}
}

// eventsOf returns the schemas of the events of a stream, none if the
// description has no such stream.
func (d *document) eventsOf(x exchange) map[string]string {
	schemas := map[string]string{}
	template, _ := d.findPath(x.req.URL.EscapedPath())
	op, ok := d.findOperation(x.req.Method, template)
	if !ok {
		return schemas
	}
	n := op.node
	for _, key := range []string{"responses", "200", "content", "text/event-stream", "x-sse-events"} {
		if n, ok = d.child(n, key); !ok {
			return schemas
		}
	}
	for name, ref := range n.object {
		schemas[name] = strings.TrimPrefix(ref.(string), "#")
	}
	return schemas
}

// Read implements io.Reader.
func (c *eventChecker) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.event = append(c.event, p[:n]...)
	for {
		i := bytes.Index(c.event, []byte("\n\n"))
		if i < 0 {
			break
		}
		c.report(c.check(string(c.event[:i])))
		c.event = c.event[i+2:]
	}
	if err == io.EOF && len(c.event) > 0 {
		c.report(fmt.Errorf("the stream ends within an event: %.200q", c.event))
	}
	if c.faults != nil {
		err = c.faults
	}
	return n, err
}

func (c *eventChecker) report(fault error) {
	if fault == nil {
		return
	}
	x := c.exchange
	fault = fmt.Errorf("%s %s: %w", x.req.Method, x.req.URL.Path, fault)
	if t := c.transport.validator.t; t != nil {
		t.Error(fault)
		return
	}
	c.faults = errors.Join(c.faults, fault)
}

// check compares an event with what the description says of it: one field a
// line, each once, data that match, and an id on those after which a client may
// go on.
func (c *eventChecker) check(event string) error {
	fields := map[string]string{}
	for _, line := range strings.Split(event, "\n") {
		name, value, ok := strings.Cut(line, ":")
		switch _, twice := fields[name]; {
		case line == "" || strings.Contains(line, "\r"):
			return fmt.Errorf("line %q in the event %.200q", line, event)
		case name == "" || ok && name == "retry":
			continue
		case !ok || twice || !slices.Contains([]string{"id", "event", "data"}, name):
			return fmt.Errorf("field %q in the event %.200q", line, event)
		}
		fields[name] = strings.TrimPrefix(value, " ")
	}
	if len(fields) == 0 {
		return nil // comments and a new time to reconnect
	}
	name := fields["event"]
	schema, ok := c.schemas[name]
	if !ok {
		return fmt.Errorf("the event %q is not documented", name)
	}
	if _, has := fields["id"]; has != (name != "error") {
		return fmt.Errorf("event %q with an id: %t", name, has)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(fields["data"]))
	if err != nil {
		return fmt.Errorf("data of the event %q are no JSON: %w", name, err)
	}
	if err := c.transport.validator.document.validate(schema, value); err != nil {
		return fmt.Errorf("event %q: %w", name, err)
	}
	return nil
}
