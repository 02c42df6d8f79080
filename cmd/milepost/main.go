// Command milepost serves the Expert Jobs Checkpoints API.
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  milepost [serve] [--config FILE] [--listen ADDR] [--admin-listen ADDR] [--data DIR] [--upstream URL]
  milepost check-config [--config FILE]
  milepost keys new
  milepost backup DIR [--config FILE] [--data DIR] [--admin-listen ADDR]
  milepost delete JOB [--config FILE] [--data DIR] [--admin-listen ADDR]
  milepost spool ls|retry ID|retry --all|drop ID [--json] [--config FILE] [--data DIR] [--admin-listen ADDR]
  milepost health [--config FILE] [--admin-listen ADDR]
  milepost jobs [--status STATUS] [--sort FIELD] [--order asc|desc] [--take N] [--skip N] [--json]
  milepost tail JOB [--from CHECKPOINT] [--json]
  milepost get JOB [CHECKPOINT]
  milepost export JOB
  milepost import [--organization ID] [--application ID] [--config FILE] [--data DIR] [--admin-listen ADDR]
  milepost ingest [--dir DIR [--once]] [--give-up DURATION]
  milepost completion bash|zsh|fish
  milepost version
jobs, tail, get, export and ingest also take --target URL and --key KEY (or MILEPOST_URL and MILEPOST_API_KEY)
`

// The exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	verb := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "serve":
		return serve(args)
	case "check-config":
		return checkConfig(args)
	case "keys":
		return keys(args)
	case "backup":
		return backup(args)
	case "delete":
		return deleteJob(args)
	case "spool":
		return spool(args)
	case "health":
		return health(args)
	case "jobs":
		return jobs(args)
	case "tail":
		return tail(args)
	case "get":
		return getCheckpoint(args)
	case "export":
		return export(args)
	case "import":
		return importJobs(args)
	case "ingest":
		return ingestEvents(args)
	case "completion":
		return completion(args)
	case "version":
		return printVersion()
	}
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") || verb == "help" {
		fmt.Print(usage)
		return exitOK
	}
	fmt.Fprintf(os.Stderr, "milepost: unknown command %q; \"milepost help\" lists them\n", verb)
	return exitUsage
}
