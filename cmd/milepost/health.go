package main

import (
	"fmt"

	"milepost/internal/app"
)

// health is for the health checks of containers, whose images have no shell
// and no curl: the exit status says it.
func health(args []string) int {
	o, err := parse("health", args, 0, "admin-listen")
	if err != nil {
		return wrongUsage("health", err)
	}
	cfg, err := o.load()
	if err != nil {
		return failed(err)
	}
	if err := app.Health(cfg); err != nil {
		return failed(err)
	}
	fmt.Println("ready")
	return exitOK
}
