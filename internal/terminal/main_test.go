package terminal

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client whose connections are closed with the test.
func newClient(t *testing.T, target string) *Client {
	t.Helper()
	c, err := NewClient(target, "the-key")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const job = "job000000000000000000001"
