package pipeline

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// keyPair makes an SSH key pair: the public key in one line, and the private
// key as YAML, encrypted with the passphrase if there is one.
func keyPair(t *testing.T, passphrase string) (public, private string) {
	t.Helper()
	publicKey, privateKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(privateKey, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(privateKey, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(publicKey)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))), fmt.Sprintf("{secure: %q}", pem.EncodeToMemory(block))
}

const rsaKey = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCodCoQSCJKTJfqMWy0spUmgMaS+hPiukNnqOm1c/F7PuPwT+huBZltdrPZvT0vwctu2zUzOOVTG66/onY/fzd7JynruVR5IQctx7wUoqNBMiyB20pXLrxEUErK5Go+uEVAIGfN+45/iDqeI5F/VRP0KlStkbddAxS/z8zqsFC9vtI0wliIy0XMaM2e2bWb3BrxCnLEQ8LU+a5F5LTvodcX176U2gpF6340Vvx9M4OHzCuc2KHN+X8ZmSHp8otcgzAohguLK6EBWsmaatSsiftBzw8QwxW1ygqqBPEW5tRwP4PR1wDj7XtrJ8bIKGRoCegFu7vaip6MJ2P1xWJa3xF7"

func TestWrongHosts(t *testing.T) {
	public, private := keyPair(t, "")
	hosts := func(list string) map[string]string {
		return map[string]string{"hosts": list, "sshPrivateKey": private, "hcloud:token": "{secure: x}"}
	}
	machine := func(keys string) map[string]string {
		return hosts("[{name: a, address: 203.0.113.7, " + keys + "}]")
	}
	fields := strings.Fields(public)
	testWrong(t, []wrongConfig{
		{"neither server nor machine", hosts("[{name: a}]"), []string{
			"clawft:hosts[0]: got neither hcloud nor address; want hcloud for a server to create, or address for an existing machine",
		}},
		{"server and machine", hosts("[{name: a, hcloud: {}, address: 203.0.113.7}]"), []string{
			"clawft:hosts[0]: got hcloud and address; want only one of them: hcloud for a server to create, or address for an existing machine",
		}},
		{"server with a machine's keys", hosts("[{name: a, hcloud: {}, port: 22, user: root}]"), []string{
			"clawft:hosts[0].port: got a value; want none with hcloud, where the pipeline sets it",
			"clawft:hosts[0].user: got a value; want none with hcloud, where the pipeline sets it",
		}},
		{"names", hosts("[{hcloud: {}}, {name: Gw_1, hcloud: {}}, {name: a, hcloud: {}}, {name: a, hcloud: {}}]"), []string{
			"clawft:hosts[0].name: got nothing; want a name for the host, such as gw-1",
			`clawft:hosts[1].name: got "Gw_1"; want at most 63 lower-case letters, digits and -, not starting or ending with -`,
			`clawft:hosts[3].name: got "a", the name of clawft:hosts[2]; want a name that no other host has`,
		}},
		{"one machine twice", hosts("[{name: a, address: A.example.org, hostKey: '" + public + "'}, {name: b, address: a.example.org, hostKey: '" + public + "'}]"), []string{
			`clawft:hosts[1].address: got "a.example.org", the address of clawft:hosts[0]; want a machine that no other host is: one machine runs one gateway`,
		}},
		{"names of before", hosts("[{name: a, was: a, hcloud: {}}, {name: b, was: a, hcloud: {}}, {name: c, was: d, hcloud: {}}, {name: e, was: d, hcloud: {}}, {name: f, was: G_1, hcloud: {}}]"), []string{
			`clawft:hosts[0].was: got "a", the name of clawft:hosts[0]; want the name that the host had, and that none has any more`,
			`clawft:hosts[1].was: got "a", the name of clawft:hosts[0]; want the name that the host had, and that none has any more`,
			`clawft:hosts[3].was: got "d", as clawft:hosts[2].was; want the name that this host had, and no other`,
			`clawft:hosts[4].was: got "G_1"; want the name that the host had, such as gw-1`,
		}},
		{"take-over", hosts("[{name: a, takeOver: prod, hcloud: {}}, {name: b, takeOver: 0123456789abcdef/gw-1, giveUp: true, hcloud: {}}]"), []string{
			`clawft:hosts[0].takeOver: got "prod"; want an owner and a gateway as the refusal prints them, such as 0123456789abcdef/gw-1`,
			`clawft:hosts[1]: got takeOver and giveUp; want only one of them: takeOver for a machine that shall run this host's gateway, giveUp for one that is dead`,
		}},
		{"address in brackets", hosts("[{name: a, address: '[2001:db8::7]', hostKey: '" + public + "'}]"), []string{
			`clawft:hosts[0].address: got "[2001:db8::7]"; want 2001:db8::7`,
		}},
		{"address with the root's dot", hosts("[{name: a, address: a.example.org., hostKey: '" + public + "'}]"), []string{
			`clawft:hosts[0].address: got "a.example.org."; want a.example.org`,
		}},
		{"address with a user", hosts("[{name: a, address: root@203.0.113.7, hostKey: '" + public + "'}]"), []string{
			`clawft:hosts[0].address: got "root@203.0.113.7"; want an IP address or a DNS name, without user and port`,
		}},
		{"address out of range", hosts("[{name: a, address: 203.0.113.777, hostKey: '" + public + "'}]"), []string{
			`clawft:hosts[0].address: got "203.0.113.777"; want an IP address or a DNS name, without user and port`,
		}},
		{"port and user", machine("port: 0, user: 'root;id', hostKey: '" + public + "'"), []string{
			"clawft:hosts[0].port: got 0; want 1 to 65535",
			`clawft:hosts[0].user: got "root;id"; want the name of a user who can log in by key`,
		}},
		{"host key that is none", machine("hostKey: ssh-ed25519 AAAA"), []string{
			`clawft:hosts[0].hostKey: got "ssh-ed25519 AAAA"; want an SSH public key, one line such as "ssh-ed25519 AAAA…"`,
		}},
		{"fingerprint", machine("hostKey: 'SHA256:abc'"), []string{
			`clawft:hosts[0].hostKey: got "SHA256:abc"; want an SSH public key, one line such as "ssh-ed25519 AAAA…"`,
		}},
		{"host key with the host's name", machine("hostKey: 'h " + public + "'"), []string{
			fmt.Sprintf("clawft:hosts[0].hostKey: got %s; want the key without what stands in front, starting with ssh-ed25519", quote("h "+public)),
		}},
		{"host key that sshd does not sign with", machine("hostKey: '" + rsaKey + "'"), []string{
			"clawft:hosts[0].hostKey: got an RSA key; want the machine's Ed25519 key, in /etc/ssh/ssh_host_ed25519_key.pub (`ssh-keygen -A` makes it where there is none); for an RSA one, the connection would offer ssh-rsa with SHA-1 alone, which sshd refuses",
		}},
		{"private host key", machine(`hostKey: "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary"`), []string{
			`clawft:hosts[0].hostKey: got a private key; want an SSH public key, one line such as "ssh-ed25519 AAAA…"`,
		}},
		{"server", hosts("[{name: a, hcloud: {type: CAX 11, location: Nürnberg, image: debian-11}}]"), []string{
			`clawft:hosts[0].hcloud.image: got "debian-11"; want debian-12 or later, ubuntu-22.04 or later, or the ID of a snapshot of one`,
			`clawft:hosts[0].hcloud.location: got "Nürnberg"; want a Hetzner location, such as nbg1 or hel1`,
			`clawft:hosts[0].hcloud.type: got "CAX 11"; want a Hetzner server type, such as cax11 or cx23`,
		}},
		{"another distribution", hosts("[{name: a, hcloud: {image: rocky-9}}]"), []string{
			`clawft:hosts[0].hcloud.image: got "rocky-9"; want debian-12 or later, ubuntu-22.04 or later, or the ID of a snapshot of one`,
		}},
		{"architecture without an image", map[string]string{
			"image": "{repository: r.example/x, digest: '" + digest + "', platforms: [linux/amd64]}", "hosts": "[{name: a, hcloud: {type: cax11}}]", "hcloud:token": "{secure: x}",
		}, []string{
			`clawft:hosts[0].hcloud.type: got "cax11", which is linux/arm64; want a server type for linux/amd64, or linux/arm64 among clawft:image.platforms`,
		}},
		{"sources", map[string]string{"ssh": "{allowedSources: [203.0.113.7, 203.0.113.7/24, any]}"}, []string{
			`clawft:ssh.allowedSources[0]: got "203.0.113.7"; want a CIDR block, such as 203.0.113.0/24 or 203.0.113.7/32`,
			`clawft:ssh.allowedSources[1]: got "203.0.113.7/24"; want 203.0.113.0/24, or 203.0.113.7/32 for the one address`,
			`clawft:ssh.allowedSources[2]: got "any"; want a CIDR block, such as 203.0.113.0/24 or 203.0.113.7/32`,
		}},
		{"authorized keys", map[string]string{"ssh": "{authorizedKeys: [" + strings.Join([]string{
			public + " colleague", public, `"from=\"203.0.113.7\" ` + public + `"`, "host " + public, "ssh-ed25519", "sk", `"` + public + `\n` + public + `"`,
		}, ", ") + "]}"}, []string{
			`clawft:ssh.authorizedKeys[1]: got "` + public + `", the key of clawft:ssh.authorizedKeys[0]; want each key once`,
			"clawft:ssh.authorizedKeys[2]: got " + `"from=\"203.0.113.7\" ` + public[:80-len(`from="203.0.113.7" `)] + `"…; want the key without what stands in front, starting with ssh-ed25519`,
			`clawft:ssh.authorizedKeys[3]: got "host ` + public[:80-5] + `"…; want the key without what stands in front, starting with ssh-ed25519`,
			`clawft:ssh.authorizedKeys[4]: got "ssh-ed25519"; want an SSH public key, one line such as "ssh-ed25519 AAAA…"`,
			`clawft:ssh.authorizedKeys[5]: got "sk"; want an SSH public key, one line such as "ssh-ed25519 AAAA…"`,
			`clawft:ssh.authorizedKeys[6]: got 2 lines; want one key for each entry, one line such as "ssh-ed25519 AAAA…"`,
		}},
		{"no source", map[string]string{"ssh": "{allowedSources: []}"}, []string{
			"clawft:ssh.allowedSources: got an empty list; want at least one CIDR block, or nobody reaches the servers, the pipeline neither",
		}},
	})

	if _, err := with(machine("hostKey: "+fields[0]+" "+fields[1]+" comment, user: debian, port: 2222")).load(t, "dev"); err != nil {
		t.Errorf("a machine with everything given: %v", err)
	}
}

// One machine must not run two gateways, however its address is written.
func TestOneMachineIsOneHost(t *testing.T) {
	first, private := keyPair(t, "")
	second, _ := keyPair(t, "")
	for _, test := range []struct {
		name, a, b string // what the two say beside their names; KEY is the first's host key
		want       string // "" takes them for two machines
	}{
		{"the default port", "address: 203.0.113.7", "address: 203.0.113.7, port: 22", "address"},
		{"upper case", "address: gw.example.org", "address: GW.Example.ORG", "address"},
		{"IPv6 with zeros", "address: '2001:db8::7'", "address: '2001:DB8:0:0:0000:0::0007'", "address"},
		{"IPv4 within IPv6", "address: 203.0.113.7", "address: '::ffff:203.0.113.7'", "address"},
		{"IPv4 within IPv6, in hexadecimal", "address: 203.0.113.7", "address: '::ffff:cb00:7107', port: 22", "address"},
		{"another user", "address: 203.0.113.7", "address: 203.0.113.7, user: debian", "address"},
		{"a name and an address", "address: gw.example.org, hostKey: KEY", "address: 203.0.113.7, hostKey: KEY", "hostKey"},
		{"two ports of one sshd", "address: 203.0.113.7, hostKey: KEY", "address: 203.0.113.7, port: 2222, hostKey: KEY", "hostKey"},
		{"the key with a comment", "address: 203.0.113.7, hostKey: KEY", "address: 203.0.113.8, hostKey: KEY root@gw", "hostKey"},
		{"two machines behind one address", "address: 203.0.113.7", "address: 203.0.113.7, port: 2222", ""},
		{"the address of a machine that is given up", "address: 203.0.113.7, giveUp: true", "address: 203.0.113.7", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			entry := func(name, says, key string) string {
				if !strings.Contains(says, "hostKey") {
					says += ", hostKey: " + key
				}
				return "{name: " + name + ", " + strings.ReplaceAll(says, "KEY", first) + "}"
			}
			_, err := with(map[string]string{
				"hosts": "[" + entry("a", test.a, first) + ", " + entry("b", test.b, second) + "]", "sshPrivateKey": private,
			}).load(t, "dev")
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want == "":
			case err == nil || strings.Count(err.Error(), "one machine runs one gateway") != 1 || !strings.Contains(err.Error(), "clawft:hosts[1]."+test.want+": "):
				t.Errorf("got %v, want a refusal of clawft:hosts[1].%s alone", err, test.want)
			}
		})
	}
}

func TestWrongSSHKeys(t *testing.T) {
	public, _ := keyPair(t, "")
	_, locked := keyPair(t, "passphrase")
	testWrong(t, []wrongConfig{
		{"with a passphrase", map[string]string{"sshPrivateKey": locked}, []string{
			"clawft:sshPrivateKey: got a private key with a passphrase; want one without, made for this stack: ssh-keygen -t ed25519 -N '' -f FILE; pulumi config set --stack dev --secret clawft:sshPrivateKey < FILE",
		}},
		{"public key", map[string]string{"sshPrivateKey": "{secure: " + public + "}"}, []string{
			"clawft:sshPrivateKey: got a public key; want the private key; pulumi config set --stack dev --secret clawft:sshPrivateKey < FILE",
		}},
		{"path", map[string]string{"sshPrivateKey": "{secure: ~/.ssh/id_ed25519}"}, []string{
			"clawft:sshPrivateKey: got 17 bytes that are no private key; want a private key in OpenSSH or PEM format; pulumi config set --stack dev --secret clawft:sshPrivateKey < FILE",
		}},
	})
}

func TestHostDefaults(t *testing.T) {
	public, private := keyPair(t, "")
	cfg, err := with(map[string]string{
		"hosts":         "[{name: a, hcloud: {}}, {name: b, address: b.example.org, hostKey: '" + public + " root@b'}]",
		"sshPrivateKey": private,
		"hcloud:token":  "{secure: x}",
	}).load(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *cfg.Hosts[0].Hcloud, (Hcloud{"cax11", "nbg1", "debian-12"}); got != want {
		t.Errorf("server: got %+v, want %+v", got, want)
	}
	if got := cfg.Hosts[0]; got.Port != 0 || got.User != "" {
		t.Errorf("server: got %+v, want no keys of a machine", got)
	}
	if got, want := cfg.Hosts[1], (Host{Name: "b", Address: "b.example.org", Port: 22, User: "root", HostKey: public}); got != want {
		t.Errorf("machine: got %+v, want %+v", got, want)
	}
	if key := plain(t, cfg.SSH.PrivateKey); !strings.HasSuffix(key, "-----END OPENSSH PRIVATE KEY-----\n") {
		t.Errorf("the private key does not end in one newline")
	}
}

func TestPlatforms(t *testing.T) {
	for serverType, want := range map[string]string{"cax11": arm64, "cx23": amd64, "ccx13": amd64, "cpx22": amd64} {
		if got := (Hcloud{Type: serverType}).Platform(); got != want {
			t.Errorf("%s: got %s, want %s", serverType, got, want)
		}
	}
}
