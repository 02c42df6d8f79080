package store

import "encoding/binary"

// The key grammar. A job's own keys share one prefix, so that a whole job is
// one range: deleted by one tombstone, read without seeking over others.
//
//	m  <name>                                  store-wide values (format version …)
//	o  <organization>                          organization record
//	e  <organization> 0x00 <expert key>        expert digest as registered
//	j  <job>                                   job record
//	d  <job> c <sequence>                      checkpoint record (header and references)
//	d  <job> i <checkpoint id>                 sequence of a checkpoint
//	d  <job> k <SHA-256 of idempotency key>    first answer to that key
//	d  <job> p <ordinal of its first part>     parts record: new parts of one checkpoint
//	d  <job> h <SHA-256 of a part>             ordinal of that part
//	d  <job> r <SHA-256 of the delegation>     run of one delegation
//
// Job, organization and checkpoint ids are 24 bytes; sequences and ordinals
// are 8 bytes, big-endian, so that their order is the order of the keys.
const (
	spaceMeta         = 'm'
	spaceOrganization = 'o'
	spaceExpert       = 'e'
	spaceJob          = 'j'
	spaceData         = 'd'

	kindCheckpoint  = 'c'
	kindID          = 'i'
	kindIdempotency = 'k'
	kindParts       = 'p'
	kindHash        = 'h'
	kindRun         = 'r'
)

func metaKey(name string) []byte { return append([]byte{spaceMeta}, name...) }

func organizationKey(org string) []byte { return append([]byte{spaceOrganization}, org...) }

func expertKey(org, key string) []byte {
	k := make([]byte, 0, 2+len(org)+len(key))
	k = append(k, spaceExpert)
	k = append(k, org...)
	k = append(k, 0)
	return append(k, key...)
}

func jobKey(job string) []byte { return append([]byte{spaceJob}, job...) }

// dataKey starts a key of the job's own range; the caller appends the rest.
func dataKey(job string, kind byte, room int) []byte {
	k := make([]byte, 0, 2+len(job)+room)
	k = append(k, spaceData)
	k = append(k, job...)
	if kind != 0 {
		k = append(k, kind)
	}
	return k
}

func numberKey(job string, kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(dataKey(job, kind, 8), n)
}

func bytesKey(job string, kind byte, b []byte) []byte {
	return append(dataKey(job, kind, len(b)), b...)
}

// dataRange is the range of all keys of a job but its record.
func dataRange(job string) (start, end []byte) {
	start = dataKey(job, 0, 1)
	return start, append(dataKey(job, 0, 1), 0xff)
}

// keyNumber reads the sequence or ordinal that ends a key.
func keyNumber(key []byte) (uint64, bool) {
	if len(key) < 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[len(key)-8:]), true
}
