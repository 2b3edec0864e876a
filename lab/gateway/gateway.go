package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// shutdownLimit is how long the gateway may take to finish after SIGINT. After
// that its watchdog ends it with exit code 1.
const shutdownLimit = 10 * time.Second

func runGateway(path string) error {
	fmt.Fprintf(os.Stderr, "starting weft gateway version=%s\n", version)
	// PID 1 has no default action for SIGTERM, and the gateway handles SIGINT
	// only. Go's runtime would exit on SIGTERM even as PID 1.
	if os.Getpid() == 1 {
		signal.Ignore(syscall.SIGTERM)
	}
	interrupted := make(chan os.Signal, 2)
	signal.Notify(interrupted, os.Interrupt)

	fault, err := parseFault(fault)
	if err != nil {
		return err
	}
	config, err := loadConfig(path)
	if err != nil {
		return err
	}
	if err := fault.atStart(); err != nil {
		return err
	}
	data := filepath.Join(os.Getenv("HOME"), ".clawft")
	store, err := openStore(filepath.Join(data, "workspace", "sessions"))
	if err != nil {
		return fmt.Errorf("failed to bootstrap app context: %w", err)
	}
	if err := watchOverlap(data); err != nil {
		return fmt.Errorf("failed to bootstrap app context: %w", err)
	}

	// The API is served before the channels start, as in the real gateway: a
	// channel that aborts the start does so with the port already open.
	server := &http.Server{
		Handler:           api{store: store, data: data, fault: fault, started: time.Now()}.routes(),
		ReadHeaderTimeout: 10 * time.Second,
	}
	failed := make(chan error, 1)
	if config.Gateway.APIEnabled {
		address := net.JoinHostPort(config.Gateway.Host, strconv.Itoa(int(config.Gateway.APIPort)))
		var listening net.ListenConfig
		listener, err := listening.Listen(context.Background(), network(config.Gateway.Host), address)
		if err != nil {
			return fmt.Errorf("failed to bind API listener on %s: %w", address, err)
		}
		fmt.Fprintf(os.Stderr, "API listening on http://%s\n", listener.Addr())
		go func() { failed <- server.Serve(listener) }()
	}
	channels, err := config.Channels.start()
	if err != nil {
		return err
	}
	kind := "channels"
	switch {
	case config.Gateway.APIEnabled:
		channels++ // the web channel comes with the API
		kind = "channels + API"
	case channels == 0:
		return errors.New("no channels are enabled and API is disabled. " +
			"Enable at least one channel (e.g., telegram, slack, discord) with credentials, " +
			"or set gateway.api_enabled = true")
	}
	fmt.Fprintf(os.Stderr, "gateway running (%d %s) -- press Ctrl+C to stop\n", channels, kind)
	crashed := fault.whileRunning()

	for {
		select {
		case err := <-failed:
			return fmt.Errorf("API server exited with error: %w", err)
		case err := <-crashed:
			return err
		case <-interrupted:
			if fault.ignoresStop() {
				continue
			}
			return shutDown(server, interrupted)
		}
	}
}

// network keeps an IPv4 host from listening on IPv6 too, which is what Go makes
// of 0.0.0.0 and the real gateway does not.
func network(host string) string {
	if net.ParseIP(host).To4() != nil {
		return "tcp4"
	}
	return "tcp"
}

// shutDown takes no new request, finishes those in flight and returns.
func shutDown(server *http.Server, interrupted <-chan os.Signal) error {
	fmt.Fprintln(os.Stderr, "\nshutting down...")
	limit, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- server.Shutdown(limit) }()
	select {
	case err := <-done:
		if err != nil {
			return errors.New("shutdown timed out, forcing exit")
		}
		fmt.Fprintln(os.Stderr, "gateway shutdown complete")
		return nil
	case <-interrupted:
		return errors.New("forced exit")
	}
}
