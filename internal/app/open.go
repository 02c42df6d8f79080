package app

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// explainOpen adds to an error of store.Open what the operator can do about it,
// where the cause alone does not say so.
func explainOpen(err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN): // its lock is held
		return fmt.Errorf("%w: another process has it open; stop that one, or name another directory with store.dir (--data)", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; let it belong to the user that runs the server, or name another directory with store.dir (--data)", err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; name another directory with store.dir (--data)", err)
	}
	return err
}
