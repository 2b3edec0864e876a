package prepare

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/clawft/infra/host/surroundings"
)

const (
	// Operators is the group whose members may open the gateways' sockets.
	Operators = "clawft"
	// Proxy is the user that the proxy runs as.
	Proxy = "clawft-proxy"
)

// reserve makes the users and groups that are missing: the gateway's ID is kept from being given to somebody
// later. What getent says is in its exit code.
func (h *Host) reserve(ctx context.Context) error {
	id := strconv.Itoa(surroundings.ID)
	for _, missing := range []struct {
		database, key, what string
		command             []string
	}{
		{"group", id, "group " + surroundings.Reserved, []string{"groupadd", "--system", "--gid", id, surroundings.Reserved}},
		{"passwd", id, "user " + surroundings.Reserved, []string{
			"useradd", "--system", "--uid", id, "--gid", id, "--no-create-home",
			"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", surroundings.Reserved,
		}},
		{"group", Operators, "group " + Operators, []string{"groupadd", "--system", Operators}},
		{"passwd", Proxy, "user " + Proxy, []string{
			"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", Proxy,
		}},
	} {
		if exec.CommandContext(ctx, "getent", missing.database, missing.key).Run() == nil {
			continue
		}
		if said, err := exec.CommandContext(ctx, missing.command[0], missing.command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s cannot be made: %w: %s", missing.what, err, last(string(said), 3))
		}
		h.changed(missing.what)
	}
	return nil
}
