package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"milepost/internal/ingest"
	"milepost/internal/terminal"
)

// ingestEvents posts a checkpoint for each event of a runtime that carries one:
// of those on standard input, which is passed on unchanged, or of the files in
// a directory. The exit status is 1 if any could not be stored.
func ingestEvents(args []string) int {
	f := terminal.NewFlags("ingest")
	dir := f.String("dir", "", "")
	once := f.Bool("once", false, "")
	giveUp := f.Duration("give-up", 10*time.Minute, "")
	if _, err := f.Arguments(args, 0, 0); err != nil {
		return wrongUsage("ingest", err)
	}
	c, err := f.Client()
	switch {
	case err != nil:
	case *once && *dir == "":
		err = errors.New("--once belongs to --dir")
	case *giveUp < 0:
		err = errors.New("--give-up must not be negative")
	}
	if err != nil {
		return wrongUsage("ingest", err)
	}
	progress := terminal.NewProgress(os.Stderr, terminal.IsTerminal(os.Stderr))
	poster := ingest.NewPoster(c, progress.Note, *giveUp)
	switch {
	case *dir == "":
		err = ingestPipe(poster, progress)
	case *once:
		err = ingestDir(poster, progress, *dir, (*ingest.Dir).Once)
	default:
		// The files wait, so there is no reason to give up.
		poster.GiveUp = 0
		err = ingestDir(poster, progress, *dir, (*ingest.Dir).Follow)
	}
	progress.Note(poster.Summary())
	if err != nil {
		return failed(err)
	}
	if poster.Refused > 0 {
		return exitFailure
	}
	return exitOK
}

func ingestPipe(poster *ingest.Poster, progress *terminal.Progress) error {
	// Who reads our output may go before the runtime ends; that costs no
	// checkpoint.
	signal.Ignore(syscall.SIGPIPE)
	// Ctrl-C reaches the runtime as well, whose last events are still to come.
	// The second time it ends us.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		progress.Note("reading on to the end of the input; once more to stop at once")
	}()
	return ingest.Pipe(context.Background(), os.Stdin, os.Stdout, poster, func() {
		progress.Draw(fmt.Sprintf("%d checkpoints stored", poster.Stored))
	})
}

func ingestDir(poster *ingest.Poster, progress *terminal.Progress, path string, do func(*ingest.Dir, context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	d, err := ingest.NewDir(path, poster, func(done, known int) {
		progress.Draw(fmt.Sprintf("%s %d of %d checkpoints", terminal.Bar(done, known), done, known))
	})
	if err != nil {
		return err
	}
	return do(d, ctx)
}
