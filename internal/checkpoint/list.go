package checkpoint

// Span is the half-open range [Start, End) of bytes.
type Span struct {
	Start, End int
}

func (s Span) of(b []byte) []byte {
	return b[s.Start:s.End:s.End]
}

// MaxParts is how many elements of messages, newMessages and inputMessages
// together are kept apart in one request. A body of ones and commas has
// millions, and would take many times its size; the elements beyond are kept,
// but not listed among the Parts of a Document.
const MaxParts = 1 << 16

type listID uint8

// The lists of messages of a request.
const (
	listInputMessages listID = iota
	listMessages
	listNewMessages

	listCount
)

// list is an array of messages.
type list struct {
	at       Span // in src, with its brackets
	from, to int  // its elements are parts[from:to], but for those beyond MaxParts
	first    Span // its first element, empty if it has none
	last     Span // its last element, empty if it has none
}

// firstOf returns the first element of a list, nil if it is empty or absent.
func (r *Request) firstOf(id listID) []byte {
	return r.element(r.lists[id].first)
}

// lastOf returns the last element of a list, nil if it is empty or absent.
func (r *Request) lastOf(id listID) []byte {
	return r.element(r.lists[id].last)
}

func (r *Request) element(at Span) []byte {
	if at.End == 0 {
		return nil
	}
	return at.of(r.src)
}
