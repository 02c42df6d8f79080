package main

import "fmt"

func checkConfig(args []string) int {
	o, err := parse("check-config", args, 0)
	if err != nil {
		return wrongUsage(err)
	}
	if _, err := o.load(); err != nil {
		return failed(err)
	}
	fmt.Println("the configuration is sound")
	return exitOK
}
