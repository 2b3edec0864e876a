package engine

import (
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
)

// Labels say whose a container or a network is.
const (
	labelOwner   = "clawft.owner"
	labelGateway = "clawft.gateway"
)

const (
	// user is the image's, by number: files on the host are this one's, too.
	user = "10001:10001"
	// program is where the image has the gateway.
	program = "/usr/local/bin/weft"
	// The gateway takes up to 10 s to end (SIGINT), and as process 1 it does not hear SIGTERM.
	stopSignal  = "SIGINT"
	stopTimeout = 15
	// So much of a preflight's output is kept, for its last lines.
	keptLog = "1m"
)

func labels(owner, gateway string) map[string]string {
	return map[string]string{labelOwner: owner, labelGateway: gateway}
}

// spec returns how a container is made. What is once released never changes: a release is started, and gone
// back to, by the version that it was staged with. A change is a new version.
func (e *Engine) spec(c deploy.Container) (client.ContainerCreateOptions, error) {
	switch c.Release.Spec {
	case 1:
		return e.spec1(c), nil
	default:
		return client.ContainerCreateOptions{}, fmt.Errorf("the release is to be started by version %d of how a container is made; this program knows up to %d", c.Release.Spec, release.Spec)
	}
}

func (e *Engine) spec1(c deploy.Container) client.ContainerCreateOptions {
	memory := int64(c.Release.MemoryMiB) << 20
	pids := int64(c.Release.Pids)
	timeout := stopTimeout
	log := container.LogConfig{Type: "none"}
	if c.KeepLog {
		log = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": keptLog}}
	}
	const launcher, config = "/run/clawft/clawft-host", "/etc/clawft/config.json"
	return client.ContainerCreateOptions{
		Name: c.Name,
		Config: &container.Config{
			Image:      c.Release.Image,
			Labels:     labels(c.Release.Owner.ID, c.Gateway),
			User:       user,
			Entrypoint: []string{launcher, "launch"},
			Cmd:        []string{program, "gateway", "--config", config},
			// The rest of the environment comes by standard input: what stands here, every user of the engine can read.
			Env:         []string{"HOME=/home/weft", fmt.Sprintf("PORT=%d", c.Release.Port), "WEFTOS_NO_UPDATE_CHECK=1"},
			AttachStdin: true, OpenStdin: true, StdinOnce: true,
			StopSignal: stopSignal, StopTimeout: &timeout,
		},
		HostConfig: &container.HostConfig{
			NetworkMode: container.NetworkMode(c.Network),
			// The ids on the data are the host's, also where the engine maps those of other containers.
			UsernsMode:     "host",
			ReadonlyRootfs: true,
			Tmpfs:          map[string]string{"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"},
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			Resources:      container.Resources{Memory: memory, MemorySwap: memory, PidsLimit: &pids},
			LogConfig:      log,
			// Not "Binds": those make a directory of what is missing.
			Mounts: []mount.Mount{
				{Type: mount.TypeBind, Source: c.Data, Target: "/home/weft/.clawft"},
				{Type: mount.TypeBind, Source: c.Config, Target: config, ReadOnly: true},
				{Type: mount.TypeBind, Source: e.launcher, Target: launcher, ReadOnly: true},
			},
		},
	}
}
