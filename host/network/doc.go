// Package network closes the networks of the gateways with a packet filter of its own, the table
// "inet clawft" of nftables. The API has no authentication, so that whoever reaches it, owns it.
//
// The rules know a gateway's bridge by the beginning of its name ([Prefix]) and therefore hold for
// every gateway of the host, also for one that comes later:
//
//   - Into a bridge go replies only. No neighbour with a route, no other container and no other gateway
//     opens a connection to one. Of the host's own processes, root's and those of the given users may.
//   - Out of a bridge, the internet is open. The host itself is closed with whatever it publishes, and so
//     are the link-local addresses and other places where clouds tell a server its secrets. Name servers
//     that the host uses stay open, for names only.
//
// What nftables drops stays dropped, whatever Docker, ufw, firewalld or the old iptables accept: a packet
// has to be accepted by everybody. Neither is anything of theirs touched here.
//
// Whoever reloads a firewall may flush the whole ruleset, ours with it. [Guard] is told by the kernel and
// puts the table back within milliseconds; every gateway's unit runs one.
package network
