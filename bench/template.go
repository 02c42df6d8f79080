package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// Bytes that mark, in runs, the places of a template that differ from request
// to request. A run of one byte gets the same text everywhere, since a tool's
// result stands in the messages, the new messages and the result.
const (
	historySlot = '~'
	resultSlot  = '^'
	idSlot      = '`'
	// slotRun is the shortest run that is a place: it holds a whole serial.
	slotRun = 20
)

// textPool is what the places are filled from: prose without escapes.
var textPool = sync.OnceValue(func() []byte {
	return []byte(strings.ReplaceAll(prose(newRand(1, 1), 1<<20), "\n", " "))
})

// template makes POST bodies of one size that share no text with each other,
// at the cost of a copy.
type template struct {
	request
	// places are the starts and ends of what is filled, slots their bytes.
	places [][2]int
	slots  []byte
	// writer tells apart the templates of one run; serial counts its bodies.
	writer, serial uint32
}

// minTemplate is the size of the smallest body in bytes.
var minTemplate = sync.OnceValue(func() int { return len(templateRequest(slotRun, slotRun).body) })

// newTemplate returns a template of bodies of exactly size bytes, at least
// minTemplate.
func newTemplate(size int, writer uint32) (*template, error) {
	spare := size - minTemplate()
	if spare < 0 {
		return nil, fmt.Errorf("a body has at least %d bytes, not %d", minTemplate(), size)
	}
	// The result stands three times, so it gets little.
	inResult := min(spare/12, 500)
	t := &template{
		request: templateRequest(slotRun+spare-3*inResult, slotRun+inResult),
		writer:  writer,
	}
	for i := 0; i < len(t.body); i++ {
		b, start := t.body[i], i
		if b != historySlot && b != resultSlot && b != idSlot {
			continue
		}
		for i < len(t.body) && t.body[i] == b {
			i++
		}
		if i-start >= slotRun {
			t.places = append(t.places, [2]int{start, i})
			t.slots = append(t.slots, b)
		}
	}
	return t, nil
}

// templateRequest builds a body with unfilled places of the given lengths.
func templateRequest(history, result int) request {
	j := newJob(jobOptions{seed: 1})
	content := resultText(object{"path": "a.md", "content": strings.Repeat(string(resultSlot), result)})
	call := &toolCall{
		ID: strings.Repeat(string(idSlot), slotRun), SkillName: baseSkill, ToolName: "readTextFile", Args: object{"path": "a.md"},
	}
	text := part{Type: "textPart", ID: newID(j.rng), Text: content}
	answer := toolResult{ID: call.ID, SkillName: baseSkill, ToolName: "readTextFile", Result: []part{text}}
	past := message{Type: "userMessage", ID: newID(j.rng), Contents: []part{
		{Type: "textPart", ID: newID(j.rng), Text: strings.Repeat(string(historySlot), history)},
	}}
	fresh := [][]byte{mustJSON(j.expertMessage("", call)), mustJSON(j.toolMessage(answer))}
	u := usage{InputTokens: 1000, OutputTokens: 100, TotalTokens: 1100}
	r := encodeBody(
		checkpointHalf{Status: statusProceeding, StepNumber: 1, Expert: coordinator, Usage: u, ContextWindow: contextWindow},
		encodeArray(append([][]byte{mustJSON(past)}, fresh...)),
		stepHalf{StepNumber: 1, ToolCall: call, ToolResult: &answer, Usage: u, StartedAt: 1767323045678, FinishedAt: 1767323046789},
		encodeArray(fresh))
	r.action = "readTextFile"
	return r
}

// next fills the body with new text. The body is valid until the next call.
func (t *template) next() request {
	t.serial++
	var serial [8]byte
	binary.BigEndian.PutUint32(serial[:4], t.writer)
	binary.BigEndian.PutUint32(serial[4:], t.serial)
	pool := textPool()
	for i, p := range t.places {
		place := t.body[p[0]:p[1]]
		hex.Encode(place, serial[:])
		// One offset a slot: equal slots get equal text.
		at := int(t.serial*7919+t.writer*104729+uint32(t.slots[i])*5081) % (len(pool) / 2)
		for rest := place[2*len(serial):]; len(rest) > 0; {
			rest = rest[copy(rest, pool[at:]):]
		}
	}
	return t.request
}
