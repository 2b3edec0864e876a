// Package hcloud stands in for the pulumi-hcloud plugin and for the Hetzner
// Cloud API behind it: servers, primary IPs, SSH keys, firewalls and their
// attachments, and the functions that look up server types, locations and
// images.
//
// A [Cloud] holds what has been created. With [Machines] each server becomes
// one; without, servers are only recorded, which is enough for plans and
// benchmarks.
//
// As in the real provider, the state holds a hash of a server's user-data, a
// change of userData, image, sshKeys, location or datacenter replaces the
// server, a replaced resource with an explicit name is deleted first, and the
// API's refusals (names already used, unsupported locations, protected
// resources) come when something is created or deleted, not in a preview.
//
// What it does not do: IPv6 addresses are made up, firewalls are recorded but
// filter nothing, and private networks, placement groups, ISO images and rescue
// systems are refused. A server with a machine runs on this computer's
// architecture and on Debian 12. The catalogue is a small copy of what the API
// offered in late 2025; what is sold now, only the API knows.
package hcloud
