package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// maxDelay bounds ?delay, so that a forgotten request cannot hold a test.
const maxDelay = 60 * time.Second

// api serves the health route of the contract, and the routes that tests use to
// prove what an update did to the messages.
//
//	GET  /api/health                      {"status":"ok","version":"X.Y.Z","uptime_secs":N}
//	POST /api/messages?session=S&delay=MS takes {"id":"…","content":"…"}, answers with the stored message
//	GET  /api/messages?session=S          {"count":N,"messages":[…]}, all sessions without ?session
//	GET  /api/overlaps                    {"count":N,"overlaps":[…]}, two gateways on one data directory
type api struct {
	store   *store
	data    string
	fault   faultSpec
	started time.Time
}

func (a api) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", a.health)
	mux.HandleFunc("POST /api/messages", a.postMessage)
	mux.HandleFunc("GET /api/messages", a.listMessages)
	mux.HandleFunc("GET /api/overlaps", a.listOverlaps)
	return mux
}

func (a api) health(w http.ResponseWriter, r *http.Request) {
	reason := a.fault.unhealthy(r.Context(), a.store, time.Since(a.started))
	if reason != "" {
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": "unhealthy", "reason": reason})
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"status":      "ok",
		"version":     a.fault.reportedVersion(),
		"uptime_secs": int(time.Since(a.started).Seconds()),
	})
}

// postMessage waits first and stores last, straight before it answers: a request
// that is cut off while it waits has left no trace, so a client may repeat it.
func (a api) postMessage(w http.ResponseWriter, r *http.Request) {
	delay, err := parseDelay(r.URL.Query().Get("delay"))
	if err != nil {
		refuse(w, err)
		return
	}
	var m message
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m); err != nil {
		refuse(w, badRequest{fmt.Errorf("reading message: %w", err)})
		return
	}
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	}
	m.Session, m.Version, m.Received = sessionName(r), version, time.Now().UTC()
	if err := a.store.append(m); err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, m)
}

func (a api) listMessages(w http.ResponseWriter, r *http.Request) {
	messages, err := a.store.messages(r.URL.Query().Get("session"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"count": len(messages), "messages": messages})
}

func (a api) listOverlaps(w http.ResponseWriter, _ *http.Request) {
	overlaps, err := readOverlaps(a.data)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"count": len(overlaps), "overlaps": overlaps})
}

func sessionName(r *http.Request) string {
	if name := r.URL.Query().Get("session"); name != "" {
		return name
	}
	return "default"
}

func parseDelay(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	milliseconds, err := strconv.Atoi(text)
	delay := time.Duration(milliseconds) * time.Millisecond
	if err != nil || delay < 0 || delay > maxDelay {
		return 0, badRequest{fmt.Errorf("delay %q: want milliseconds from 0 to %d", text, maxDelay.Milliseconds())}
	}
	return delay, nil
}

// badRequest marks an error that the client caused.
type badRequest struct{ error }

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var wrong badRequest
	if errors.As(err, &wrong) {
		status = http.StatusBadRequest
	}
	answer(w, status, map[string]any{"error": err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nobody is left to tell
}
