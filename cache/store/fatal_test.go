package store

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// childVariable makes the test below the process that is to end.
const childVariable = "STORE_TEST_CHILD"

// Without Fatal a store that cannot go on ends its process with status 1, and
// says why.
func TestByDefaultAFailedStoreEndsTheProcess(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		failByDefault(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	if s := string(out); !strings.Contains(s, "the store cannot go on") || strings.Contains(s, "still here") || strings.Contains(s, "FAIL") {
		t.Errorf("output:\n%s", s)
	}
}

func failByDefault(t *testing.T) {
	var broken atomic.Bool
	o := testOptions(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileWrite && filepath.Ext(op.Path) == ".log" {
			return errorfs.ErrInjected
		}
		return nil
	})))
	o.Fatal, o.Logger = nil, slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	_, err = add(s, testID("job"), testID("c1"), document("first"), nil)
	t.Errorf("still here: %v", err)
}
