package main

import (
	"errors"
	"net"
	"testing"
)

func TestConnectionsBeyondTheBoundWait(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := limitConnections(inner, 1)
	for range 2 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	first, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			err = conn.Close()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("a second connection beside the first: %v", err)
	default:
	}
	for range 2 { // closing twice makes room once
		_ = first.Close()
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	third := make(chan error)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			_ = conn.Close()
		}
		third <- err
	}()
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-third; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
