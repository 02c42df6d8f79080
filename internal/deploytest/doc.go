// Package deploytest holds what operators are given, in deploy/ and docs/,
// against the program: every series, configuration key, error and alert that is
// named there exists, and those that an operator meets are explained. It has
// tests alone.
//
// Those with the build tag proxies start nginx and Caddy with the files of
// deploy/proxy in front of a server.
package deploytest
