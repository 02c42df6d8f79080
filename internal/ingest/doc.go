// Package ingest turns the events of an agent runtime into checkpoints and
// posts them: from the lines of a pipe (Pipe), or from the event files that the
// runtime leaves on disk (Dir).
//
// It promises that no event is posted twice, however often and from wherever it
// is read: the idempotency key of a checkpoint is made of the runtime's own
// checkpoint id and the kind of event, which are the same in the pipe and on
// disk.
//
// A delegate's checkpoints name the checkpoint that delegated to it by the
// runtime's id; the API wants the server's. Nothing is kept on disk for that:
// posting the delegating checkpoint, for the first time or again, answers with
// the server's id, and where it is not among what is read (a run that was
// resumed in a pipe of its own) the server is asked for the checkpoint that
// made the delegating tool call. If there is none, the runtime's id is posted
// as it is: it keeps the delegate's run together, and nothing is lost.
package ingest
