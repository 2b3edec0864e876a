package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
)

const platform = "linux/amd64"

// errNoEngine is what an engine that is dead says.
var errNoEngine = errors.New("cannot connect to the Docker daemon at unix:///run/docker.sock")

// engine runs containers. The containers outlive the process that started them.
type engine struct {
	world      *World
	containers map[string]*container
	// images are here; tags are those that somebody named.
	images   map[string]bool
	tags     []string
	networks map[string]string
	dead     bool
	// died is closed when the engine dies.
	died  chan struct{}
	hangs bool
	count int
	// ended is when a container ended last.
	ended time.Time
}

type container struct {
	id        string
	spec      deploy.Container
	info      deploy.ContainerInfo
	address   netip.Addr
	behaviour Behaviour
	started   time.Time
	ended     chan struct{}
	exit      deploy.Exit
	output    io.Writer
	attached  *Process
	lines     []string
}

// die is the end of the engine's process. The containers' processes may outlive it, until the
// next one ends them.
func (e *engine) die(theyLive bool) {
	if e.dead {
		return
	}
	e.dead = true
	close(e.died)
	if !theyLive {
		e.endAll()
	}
}

func (e *engine) endAll() {
	for _, id := range slices.Sorted(maps.Keys(e.containers)) {
		e.end(e.containers[id], deploy.Exit{Code: 137})
	}
}

// live starts the engine again: what ran without it is ended.
func (e *engine) live() {
	e.hangs = false
	if e.dead {
		e.endAll()
		e.dead, e.died = false, make(chan struct{})
	}
}

func (e *engine) end(c *container, exit deploy.Exit) {
	if !c.info.Running {
		return
	}
	c.info.Running, c.exit, e.ended = false, exit, time.Now()
	close(c.ended)
}

func (e *engine) detach(p *Process) {
	for _, c := range e.containers {
		if c.attached == p {
			c.output = nil
		}
	}
}

func (e *engine) write(c *container, line string) {
	c.lines = append(c.lines, line)
	if c.output != nil {
		_, _ = io.WriteString(c.output, line+"\n")
	}
}

// at returns the running container of an address.
func (e *engine) at(address netip.Addr) *container {
	for _, c := range e.containers {
		if c.info.Running && c.address == address {
			return c
		}
	}
	return nil
}

// preflight tells whether a container has no data.
func (c *container) preflight() bool { return c.spec.KeepLog }

func (c *container) healthy() error {
	since, b := time.Since(c.started), c.behaviour
	if b.OnData && c.preflight() {
		return nil
	}
	if b.Starts < 0 || since < b.Starts || b.Sick > 0 && since >= b.Sick && b.Later == "" {
		return errors.New("HTTP 503 starting")
	}
	return nil
}

// start has the gateway live, as it behaves.
func (e *engine) start(c *container) {
	e.count++
	c.address = netip.AddrFrom4([4]byte{10, 0, byte(e.count >> 8), byte(e.count)})
	c.info.Running, c.started = true, time.Now()
	e.write(c, "gateway "+c.behaviour.Version+" starts")
	e.world.started(c)
	if ends := c.behaviour.Ends; ends > 0 && (!c.behaviour.OnData || !c.preflight()) {
		e.world.after(ends, "the gateway in "+c.spec.Name+" ends", func() {
			if c.info.Running {
				e.write(c, "panic: out of luck")
				e.end(c, deploy.Exit{Code: c.behaviour.Code, OutOfMemory: c.behaviour.OutOfMemory})
			}
		})
	}
}

// enginePort is a process's way to the engine.
type enginePort struct {
	*Process
	engine *engine
}

var _ deploy.Engine = enginePort{}

// ask does what an engine is asked that answers.
func (e enginePort) ask(ctx context.Context, label string, changes bool, do func() error) error {
	hangs := false
	err := e.do(label, changes, func() error {
		switch {
		case e.engine.dead:
			return errNoEngine
		case e.engine.hangs:
			hangs = true
			return nil
		}
		return do()
	})
	if hangs {
		return e.wait(ctx, nil)
	}
	return err
}

func (e enginePort) Ping(ctx context.Context) (info deploy.EngineInfo, err error) {
	err = e.ask(ctx, "ping", false, func() error {
		info = deploy.EngineInfo{Version: "29.0.0", APIVersion: "1.50", Platform: platform}
		return nil
	})
	return info, err
}

func (e enginePort) Pull(ctx context.Context, image string, _ *release.RegistryLogin) error {
	takes := 2 * time.Second
	if e.world.registry.slow {
		takes = time.Hour
	}
	if err := e.takes(ctx, takes); err != nil {
		return err
	}
	return e.ask(ctx, "pull "+short(image), true, func() error {
		registry := e.world.registry
		_, found := registry.behaviours[image]
		switch {
		case registry.refuses:
			return fmt.Errorf("the registry refuses the login: %w", deploy.ErrFinal)
		case registry.dead:
			return errors.New("the registry does not answer")
		case !found:
			return fmt.Errorf("the registry does not have it: %w", deploy.ErrFinal)
		}
		e.world.pulled(image)
		e.engine.images[image] = true
		return nil
	})
}

func (e enginePort) Image(ctx context.Context, image string) (found deploy.Image, err error) {
	err = e.ask(ctx, "image "+short(image), false, func() error {
		if !e.engine.images[image] {
			return deploy.ErrNotFound
		}
		found = deploy.Image{ID: image, Platform: or(e.world.registry.behaviours[image].Platform, platform)}
		if slices.Contains(e.engine.tags, image) {
			found.Tags = []string{"somebody:latest"}
		}
		return nil
	})
	return found, err
}

func (e enginePort) RemoveImage(ctx context.Context, image string) error {
	return e.ask(ctx, "rmi "+short(image), true, func() error {
		if !e.engine.images[image] {
			return deploy.ErrNotFound
		}
		for _, c := range e.engine.containers {
			if c.info.Image == image {
				return deploy.ErrInUse
			}
		}
		e.world.imageRemoved(image)
		delete(e.engine.images, image)
		return nil
	})
}

func (e enginePort) EnsureNetwork(ctx context.Context, n deploy.Network) error {
	return e.ask(ctx, "network "+n.Name, true, func() error {
		if e.engine.networks == nil {
			e.engine.networks = map[string]string{}
		}
		if len(n.Bridge) > 15 {
			return fmt.Errorf("the bridge's name %s is too long", n.Bridge)
		}
		if by := e.engine.networks[n.Name]; by != "" && by != n.Gateway {
			return deploy.ErrForeign
		}
		e.engine.networks[n.Name] = n.Gateway
		return nil
	})
}

func (e enginePort) RemoveNetwork(ctx context.Context, name, gateway string) error {
	return e.ask(ctx, "rm network "+name, true, func() error {
		if by := e.engine.networks[name]; by != "" && by != gateway {
			return deploy.ErrForeign
		}
		for _, c := range e.engine.containers {
			if c.spec.Network == name && c.info.Running {
				return errors.New("the network has active endpoints")
			}
		}
		delete(e.engine.networks, name)
		return nil
	})
}

func (e enginePort) Create(ctx context.Context, spec deploy.Container) (id string, err error) {
	err = e.ask(ctx, "create "+spec.Name, true, func() error {
		for _, c := range e.engine.containers {
			switch {
			case c.info.Name != spec.Name:
			case c.info.Gateway == spec.Gateway:
				return deploy.ErrExists
			default:
				return deploy.ErrForeign
			}
		}
		if !e.engine.images[spec.Release.Image] {
			return fmt.Errorf("no such image: %w", deploy.ErrNotFound)
		}
		if _, is := e.engine.networks[spec.Network]; !is {
			return errors.New("no such network")
		}
		for _, name := range []string{spec.Config, spec.Data} {
			if e.world.disk.find(name, now) == nil {
				return fmt.Errorf("bind source path does not exist: %s", name)
			}
		}
		e.engine.count++
		id = fmt.Sprintf("c%d", e.engine.count)
		e.engine.containers[id] = &container{
			id: id, spec: spec, behaviour: e.world.registry.behaviours[spec.Release.Image], ended: make(chan struct{}),
			info: deploy.ContainerInfo{ID: id, Name: spec.Name, Image: spec.Release.Image, Owner: spec.Release.Owner.ID, Gateway: spec.Gateway},
		}
		return nil
	})
	return id, err
}

func (e enginePort) Program(ctx context.Context, id string) (built string, err error) {
	err = e.ask(ctx, "program", false, func() error {
		c := e.engine.containers[id]
		if c == nil {
			return deploy.ErrNotFound
		}
		built = or(c.behaviour.Program, platform)
		return nil
	})
	return built, err
}

func (e enginePort) Start(ctx context.Context, id string, _ map[string]string, output io.Writer) (address netip.Addr, err error) {
	name := ""
	if c := e.engine.containers[id]; c != nil {
		name = c.spec.Name
	}
	err = e.ask(ctx, "start "+name, true, func() error {
		c := e.engine.containers[id]
		if c == nil {
			return deploy.ErrNotFound
		}
		if e.engine.networks[c.spec.Network] == "" {
			return errors.New("its network is gone")
		}
		c.output, c.attached = output, e.Process
		e.engine.start(c)
		address = c.address
		return nil
	})
	return address, err
}

func (e enginePort) Wait(ctx context.Context, id string) (exit deploy.Exit, err error) {
	var c *container
	died := e.engine.died
	err = e.ask(ctx, "wait", false, func() error {
		if c = e.engine.containers[id]; c == nil {
			return deploy.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return exit, err
	}
	select {
	case <-c.ended:
	case <-died:
	case <-ctx.Done():
	}
	switch {
	case !c.info.Running:
		return c.exit, nil
	case ctx.Err() != nil:
		return exit, context.Cause(ctx)
	}
	return exit, errNoEngine
}

func (e enginePort) Stop(ctx context.Context, id string) error {
	var c *container
	died := e.engine.died
	err := e.ask(ctx, "stop "+id, true, func() error {
		if c = e.engine.containers[id]; c == nil || !c.info.Running {
			c = nil
			return nil
		}
		e.engine.world.after(300*time.Millisecond, "the gateway in "+c.spec.Name+" is stopped", func() { e.engine.end(c, deploy.Exit{}) })
		return nil
	})
	if err != nil || c == nil {
		return err
	}
	select {
	case <-c.ended:
	case <-died:
	case <-ctx.Done():
	}
	switch {
	case !c.info.Running:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errNoEngine
}

func (e enginePort) Remove(ctx context.Context, id string) error {
	return e.ask(ctx, "rm "+id, true, func() error {
		if c := e.engine.containers[id]; c != nil {
			if c.info.Running {
				e.world.violate("the gateway in %s is killed, and was not asked to end", c.spec.Name)
			}
			e.engine.end(c, deploy.Exit{Code: 137})
			delete(e.engine.containers, id)
		}
		return nil
	})
}

func (e enginePort) Containers(ctx context.Context, gateway string) (found []deploy.ContainerInfo, err error) {
	err = e.ask(ctx, "containers", false, func() error {
		for _, id := range slices.Sorted(maps.Keys(e.engine.containers)) {
			info := e.engine.containers[id].info
			if info.Gateway == gateway || info.Name == "clawft-"+gateway || info.Name == "clawft-"+gateway+"-preflight" {
				found = append(found, info)
			}
		}
		return nil
	})
	return found, err
}

func (e enginePort) Logs(ctx context.Context, id string, lines int) (log []string, err error) {
	err = e.ask(ctx, "logs", false, func() error {
		c := e.engine.containers[id]
		if c == nil {
			return deploy.ErrNotFound
		}
		log = slices.Clone(c.lines[max(0, len(c.lines)-lines):])
		return nil
	})
	return log, err
}

// healthPort asks gateways.
type healthPort struct{ *Process }

func (h healthPort) Check(_ context.Context, at netip.AddrPort) (version string, err error) {
	err = h.do("health", false, func() error {
		c := h.world.engine.at(at.Addr())
		if c == nil {
			return fmt.Errorf("dial tcp %v: connection refused", at)
		}
		if err := c.healthy(); err != nil {
			return err
		}
		version = c.behaviour.Version
		if b := c.behaviour; b.Later != "" && time.Since(c.started) >= b.Sick && !(b.OnData && c.preflight()) {
			version = b.Later
		}
		return nil
	})
	return version, err
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func short(image string) string { return image[len(image)-4:] }
