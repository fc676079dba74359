//go:build race

package main

// raceFlag builds the programs as these tests were built.
var raceFlag = []string{"-race"}
