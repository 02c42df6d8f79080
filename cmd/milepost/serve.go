package main

import (
	"os"

	"milepost/internal/app"
)

func serve(args []string) int {
	o, err := parse("serve", args, 0, "listen", "admin-listen", "data", "upstream")
	if err != nil {
		return wrongUsage("serve", err)
	}
	if err := app.Run(o.load, os.Stdout, os.Stderr); err != nil {
		return failed(err)
	}
	return exitOK
}
