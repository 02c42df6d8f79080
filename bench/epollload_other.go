//go:build !linux

package main

// linkLoops drives links.
func linkLoops(links []*link) []loop { return goroutineLoops(links) }
