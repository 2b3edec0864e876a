// Package proxy is what stands in front of a host's gateways, so that no request is lost while
// one of them is exchanged: Caddy as a library, with a handler that holds requests, counts what
// is under way and lets go (Hold), and one that keeps web pages of others out (Private).
//
// Each gateway has a unix socket, and no port. Its listeners outlive the process: systemd keeps
// them while the process is restarted or has crashed, and a successor inherits them when the
// binary is exchanged. What has to be known again after that stands in a document per gateway
// beside the control socket; a reboot takes all of it away, and the gateways' own units tell
// anew where they listen.
//
// The control socket speaks JSON over HTTP and is root's alone; Client speaks it. A hold lasts
// as long as the connection that asked for it, so nothing stays held whatever is killed.
package proxy
