package main

import (
	"fmt"

	"milepost/internal/app"
)

func deleteJob(args []string) int {
	o, err := parse("delete", args, 1, "data", "admin-listen")
	if err != nil {
		return wrongUsage("delete", err)
	}
	cfg, err := o.load()
	if err != nil {
		return failed(err)
	}
	if err := app.Delete(cfg, o.rest[0]); err != nil {
		return failed(err)
	}
	fmt.Printf("job %s is deleted\n", o.rest[0])
	return exitOK
}
