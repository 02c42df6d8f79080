package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"milepost/internal/config"
	"milepost/internal/terminal"
)

// options are the flags of a verb that reads the configuration.
type options struct {
	file  string
	flags map[string]string
	rest  []string
}

// parse reads flags and arguments in any order. The names are those of the
// flags that the verb takes beside --config.
func parse(verb string, args []string, arguments int, names ...string) (options, error) {
	o := options{flags: make(map[string]string)}
	set := flag.NewFlagSet(verb, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&o.file, "config", "", "")
	for _, name := range names {
		set.Func(name, "", func(v string) error { o.flags[name] = v; return nil })
	}
	for {
		if err := set.Parse(args); err != nil {
			return o, err
		}
		if args = set.Args(); len(args) == 0 {
			break
		}
		o.rest, args = append(o.rest, args[0]), args[1:]
	}
	if len(o.rest) != arguments {
		return o, fmt.Errorf("%s takes %d argument(s), got %d", verb, arguments, len(o.rest))
	}
	return o, nil
}

func (o options) load() (*config.Config, error) {
	// The one variable with our prefix that is no configuration: a shell that
	// has it for the terminal's verbs may start a server, too.
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, terminal.URLVariable+"=") })
	return config.Load(o.file, environ, o.flags)
}

// wrongUsage explains how a verb is meant.
func wrongUsage(verb string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usageOf(verb))
		return exitOK
	}
	fmt.Fprintf(os.Stderr, "milepost: %v\n%s", err, usageOf(verb))
	return exitUsage
}

// usageOf is what the usage text says of a verb: all of it would push the
// message that goes before off the screen.
func usageOf(verb string) string {
	var of strings.Builder
	for line := range strings.Lines(usage) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && strings.Trim(words[1], "[]") == verb:
			of.WriteString("usage: " + strings.TrimSpace(line) + "\n")
		case !strings.HasPrefix(line, " ") && strings.Contains(line, verb):
			of.WriteString(line) // the flags that some share
		}
	}
	return of.String()
}

// failed tells faults of the configuration from failures.
func failed(err error) int {
	var refused *terminal.APIError
	if errors.As(err, &refused) && refused.Code == http.StatusUnauthorized {
		err = fmt.Errorf("%w; is the key in %s (or --key) one of this server's?", err, terminal.KeyVariable)
	}
	fmt.Fprintf(os.Stderr, "milepost: %v\n", err)
	var faults config.Faults
	if errors.As(err, &faults) {
		return exitUsage
	}
	return exitFailure
}
