package terminal

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// The variables that stand for --target and --key.
const (
	URLVariable = "MILEPOST_URL"
	KeyVariable = "MILEPOST_API_KEY"
)

// defaultTarget is where a server listens if nothing else was configured.
const defaultTarget = "http://127.0.0.1:8080"

// Flags are the flags of a verb that talks to a server: --target and --key,
// and those that the verb adds.
type Flags struct {
	*flag.FlagSet

	target, key string
}

// NewFlags returns the flags of a verb.
func NewFlags(verb string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(verb, flag.ContinueOnError)}
	f.SetOutput(io.Discard)
	f.StringVar(&f.target, "target", "", "")
	f.StringVar(&f.key, "key", "", "")
	return f
}

// Arguments reads args, flags and arguments in any order, and returns the
// arguments. It is an error if there are fewer than least or more than most.
func (f *Flags) Arguments(args []string, least, most int) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if args = f.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if len(rest) < least || len(rest) > most {
		want := fmt.Sprint(least)
		if most > least {
			want = fmt.Sprintf("%d to %d", least, most)
		}
		return nil, fmt.Errorf("%s takes %s argument(s), got %d", f.Name(), want, len(rest))
	}
	return rest, nil
}

// Client returns a client of the server that the flags name, or else the
// environment.
func (f *Flags) Client() (*Client, error) {
	target, key := f.target, f.key
	if target == "" {
		target = os.Getenv(URLVariable)
	}
	if target == "" {
		target = defaultTarget
	}
	if key == "" {
		key = os.Getenv(KeyVariable)
	}
	if key == "" {
		return nil, errors.New("no API key: set " + KeyVariable + ", or --key")
	}
	return NewClient(target, key)
}
