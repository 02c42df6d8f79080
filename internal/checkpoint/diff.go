package checkpoint

import (
	"bytes"
	"errors"
	"hash/maphash"
)

// ErrTooLarge says that a checkpoint has more properties or messages than Compare
// looks at.
var ErrTooLarge = errors.New("the checkpoint has too many properties or messages to compare")

// maxCompared bounds the properties of a checkpoint in a comparison. The API has
// three dozen; what more there is, a newer runtime has added.
const maxCompared = 1 << 12

// Difference is what is new in one checkpoint against another. Its spans are
// where that stands in their JSON.
type Difference struct {
	// Added are the elements of messages that the second has and the first has
	// not, in order. An element that the second has twice and the first once is
	// added once. One that only stands elsewhere is not added.
	Added []AddedMessage
	// Removed are the places in messages, from 0, of those that the first has
	// and the second has not, in order.
	Removed []int
	// Changed are the properties that differ, but for the lists of messages:
	// those of the second in its order, then those that only the first has.
	Changed []ChangedProperty
}

// AddedMessage is an element of messages: its place, from 0, and where it stands
// in the second checkpoint.
type AddedMessage struct {
	Index int
	At    Span
}

// ChangedProperty is a property and where its value stands in each checkpoint,
// with an empty span where it is absent.
type ChangedProperty struct {
	Name     string
	From, To Span
}

// Compare returns what is new in a checkpoint against another one, both as the
// API gives them. Values are compared byte for byte. The properties messages,
// newMessages and inputMessages are not among the changed: the first is compared
// element by element, the others belong to their steps. Of a name that is there
// twice the last counts, as for JSON.parse. The error is a *SyntaxError,
// ErrNotCheckpoint if one is no object, or ErrTooLarge.
func Compare(from, to []byte) (Difference, error) {
	a, err := open(from)
	if err != nil {
		return Difference{}, err
	}
	b, err := open(to)
	if err != nil {
		return Difference{}, err
	}
	d := Difference{Changed: a.changed(b)}
	d.Added, d.Removed = a.messages(b)
	return d, nil
}

// opened is a checkpoint that is compared.
type opened struct {
	json     []byte
	names    []string // in order, each once
	values   map[string]Span
	elements []Span // of messages
}

func open(json []byte) (*opened, error) {
	r := read(json)
	defer r.close()
	o := &opened{json: json, values: make(map[string]Span)}
	isObject, err := r.eachMember(func(name []byte) error {
		switch string(name) {
		case "messages":
			o.elements = o.elements[:0]
			_, err := r.eachElement(func(at Span) error {
				if len(o.elements) == MaxParts {
					return ErrTooLarge
				}
				o.elements = append(o.elements, at)
				return nil
			})
			return err
		case "newMessages", "inputMessages":
			_, err := r.value()
			return err
		}
		at, err := r.value()
		if err != nil {
			return err
		}
		if _, known := o.values[string(name)]; !known {
			if len(o.names) == maxCompared {
				return ErrTooLarge
			}
			o.names = append(o.names, string(name))
		}
		o.values[string(name)] = at
		return nil
	})
	if err == nil {
		err = r.end()
	}
	if err == nil && !isObject {
		err = ErrNotCheckpoint
	}
	return o, err
}

func (a *opened) changed(b *opened) []ChangedProperty {
	var changed []ChangedProperty
	for _, name := range b.names {
		to := b.values[name]
		from, known := a.values[name]
		if !known || !bytes.Equal(from.of(a.json), to.of(b.json)) {
			changed = append(changed, ChangedProperty{name, from, to})
		}
	}
	for _, name := range a.names {
		if _, kept := b.values[name]; !kept {
			changed = append(changed, ChangedProperty{name, a.values[name], Span{}})
		}
	}
	return changed
}

func (a *opened) messages(b *opened) (added []AddedMessage, removed []int) {
	// Most often b begins with all that a has.
	same := 0
	for same < len(a.elements) && same < len(b.elements) &&
		bytes.Equal(a.elements[same].of(a.json), b.elements[same].of(b.json)) {
		same++
	}
	seed := maphash.MakeSeed() // so that nobody can choose what collides
	rest := make(map[uint64][]int, len(a.elements)-same)
	for i := same; i < len(a.elements); i++ {
		h := maphash.Bytes(seed, a.elements[i].of(a.json))
		rest[h] = append(rest[h], i)
	}
	kept := make([]bool, len(a.elements)-same)
	for i := same; i < len(b.elements); i++ {
		element := b.elements[i].of(b.json)
		h := maphash.Bytes(seed, element)
		if places := rest[h]; len(places) > 0 && bytes.Equal(a.elements[places[0]].of(a.json), element) {
			kept[places[0]-same], rest[h] = true, places[1:]
			continue
		}
		added = append(added, AddedMessage{i, b.elements[i]})
	}
	for i, k := range kept {
		if !k {
			removed = append(removed, same+i)
		}
	}
	return added, removed
}
