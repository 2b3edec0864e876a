package proxy

import (
	"bufio"
	"mime"
	"net"
	"net/http"
	"strings"
)

// answer is a gateway's answer on its way to a client.
type answer struct {
	http.ResponseWriter
	gateway *gateway
	// lasting says whether the client's connection may be used again.
	lasting func() bool
	// cancel ends the gateway's half.
	cancel func()
	// socket says that the client asked for a WebSocket.
	socket bool

	begun  bool
	events *events
	stream stream
}

// Unwrap lets http.ResponseController find what is not here.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader is where an answer turns out to be a stream.
func (a *answer) WriteHeader(status int) {
	if a.begun || status < 200 && status != http.StatusSwitchingProtocols {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	a.begun = true
	header := a.Header()
	if status != http.StatusSwitchingProtocols && !a.lasting() {
		header.Set("Connection", "close")
	}
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if kind == "text/event-stream" {
		a.events = &events{opaque: header.Get("Content-Encoding") != "", cancel: a.cancel}
	}
	a.ResponseWriter.WriteHeader(status)
	if a.events != nil {
		a.stream = a.events
		a.gateway.begin(a.stream)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	if a.events != nil {
		return a.events.write(a.ResponseWriter, p)
	}
	return a.ResponseWriter.Write(p)
}

// Hijack hands out the connection of a client that was upgraded.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil || !a.socket {
		return conn, buffered, err
	}
	// The header goes first, whatever else is said on this connection.
	if err := buffered.Flush(); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	socket := &websocket{Conn: conn}
	a.stream = socket
	a.gateway.begin(socket)
	return socket, buffered, nil
}

// ended tells whether this side has ended the answer.
func (a *answer) ended() bool { return a.events != nil && a.events.ended() }

// done is called when nothing more comes.
func (a *answer) done() {
	if a.stream != nil {
		a.gateway.forget(a.stream)
	}
}

func asksForWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
