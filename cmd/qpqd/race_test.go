//go:build race

package main

// raceFlag builds the programs as these tests were.
var raceFlag = []string{"-race"}
