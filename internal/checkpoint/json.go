package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/goccy/go-json"
	"github.com/goccy/go-json/jsontext"
)

// This file is the only one that knows the JSON library. It gives the rest of
// the package a reader of raw values and a writer of strings.

// SyntaxError says that a body is no JSON that is taken here (400).
type SyntaxError struct {
	Offset int64 // in bytes, of the body as it was sent
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Msg)
}

// Unmarshal decodes JSON of our own, such as a record or a file of the
// operator, into v. A client's data never goes through it.
func Unmarshal(data []byte, v any) error {
	return json.Unmarshal(data, v)
}

// unmarshalStrict is Unmarshal that refuses unknown fields.
func unmarshalStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Marshal encodes v, a value of our own, as JSON of one line.
func Marshal(v any) ([]byte, error) {
	return json.MarshalWithOption(v, json.DisableHTMLEscape())
}

// AppendString appends s as a JSON string with the least escaping. Invalid
// UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the error only reports what became U+FFFD
	return dst
}

// The kinds of JSON values, as reader.kind returns them.
const (
	kindNull   = byte(jsontext.KindNull)
	kindFalse  = byte(jsontext.KindFalse)
	kindTrue   = byte(jsontext.KindTrue)
	kindString = byte(jsontext.KindString)
	kindNumber = byte(jsontext.KindNumber)
	kindObject = byte(jsontext.KindBeginObject)
	kindArray  = byte(jsontext.KindBeginArray)
)

// reader reads one JSON text in place, value by value. It checks the grammar
// without recursion and keeps no more than its position; it neither compares
// names nor looks into escapes of surrogates.
type reader struct {
	dec  jsontext.Decoder
	buf  bytes.Buffer // of what the decoder reads, in place
	src  []byte
	left gap // out of what the decoder reads
	opts []jsontext.Options
}

// gap is a piece of a text that is not read: length bytes from the offset at on.
type gap struct{ at, length int }

// place returns where in the text a byte stands that has the offset i without
// the gap.
func (g gap) place(i int) int {
	if i >= g.at {
		return i + g.length
	}
	return i
}

var readers = sync.Pool{New: func() any {
	return &reader{opts: []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}}
}}

// read returns a reader of src, which must not change while it is used. Its
// close must be called.
func read(src []byte) *reader { return readRest(src, src, gap{}) }

// readRest is read of a src of which the decoder is to see rest only, which is
// src without a gap. Positions are those in src.
func readRest(src, rest []byte, left gap) *reader {
	r := readers.Get().(*reader)
	r.reset(src, rest, left)
	return r
}

// keepSource is how long a text may be that a pooled reader keeps alive. To
// let go of one is an allocation in the library.
const keepSource = 16 << 10

func (r *reader) close() {
	if len(r.src) > keepSource {
		r.reset(nil, nil, gap{})
	}
	readers.Put(r)
}

func (r *reader) reset(src, rest []byte, left gap) {
	r.src, r.left = src, left
	r.buf = *bytes.NewBuffer(rest)
	r.dec.Reset(&r.buf, r.opts...)
}

// offset is the position behind what was read last.
func (r *reader) offset() int { return int(r.dec.InputOffset()) }

// kind returns the kind of the next value, '}' or ']' at the end of an object
// or array, and 0 where there is an error, which the next read returns.
func (r *reader) kind() byte {
	return byte(r.dec.PeekKind())
}

// value reads the next value whole and returns where it stands in the source.
func (r *reader) value() (Span, error) {
	v, err := r.dec.ReadValue()
	if err != nil {
		return Span{}, r.fail(err)
	}
	end := r.offset()
	return Span{r.left.place(end - len(v)), r.left.place(end)}, nil
}

// delim reads the bracket that comes next and returns its position.
func (r *reader) delim() (int, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return 0, r.fail(err)
	}
	return r.left.place(r.offset() - 1), nil
}

// end checks that nothing follows.
func (r *reader) end() error {
	if _, err := r.dec.ReadToken(); err == nil {
		return &SyntaxError{int64(r.left.place(r.offset() - 1)), "data after the value"}
	} else if err != io.EOF {
		return r.fail(err)
	}
	return nil
}

// fail turns an error of the library into one of ours.
func (r *reader) fail(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return &SyntaxError{int64(len(r.src)), "unexpected end"}
	case errors.As(err, &syntax):
		return &SyntaxError{int64(r.left.place(int(syntax.ByteOffset))), syntax.Err.Error()}
	}
	return &SyntaxError{int64(r.left.place(r.offset())), err.Error()}
}
