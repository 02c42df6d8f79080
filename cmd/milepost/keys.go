package main

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"milepost/internal/app"
	"milepost/internal/checkpoint"
)

// keys prints a new secret, and what to put into the configuration for it.
func keys(args []string) int {
	if len(args) != 1 || args[0] != "new" {
		return wrongUsage("keys", errors.New("keys takes one argument: new"))
	}
	secret := app.NewSecret()
	fmt.Printf(`# the secret, for the client: %s
[[auth.keys]]
name            = "runtime"
secret_sha256   = "%x"
organization_id = "%s"
application_id  = "%s"
scopes          = ["read", "write"]
`, secret, sha256.Sum256([]byte(secret)), checkpoint.NewID(), checkpoint.NewID())
	return exitOK
}
