package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// fanoutSystem is a running server that fans out events, and how to talk to it.
type fanoutSystem struct {
	name, addr string
	// pid is the root of its process tree, 0 if it is not known.
	pid int
	// end stops it; nil for one that we did not start.
	end func() error
	// subscribe returns the request for the stream of a topic from after the
	// event with the id after on.
	subscribe func(topic, after string) []byte
	// head returns the head of the request that publishes length bytes under a
	// topic; before and behind stand around a payload there.
	head           func(topic string, length int) []byte
	before, behind string
	// published checks the answer for the nth event of its topic, and returns
	// the event's id if it is known.
	published func(status int, body []byte, n uint32) (string, error)
	// overhead is how many bytes a frame has beside the payload.
	overhead int
	// api tells that it speaks the API: what is published is a checkpoint's body,
	// and a stream begins after an id exactly. The streams of others begin with
	// whatever is published once they are subscribed.
	api bool
}

// payloadSize is how many bytes of payload make a frame of about size bytes.
func (x *fanoutSystem) payloadSize(size int) (int, error) {
	n := size - x.overhead
	if n < markerLength {
		return 0, fmt.Errorf("%s: a frame has at least %d bytes, not %d", x.name, x.overhead+markerLength, size)
	}
	return n, nil
}

// publisher publishes the events of some topics over one connection.
type publisher struct {
	system *fanoutSystem
	conn   *rawConn
	// text and request are kept for their memory.
	text, request []byte
}

// newPublisher connects to x.
func (x *fanoutSystem) newPublisher() (*publisher, error) {
	conn, err := dialRaw(x.addr)
	if err != nil {
		return nil, err
	}
	return &publisher{system: x, conn: conn}, nil
}

// publish publishes one event whose payload has size bytes, and returns its id
// as the server gave it.
func (p *publisher) publish(topic string, m marker, size int) (string, error) {
	p.text = append(p.text[:0], p.system.before...)
	p.text = appendPayload(p.text, m, size)
	p.text = append(p.text, p.system.behind...)
	_, id, err := p.send(topic, m.sequence, p.text)
	return id, err
}

// publishTrace publishes an event of a trace, and returns its id as the server
// gave it.
func (p *publisher) publishTrace(topic string, m marker, t *traceEvents) (string, error) {
	texts := t.checkpoints
	if p.system.api {
		texts = t.bodies
	}
	p.text = t.event(texts, m.sequence).append(p.text[:0], m)
	_, id, err := p.send(topic, m.sequence, p.text)
	return id, err
}

// send publishes text, the event with that sequence of its topic, and returns
// the answer, which is good until the next, and the event's id.
func (p *publisher) send(topic string, sequence uint32, text []byte) (answer []byte, id string, err error) {
	p.request = append(p.request[:0], p.system.head(topic, len(text))...)
	p.request = append(p.request, text...)
	status, answer, err := p.conn.roundTrip(p.request)
	if err == nil {
		id, err = p.system.published(status, answer, sequence)
	}
	if err != nil {
		return nil, "", fmt.Errorf("cannot publish: %w", err)
	}
	return answer, id, nil
}

// smallestBody is a checkpoint as small as they get, so that a frame of 1 KB is
// one; ~ is where the payload goes.
const smallestBody = `{"checkpoint":{` +
	`"messages":[{"type":"userMessage","contents":[{"type":"textPart","id":"p1","text":"~"}],"id":"m1"}],` +
	`"status":"proceeding","stepNumber":1,"expert":{"key":"e","name":"e","version":"1.0.0"},"usage":` + noUsage + `},` +
	`"step":{"newMessages":[],"stepNumber":1,"usage":` + noUsage + `,"startedAt":1767323045678}}`

// noUsage is the tokens of a step that took none.
const noUsage = `{"inputTokens":0,"outputTokens":0,"reasoningTokens":0,"totalTokens":0,"cachedInputTokens":0}`

// milepostSystem talks to milepost, or to what speaks its API, at addr.
func milepostSystem(addr, key string, pid int) *fanoutSystem {
	before, behind, _ := strings.Cut(smallestBody, "~")
	return &fanoutSystem{
		name: "milepost", addr: addr, pid: pid, api: true, before: before, behind: behind,
		subscribe: func(topic, after string) []byte {
			return fmt.Appendf(nil, "GET %sstream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nLast-Event-ID: %s\r\n\r\n",
				collectionPath(topic), addr, key, after)
		},
		head: func(topic string, length int) []byte { return postHead(addr, key, topic, length) },
		published: func(status int, body []byte, n uint32) (string, error) {
			if status != 200 {
				return "", fmt.Errorf("status %d: %s", status, excerpt(body))
			}
			sequence, err := numberAfter(body, `"sequence":`)
			if err != nil {
				return "", err
			}
			if sequence != int64(n) {
				return "", fmt.Errorf("sequence is %d, not %d", sequence, n)
			}
			return checkpointID(body)
		},
	}
}

// checkpointID finds the id that an answer begins with.
func checkpointID(body []byte) (string, error) {
	const name = `"id":"`
	i := bytes.Index(body, []byte(name))
	if i < 0 || len(body) < i+len(name)+idLength || !isID(string(body[i+len(name):i+len(name)+idLength])) {
		return "", fmt.Errorf("no id in %s", excerpt(body))
	}
	return string(body[i+len(name) : i+len(name)+idLength]), nil
}

// learnOverhead posts a checkpoint to see how large its frame is: the bytes of
// data.checkpoint between the lines that the specification of the stream names.
func (x *fanoutSystem) learnOverhead(topic string) error {
	p, err := x.newPublisher()
	if err != nil {
		return err
	}
	defer p.conn.close()
	payload := appendPayload(nil, marker{sequence: 1}, markerLength)
	answer, _, err := p.send(topic, 1, slices.Concat([]byte(x.before), payload, []byte(x.behind)))
	if err != nil {
		return err
	}
	checkpoint, err := checkpointOf(answer)
	if err != nil {
		return err
	}
	if bytes.Count(checkpoint, payload) != 1 {
		return errors.New("the answer does not hold the payload once")
	}
	x.overhead = len("id: \nevent: message\ndata: \n\n") + idLength + len(checkpoint) - markerLength
	return nil
}

// checkpointOf returns data.checkpoint of an answer.
func checkpointOf(answer []byte) ([]byte, error) {
	var a struct {
		Data struct {
			Checkpoint json.RawMessage `json:"checkpoint"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("the answer is no JSON: %w", err)
	}
	return a.Data.Checkpoint, nil
}

// plainSystem talks to a peer whose topics are paths: POST /pub/TOPIC with the
// payload between the given bytes, GET /sub/TOPIC.
func plainSystem(name, addr string, pid int, before, behind string, overhead int) *fanoutSystem {
	return &fanoutSystem{
		name: name, addr: addr, pid: pid, overhead: overhead,
		subscribe: func(topic, _ string) []byte {
			return fmt.Appendf(nil, "GET /sub/%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", topic, addr)
		},
		before: before, behind: behind,
		head: func(topic string, length int) []byte {
			return fmt.Appendf(nil, "POST /pub/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", topic, addr, length)
		},
		published: func(status int, body []byte, _ uint32) (string, error) {
			if status/100 != 2 {
				return "", fmt.Errorf("status %d: %s", status, excerpt(body))
			}
			return "", nil
		},
	}
}
