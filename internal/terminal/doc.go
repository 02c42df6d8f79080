// Package terminal is the client side of Milepost: what the verbs of the
// command line need that talk to a running server. It reads jobs and
// checkpoints over the public API, follows a stream over cuts without losing
// or doubling a checkpoint, renders a checkpoint as one line, and sends an
// export to the admin listener.
//
// What comes from a server was written by agents and by whoever they talked
// to. Text of theirs that goes to a terminal has its control characters
// replaced first (Clean); what goes into a pipe stays byte for byte.
//
// # Exports
//
// An export is JSON lines (UTF-8, LF). For each job it has one header line
//
//	{"milepost":"export","version":1,"job":"<24 characters>","organization":"<24 characters>"}
//
// (organization is left out where it is not known), and after it every
// checkpoint of the job, one a line, in the order of sequence from 1 on: the
// bytes that GET gives as data.checkpoint. Exports of several jobs may be
// joined. An empty line means nothing.
//
// # The request to import
//
// Import sends each job of an export in a request of its own to the admin
// listener:
//
//	POST /import?organization=ORG&application=APP&job=JOB
//	Authorization: Bearer <the content of admin-token in the data directory>
//	Content-Type: application/x-ndjson
//	Expect: 100-continue
//
// ORG, APP and JOB are ids; application is left out if none was named, and the
// server then takes the organization's id. The body, of unknown length, is the
// job's checkpoint lines without the header, each ended by LF. The server keeps
// ids, runs, sequences and times as they are, and serves each checkpoint with
// the bytes of its line.
//
// Sending the same again is harmless: a line whose sequence the job has already
// must have the bytes that are stored, and counts as present; the first line
// beyond must carry the next sequence. What was taken before a fault stays, so
// an import that was cut is finished by running it again. The answers are
//
//	200  {"job":"…","checkpoints":32,"present":0}   stored now, and found there
//	400  a line is no checkpoint of that job, or its sequence is not the next
//	401  the token is wrong
//	409  the job belongs to another organization, or has other bytes at a
//	     sequence; or the server is a sidecar, whose jobs are its upstream's
//	503  the server is starting or ending, has another import under way, or its
//	     store has failed
//	507  the disk is nearly full
//
// each but the first with the reason as text/plain, beginning with "line N: "
// where there is one (N counts the lines of the body from 1).
package terminal
