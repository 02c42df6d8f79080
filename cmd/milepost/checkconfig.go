package main

import (
	"fmt"

	"milepost/internal/app"
)

func checkConfig(args []string) int {
	o, err := parse("check-config", args, 0)
	if err != nil {
		return wrongUsage("check-config", err)
	}
	cfg, err := o.load()
	if err != nil {
		return failed(err)
	}
	if err := app.Check(cfg); err != nil {
		return failed(err)
	}
	fmt.Println("the configuration is sound")
	return exitOK
}
