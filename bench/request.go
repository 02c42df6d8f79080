package main

// request is one POST body, with what a correct answer to it must say.
type request struct {
	// body is the JSON to post, one line without insignificant white space, so
	// that its messages must come back byte for byte.
	body []byte
	// idempotencyKey lets the request be sent again after a lost answer.
	idempotencyKey string
	// status is the checkpoint's status.
	status string
	// action is the type of the action that the server must derive.
	action string
	// stepNumber is the checkpoint's step number.
	stepNumber int
	// messages and newMessages are the parts of body that the answer repeats.
	messages, newMessages []byte
}

// answer is what a server gave for a request.
type answer struct {
	// id of the created checkpoint, chosen by the server.
	id string
	// sequence of the checkpoint within its job, from 1.
	sequence int64
}

// postFunc posts one request of a job and returns the checked answer. Its
// error ends the job.
type postFunc func(request) (answer, error)

// source is something that a runtime does: the bodies of one job in order,
// where a body may depend on earlier answers.
type source interface {
	// play posts the job from its first body to its last.
	play(post postFunc) error
}
