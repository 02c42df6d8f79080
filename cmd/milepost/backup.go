package main

import (
	"fmt"

	"milepost/internal/app"
)

func backup(args []string) int {
	o, err := parse("backup", args, 1, "data", "admin-listen")
	if err != nil {
		return wrongUsage("backup", err)
	}
	cfg, err := o.load()
	if err != nil {
		return failed(err)
	}
	if err := app.Backup(cfg, o.rest[0]); err != nil {
		return failed(err)
	}
	fmt.Printf("backed up to %s; to restore, start with --data %s\n", o.rest[0], o.rest[0])
	return exitOK
}
