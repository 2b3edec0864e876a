package hcloud

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/machine"
)

// TestServerBecomesAMachine is the one test here with real machines: that their
// manager gets what it needs, and that what is gone there is gone here.
func TestServerBecomesAMachine(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cache, err := filepath.Abs("../../../.lab/cache")
	require.NoError(t, err)
	root := t.TempDir()
	network := machine.Network{Name: "clawft-hcloud-test", Subnet: netip.MustParsePrefix("172.30.9.0/24")}
	machines, err := machine.New(machine.Options{Root: root, Cache: cache, Network: network})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, machines.DownAll(ctx))
	})
	require.NoError(t, machines.EnsureImage(ctx, func(s string) { t.Log(s) }))
	require.NoError(t, machines.EnsureNetwork(ctx))

	cloud := NewCloud(Options{
		Machines: machines, Network: network, Architecture: "amd64",
		StateFile: filepath.Join(root, "hcloud.json"),
	})
	e := newEngine(t, cloud)
	h := createHost(e)
	address := text(h.server.state, "ipv4Address")
	assert.Equal(t, "172.30.9.11", address)
	m, err := machines.Get(ctx, "gw-1")
	require.NoError(t, err)
	require.NotNil(t, m)
	assert.Equal(t, address, m.IP.String())

	// Whether one can log in is the machine package's test.
	var conn net.Conn
	require.Eventually(t, func() bool {
		conn, err = net.DialTimeout("tcp", address+":22", time.Second)
		return err == nil
	}, time.Minute, 200*time.Millisecond, "sshd answers at the primary IP")
	conn.Close()

	require.NoError(t, machines.Delete(ctx, "gw-1"))
	assert.False(t, e.refresh(&h.server))
	h.server = e.mustCreate(ServerToken, "gw-1-server", h.serverInputs)
	require.NoError(t, e.delete(h.server))
	m, err = machines.Get(ctx, "gw-1")
	require.NoError(t, err)
	assert.Nil(t, m)
}
