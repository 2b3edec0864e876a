package deploy

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/clawft/infra/host/release"
)

// What the errors of an Engine wrap, where the machine has to know.
var (
	// ErrNotFound says that there is no such image, container or network.
	ErrNotFound = errors.New("there is none of that name")
	// ErrForeign says that what has the name is somebody else's.
	ErrForeign = errors.New("it is not ours")
	// ErrExists says that a container of ours has the name.
	ErrExists = errors.New("it is there already")
	// ErrInUse says that an image stays because a container or a tag needs it.
	ErrInUse = errors.New("it is in use")
	// ErrFinal says that trying again does not help, as with a login that is refused, an image
	// that the registry does not have, or one for another platform.
	ErrFinal = errors.New("trying again does not help")
)

// Engine runs containers. A gateway is named by its place on this host. An error of a
// method says what was tried and what the engine said, without its client's hints. A method
// ends with its context; what it has begun may have happened all the same.
type Engine interface {
	// Ping says what engine it is. It is an error when none answers.
	Ping(ctx context.Context) (EngineInfo, error)

	// Pull fetches an image, by digest. It tries once; an error that would be the same the
	// next time wraps ErrFinal. Nil logs in nowhere, and nobody's stored login is used.
	Pull(ctx context.Context, image string, login *release.RegistryLogin) error
	// Image looks at an image that is here, by digest: an error of ErrNotFound if it is not.
	Image(ctx context.Context, image string) (Image, error)
	// RemoveImage removes an image, by digest. It is an error of ErrInUse while any
	// container, running or not, was made from it or a tag names it, and one of ErrNotFound
	// when it is gone.
	RemoveImage(ctx context.Context, image string) error

	// EnsureNetwork makes a network, or leaves it if it is there as it should be. Another
	// one of that name that has not our labels is an error of ErrForeign. It is made anew
	// when it is ours and differs.
	EnsureNetwork(ctx context.Context, n Network) error
	// RemoveNetwork removes a network of a gateway; one that is not there is no error, one
	// that is not that gateway's stays and is an error of ErrForeign.
	RemoveNetwork(ctx context.Context, name, gateway string) error

	// Create makes a container and does not start it. The name may be taken: an error of
	// ErrExists when what has it has this gateway's label, of ErrForeign otherwise.
	Create(ctx context.Context, c Container) (id string, err error)
	// Program says for which platform the gateway's program in a container's image is built,
	// such as linux/arm64, by its ELF header; "" where it is none, or there is none.
	Program(ctx context.Context, id string) (platform string, err error)
	// Start starts a container and hands it its environment, of which the engine keeps
	// nothing. What the container writes goes to output until it ends; nil leaves it to
	// Logs. The address is the container's in its network. The context bounds the start
	// alone and not the output.
	Start(ctx context.Context, id string, env map[string]string, output io.Writer) (netip.Addr, error)
	// Wait waits until a started container ends and its output is written. It is an error
	// when the engine goes away meanwhile; the container may then run or not.
	Wait(ctx context.Context, id string) (Exit, error)
	// Stop ends a container in the gateway's way: SIGINT, and after 15 s a kill. One that
	// does not run, or is not there, is no error.
	Stop(ctx context.Context, id string) error
	// Remove removes a container with its anonymous volumes; one that runs is killed. One
	// that is not there is no error.
	Remove(ctx context.Context, id string) error
	// Containers lists those that have the gateway's label or one of its two names, running
	// or not.
	Containers(ctx context.Context, gateway string) ([]ContainerInfo, error)
	// Logs returns the last lines of a container that was started without an output.
	Logs(ctx context.Context, id string, lines int) ([]string, error)
}

// EngineInfo says what engine it is.
type EngineInfo struct {
	Version    string
	APIVersion string
	// Platform is what it runs on, such as linux/amd64.
	Platform string
	// Rootless and Podman are engines that a gateway does not run on.
	Rootless bool
	Podman   bool
}

// Image is an image that the engine has.
type Image struct {
	// ID is the engine's own.
	ID string
	// Platform is what it says it is built for, such as linux/amd64.
	Platform string
	// Tags are the names that somebody gave it, without <none>.
	Tags []string
}

// Network is one gateway's, or its preflight's.
type Network struct {
	Name string
	// Bridge is the name of the interface, of at most 15 characters.
	Bridge string
	// Internal has no way out, so that a preflight answers no chat.
	Internal bool
	// Owner, an ID, and Gateway, the place, become its labels.
	Owner   string
	Gateway string
}

// Container is what differs between one container of a gateway and another. Everything
// else follows from the release, by its Spec.
type Container struct {
	Name    string
	Network string
	// Gateway, the place, becomes a label, and so does the ID of the release's owner.
	Gateway string
	// Release is as it was staged.
	Release release.Release
	// Config is a file on the host that holds the release's config, readable by all.
	Config string
	// Data is the directory on the host that the container has as its data.
	Data string
	// KeepLog has the engine keep the output for Logs, as a preflight's. A gateway's goes to
	// the journal instead.
	KeepLog bool
}

// ContainerInfo is a container that the engine has.
type ContainerInfo struct {
	ID string
	// Name is without the leading slash.
	Name  string
	Image string
	// Owner and Gateway are the labels clawft.owner and clawft.gateway, "" without them.
	Owner   string
	Gateway string
	// Running is true also for one that is paused or restarting.
	Running bool
}

// Exit says how a container ended.
type Exit struct {
	Code int
	// OutOfMemory says that the kernel killed it for its memory.
	OutOfMemory bool
}

// Units are the units of systemd. A unit is named whole, as in clawft@gw-1.service.
type Units interface {
	// Restart starts a unit, anew if it runs, and waits for the end of the job: nil says
	// that it is ready. The job goes on when the context ends.
	Restart(ctx context.Context, unit string) error
	// Stop stops a unit and waits until it is.
	Stop(ctx context.Context, unit string) error
	// Enable has a unit started at boot, Disable has not, after a power cut, too. Neither starts
	// or stops it, and either is no error where it is so already.
	Enable(ctx context.Context, unit string) error
	Disable(ctx context.Context, unit string) error
	// State is no error for a unit that is not loaded.
	State(ctx context.Context, unit string) (UnitState, error)
}

// UnitState is what systemd says of a unit.
type UnitState struct {
	// Active is ActiveState (active, activating, inactive, failed…), Sub is SubState.
	Active string
	Sub    string
	// Result is why it ended: success, exit-code, signal, timeout, watchdog, oom-kill…
	Result string
	// ExitCode is the main process's last, if it exited by itself.
	ExitCode int
	// Restarts counts the restarts that systemd did by itself.
	Restarts int
	Enabled  bool
	// NeedReload says that the files on disk are not what systemd has loaded.
	NeedReload bool
}

// Gate is the proxy in front of the gateways. A gateway is named by its own name, which is
// another one than its place's when it was renamed.
type Gate interface {
	// Hold has new requests wait, and waits until those under way are done, at most for
	// drain; left says how many then are not. It is a lease: it ends with Release, with
	// this process, however that ends, and after MaxHold. Held already, it is held anew. The
	// gateway need not be known yet.
	Hold(ctx context.Context, gateway string, drain time.Duration) (left int, err error)
	// Release lets the requests go to where the gateway is now. It is no error if none are held.
	Release(ctx context.Context, gateway string) error
	// Route says where a gateway listens. It outlasts the proxy's process, not a reboot. It is
	// said again and again, every second, and mostly changes nothing.
	Route(ctx context.Context, gateway string, upstream netip.AddrPort) error
	// Close ends a gateway's front: its sockets are gone, and only they. It is no error without one.
	Close(ctx context.Context, gateway string) error
}

// MaxHold is how long a gateway is held at the very most: draining, stopping, starting the
// new release, and starting the old one again.
const MaxHold = 720 * time.Second

// Health asks a gateway.
type Health interface {
	// Check asks /api/health once, for at most 5 s. An error says what came instead of an
	// answer with status 200 and "ok".
	Check(ctx context.Context, at netip.AddrPort) (version string, err error)
}

// Verifier knows who may sign what this host runs. That is installed apart from releases.
type Verifier interface {
	// Verify is an error unless the release's signature is one of its image by somebody who
	// may, or the host demands none.
	Verify(ctx context.Context, r release.Release) error
}

// Surroundings look for what a machine may have that a gateway cannot live with.
type Surroundings interface {
	// Check lists what is in the way: the cause, whose it is, what to do. Data is the
	// directory of the gateway's data; it is there.
	Check(ctx context.Context, data string) []string
}

// Snapshots keep the data as a release found them. Both are called while no process has the
// data, and again after an end in the middle: what was done then is not done twice.
type Snapshots interface {
	// Take keeps the data as they are before a release is started on them for the first time.
	Take(ctx context.Context, gateway, release string) error
	// Restore gives the data back as Take found them. What the release has written since is
	// set aside. It does nothing where nothing was taken or it was given back before.
	Restore(ctx context.Context, gateway, release string) error
	// Prune forgets what was taken for all releases but some.
	Prune(ctx context.Context, gateway string, but []string) error
}

// Notifier tells systemd about the process of a gateway's unit.
type Notifier interface {
	// Ready says that the start is done: the gateway is healthy.
	Ready() error
	// Alive has the watchdog wait again. It is called only while the gateway is healthy.
	Alive() error
	// Stopping says that the end is wanted.
	Stopping() error
	// Status is one line for people.
	Status(text string) error
}
