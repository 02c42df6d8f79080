package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"milepost/internal/app"
)

// spool shows and changes what waits for the upstream.
func spool(args []string) int {
	if len(args) == 0 {
		return wrongUsage("spool", errors.New("spool takes ls, retry or drop"))
	}
	verb, args := args[0], args[1:]
	asJSON, args := without(args, "json")
	all, args := without(args, "all")
	arguments := 1
	if verb == "ls" || all {
		arguments = 0
	}
	o, err := parse("spool "+verb, args, arguments, "data", "admin-listen")
	if err == nil && all && verb != "retry" {
		err = errors.New("--all goes with retry")
	}
	if err != nil {
		return wrongUsage("spool", err)
	}
	run := map[string]func(options, bool) error{"ls": spoolList, "retry": spoolRetry, "drop": spoolDrop}[verb]
	if run == nil {
		return wrongUsage("spool", fmt.Errorf("spool takes ls, retry or drop, not %q", verb))
	}
	if err := run(o, asJSON); err != nil {
		return failed(err)
	}
	return exitOK
}

// without takes a flag without a value out of arguments and reports whether it was
// there.
func without(args []string, name string) (found bool, rest []string) {
	rest = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--"+name || a == "-"+name })
	return len(rest) < len(args), rest
}

func spoolList(o options, asJSON bool) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	list, err := app.Spool(cfg)
	if err != nil {
		return err
	}
	if asJSON {
		return printLines(list)
	}
	if len(list) == 0 {
		fmt.Println("the spool is empty")
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CHECKPOINT\tJOB\tSTATE\tSIZE\tAGE\tREFUSED WITH")
	for _, s := range list {
		refusal := ""
		if s.Status != 0 {
			refusal = fmt.Sprintf("%d %s", s.Status, oneLine(s.Refusal, 80))
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", s.ID, s.Job, s.State, s.Size, time.Since(s.Accepted).Round(time.Second), refusal)
	}
	return w.Flush()
}

// printLines prints each of a list as JSON on a line of its own.
func printLines[T any](list []T) error {
	e := json.NewEncoder(os.Stdout)
	for _, v := range list {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// oneLine makes a text of a stranger fit to be printed: it is cut, and has no
// control characters.
func oneLine(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func spoolRetry(o options, asJSON bool) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	id := ""
	if len(o.rest) > 0 {
		id = o.rest[0]
	}
	n, err := app.RetrySpool(cfg, id)
	if err != nil {
		return err
	}
	if asJSON {
		fmt.Printf("{\"retried\":%d}\n", n)
		return nil
	}
	fmt.Printf("%d refused checkpoints are delivered again\n", n)
	return nil
}

func spoolDrop(o options, asJSON bool) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if err := app.DropSpool(cfg, o.rest[0]); err != nil {
		return err
	}
	if asJSON {
		fmt.Printf("{\"dropped\":%q}\n", o.rest[0])
		return nil
	}
	fmt.Printf("checkpoint %s is dropped\n", o.rest[0])
	return nil
}
