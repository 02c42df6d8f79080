package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
)

// member is a property of a JSON object, with its value as it came.
type member struct {
	name  string
	value json.RawMessage
}

var errNoObject = errors.New("not a JSON object")

// members returns the properties of an object in their order.
func members(object []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoObject
	}
	var list []member
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: t.(string)} // what More precedes in an object is a name
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	_, err := d.Token()
	return list, err
}

// find returns the value of a property, nil if it is absent.
func find(list []member, name string) json.RawMessage {
	for _, m := range list {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text returns the value of a string property, "" if it is absent or no string.
func text(list []member, name string) string {
	var s string
	if json.Unmarshal(find(list, name), &s) != nil {
		return ""
	}
	return s
}

// appendObject appends the properties as an object.
func appendObject(b []byte, list []member) []byte {
	b = append(b, '{')
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			panic(err) // of a string there is no error
		}
		b = append(append(append(b, name...), ':'), m.value...)
	}
	return append(b, '}')
}

// first returns the first element of an array, nil of an empty one and of
// null. What is no array is returned as it is: the API's own form.
func first(value json.RawMessage) json.RawMessage {
	if isNull(value) {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return value
	}
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }
