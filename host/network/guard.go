package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// Somebody who reloads a firewall makes many changes at once; one look after the last will do.
	settle = 20 * time.Millisecond
	// Whoever never stops making changes is not waited for.
	patience = 200 * time.Millisecond
	// Changes that the kernel could not tell, since too many came at once, are found by looking.
	look = time.Minute
	// Between attempts that fail.
	retry = time.Second
)

// Guard keeps the table as the policy says until ctx ends: it is told of every change by the kernel, and
// looks once a minute besides. say is told what it put back and what went wrong; it goes on in any case.
// Several may run at once. It needs CAP_NET_ADMIN.
func Guard(ctx context.Context, p Policy, say func(message string)) {
	want := p.rules()
	first := true
	for ctx.Err() == nil {
		if err := guard(ctx, want, first, say); err != nil && ctx.Err() == nil {
			say(err.Error())
		}
		first = false
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// guard returns when the kernel's messages cannot be read any more.
func guard(ctx context.Context, want ruleset, first bool, say func(string)) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("watching the packet filter: %w", err)
	}
	defer conn.Close()
	if err := conn.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return fmt.Errorf("watching the packet filter: %w", err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends Receive

	for {
		changed, err := apply(want)
		if err != nil {
			return err
		}
		if changed && !first {
			say("the packet filter was changed or removed by somebody: it is back in place")
		}
		first = false
		if err := await(conn); err != nil {
			return fmt.Errorf("watching the packet filter: %w", err)
		}
	}
}

// await returns after a change, or when it is time to look.
func await(conn *netlink.Conn) error {
	until := time.Now().Add(look)
	for changed := false; ; changed = true {
		wait := until
		if changed && time.Now().Add(settle).Before(until) {
			wait = time.Now().Add(settle)
		}
		if err := conn.SetReadDeadline(wait); err != nil {
			return err
		}
		_, err := conn.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS):
			return nil
		case err != nil:
			return err
		}
		if !changed {
			until = time.Now().Add(patience)
		}
	}
}
