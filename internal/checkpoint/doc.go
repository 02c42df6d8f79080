// Package checkpoint is the domain: what a checkpoint is, which request makes
// one, and what follows from it (its action, its run, the status of its job).
//
// It knows neither HTTP nor storage and imports nothing else of this module.
// Three promises hold throughout:
//
//   - Nothing a client sends panics, recurses without bound, or takes memory
//     out of proportion to its size. Client data is never decoded into any.
//   - Nothing is lost or reshaped: messages, args, results, numbers and
//     unknown properties leave with the literals they came with. Only
//     insignificant white space goes, because a stored checkpoint is one line.
//   - A body is read in one pass, and a checkpoint is written once.
//
// A request goes through ParseRequest, which finds all faults at once, and
// Request.Encode, which writes the checkpoint that every endpoint serves.
package checkpoint
