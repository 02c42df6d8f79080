package store

import (
	"crypto/sha256"
	"encoding/binary"

	"milepost/internal/checkpoint"
)

// The key grammar. A job's own keys share one prefix, so that a whole job is
// one range: deleted by one tombstone, read without seeking over others.
//
//	m  <name>                                  store-wide values (format version …)
//	o  <organization>                          organization record
//	e  <organization> 0x00 <expert key>        expert digest as registered
//	j  <job>                                   job record
//	d  <job> c <sequence>                      checkpoint record (header and references)
//	d  <job> p <ordinal of its first part>     parts record: new parts of one checkpoint
//	d  <job> i <checkpoint id>                 sequence of a checkpoint
//	d  <job> k <SHA-256 of idempotency key>    first answer to that key
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
	kindParts       = 'p'
	kindID          = 'i'
	kindIdempotency = 'k'
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

func jobKey(job string) []byte { return appendJobKey(nil, job) }

func appendJobKey(dst []byte, job string) []byte { return append(append(dst, spaceJob), job...) }

// appendDataKey starts a key of the job's own range; the caller appends the
// rest.
func appendDataKey(dst []byte, job string, kind byte) []byte {
	dst = append(append(dst, spaceData), job...)
	if kind != 0 {
		dst = append(dst, kind)
	}
	return dst
}

func appendNumberKey(dst []byte, job string, kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendDataKey(dst, job, kind), n)
}

func numberKey(job string, kind byte, n uint64) []byte {
	return appendNumberKey(make([]byte, 0, maxKey), job, kind, n)
}

func bytesKey[T string | []byte](job string, kind byte, b T) []byte {
	return append(appendDataKey(make([]byte, 0, maxKey), job, kind), b...)
}

// maxKey is the length of the longest key of a job's range in bytes.
const maxKey = 2 + checkpoint.IDLen + sha256.Size

// dataKey is the beginning of the keys of one kind, or of all if kind is 0.
func dataKey(job string, kind byte) []byte {
	return appendDataKey(make([]byte, 0, maxKey), job, kind)
}

// dataRange is the range of all keys of a job but its record.
func dataRange(job string) (start, end []byte) {
	return dataKey(job, 0), append(dataKey(job, 0), 0xff)
}

// keyNumber reads the sequence or ordinal that ends a key.
func keyNumber(key []byte) (uint64, bool) {
	if len(key) < 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[len(key)-8:]), true
}
