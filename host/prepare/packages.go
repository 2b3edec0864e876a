package prepare

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// packagesPatience is how long the work on packages may take, waiting for others included.
	packagesPatience = 15 * time.Minute
	// packagesRoomMiB is what the packages take.
	packagesRoomMiB = 600
	// shown is how many lines of what a command said are shown.
	shown = 30
)

// locks keep others from working on packages at the same time.
var locks = []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"}

var (
	aptOptions = []string{"-q", "-y", "-o", "DPkg::Lock::Timeout=5", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"}
	// Nothing is upgraded, and nothing of somebody's is removed.
	aptInstall = []string{"install", "--no-install-recommends", "--no-upgrade", "--no-remove"}
	// So that one dead source shows in the exit code.
	aptUpdate = []string{"update", "-o", "APT::Update::Error-Mode=any"}
)

// packages works with the distribution's packages, which others do as well.
type packages struct {
	root     string
	say      func(string)
	patience time.Duration
	// pause is between two looks at who is in the way, and what attempts are apart, at first.
	pause time.Duration

	started time.Time
}

// install installs packages, and finishes those of them that a run which was cut short left unfinished. missing
// tells which are needed, and is asked again afterwards. It returns those that it worked on.
func (p *packages) install(ctx context.Context, missing func() []string) ([]string, error) {
	p.started = time.Now()
	wanted, unfinished := missing(), p.unfinished()
	if len(wanted)+len(unfinished) == 0 {
		return nil, nil
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(wanted, unfinished))))
	if err := p.room(all); err != nil {
		return nil, err
	}
	if said, err := p.patiently(ctx, 3, "dpkg", "--configure", "-a"); errors.Is(err, errBusy) || ctx.Err() != nil {
		return nil, err
	} else if err != nil {
		p.say("warning: dpkg --configure -a does not succeed; going on:\n" + last(said, 10))
	}
	if len(wanted) > 0 {
		if err := p.refresh(ctx, wanted); err != nil {
			return nil, err
		}
		said, err := p.apt(ctx, 5, slices.Concat(aptInstall, wanted))
		if err != nil {
			// Somebody else's package that cannot be configured fails every run, and hurts nobody here.
			if errors.Is(err, errBusy) || len(missing()) > 0 {
				return nil, p.cannot(wanted, said, err)
			}
			p.say("warning: apt-get did not succeed, but what is needed is there; going on")
		}
	}
	if left := p.unfinished(); len(left) > 0 {
		return nil, fmt.Errorf("packages are unfinished: %s; see: dpkg --configure -a", strings.Join(left, " "))
	}
	return all, nil
}

func (p *packages) apt(ctx context.Context, attempts int, arguments []string) (string, error) {
	return p.patiently(ctx, attempts, "apt-get", slices.Concat(aptOptions, arguments)...)
}

// refresh reads the sources anew. One that is dead, of which nothing is needed, is only named.
func (p *packages) refresh(ctx context.Context, wanted []string) error {
	for attempt := 1; ; attempt++ {
		update, updated := p.apt(ctx, 1, aptUpdate)
		if errors.Is(updated, errBusy) {
			return updated
		}
		simulated, err := p.apt(ctx, 1, slices.Concat([]string{"--simulate"}, aptInstall, wanted))
		if err == nil {
			if updated != nil {
				p.say("warning: not every source of packages can be read; what is needed can be had all the same:\n" + last(update, 10))
			}
			return nil
		}
		// Where every source was read, another attempt finds nothing else.
		if errors.Is(err, errBusy) || ctx.Err() != nil || updated == nil || attempt == 5 || time.Since(p.started) >= p.patience {
			if updated != nil {
				err = errSources
			}
			return p.cannot(wanted, update+simulated, err)
		}
		p.say(fmt.Sprintf("packages are missing, attempt %d: %s", attempt, last(update, 1)))
		p.sleep(ctx, attempt)
	}
}

var (
	errBusy    = errors.New("packages are being changed by others")
	errSources = errors.New("sources that cannot be read are named above")
)

// cannot says why packages cannot be installed, as far as that is known.
func (p *packages) cannot(wanted []string, said string, err error) error {
	if errors.Is(err, errBusy) {
		return err
	}
	message := last(said, shown) + "\napt-get cannot install " + strings.Join(wanted, " ")
	var held []string
	for name, status := range p.status() {
		if slices.Contains(wanted, name) && status.want == "hold" {
			held = append(held, name)
		}
	}
	if slices.Sort(held); len(held) > 0 {
		names := strings.Join(held, " ")
		message += fmt.Sprintf("; on hold: %s (apt-mark unhold %s)", names, names)
	}
	if errors.Is(err, errSources) {
		message += "; " + errSources.Error()
	}
	return errors.New(strings.TrimSpace(message))
}

// patiently repeats what works on packages: for as long as somebody else does so, and otherwise up to so many
// times. What it returns beside an error is what the last attempt said, to be shown.
func (p *packages) patiently(ctx context.Context, attempts int, program string, arguments ...string) (string, error) {
	told := time.Now().Add(-time.Hour)
	waited := 0
	named := program + " " + firstWord(arguments)
	for attempt := 1; ; {
		command := exec.CommandContext(ctx, program, arguments...)
		// needrestart would restart services, a running engine among them.
		command.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
		output, err := command.CombinedOutput()
		said := string(output)
		if err == nil || ctx.Err() != nil {
			return said, err
		}
		minutes := int(p.patience.Minutes())
		if holders := p.holders(); len(holders) > 0 {
			if time.Since(p.started) >= p.patience {
				return said, fmt.Errorf("%s could not begin within %d minutes: %w: %s", named, minutes, errBusy, strings.Join(holders, ", "))
			}
			if time.Since(told) >= 30*time.Second {
				p.say(fmt.Sprintf("waiting for %s, up to %d minutes in all: %d are over", strings.Join(holders, ", "), minutes, int(time.Since(p.started).Minutes())))
				told = time.Now()
			}
			// One may end between the attempt and the look at who it is.
			waited = 1
			p.sleep(ctx, 1)
			continue
		}
		if attempt >= attempts+waited || time.Since(p.started) >= p.patience {
			return said, fmt.Errorf("%s: %w", named, err)
		}
		p.say(fmt.Sprintf("%s failed, attempt %d: %s", named, attempt, last(said, 1)))
		p.sleep(ctx, attempt)
		attempt++
	}
}

func firstWord(arguments []string) string {
	for n, argument := range arguments {
		if !strings.HasPrefix(argument, "-") && (n == 0 || arguments[n-1] != "-o") {
			return argument
		}
	}
	return arguments[0]
}

func (p *packages) sleep(ctx context.Context, times int) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(times) * p.pause):
	}
}

// holders names who has the locks, by what the kernel says.
func (p *packages) holders() []string {
	var found []string
	for _, path := range locks {
		file, err := os.OpenFile(filepath.Join(p.root, path), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &lock)
		file.Close()
		if err != nil || lock.Type == unix.F_UNLCK {
			continue
		}
		name := "a process"
		if lock.Pid > 0 {
			name = fmt.Sprintf("process %d (%s)", lock.Pid, commandLine(int(lock.Pid)))
		}
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}

func commandLine(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return "it has just ended"
	}
	line := strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
	return line[:min(len(line), 80)]
}

// dpkgStatus is the line Status of a package, as dpkg(1) describes its database.
type dpkgStatus struct{ want, state string }

// status reads dpkg's database.
func (p *packages) status() map[string]dpkgStatus {
	file, err := os.Open(filepath.Join(p.root, "/var/lib/dpkg/status"))
	if err != nil {
		return nil
	}
	defer file.Close()
	found := map[string]dpkgStatus{}
	name := ""
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if value, ok := strings.CutPrefix(scanner.Text(), "Package: "); ok {
			name = value
		}
		if value, ok := strings.CutPrefix(scanner.Text(), "Status: "); ok {
			if words := strings.Fields(value); len(words) == 3 {
				found[name] = dpkgStatus{words[0], words[2]}
			}
		}
	}
	return found
}

// unfinished are those of our packages that a run which was cut short has left.
func (p *packages) unfinished() []string {
	var found []string
	for name, status := range p.status() {
		if slices.Contains(ourPackages, name) && slices.Contains([]string{"unpacked", "half-installed", "half-configured", "triggers-awaited"}, status.state) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// room names what keeps packages from being installed.
func (p *packages) room(wanted []string) error {
	for _, directory := range []string{"/usr", "/var/lib/dpkg", "/var/cache/apt", "/etc"} {
		var system unix.Statfs_t
		if err := unix.Statfs(filepath.Join(p.root, directory), &system); err != nil {
			return fmt.Errorf("looking at %s, where packages are installed: %w", directory, err)
		}
		if system.Flags&unix.ST_RDONLY != 0 {
			return fmt.Errorf("%s cannot be written, and packages are missing (%s): it is read-only; mount it writable, or install them another way", directory, strings.Join(wanted, " "))
		}
		if free := system.Bavail * uint64(system.Bsize) >> 20; free < packagesRoomMiB && directory != "/etc" {
			return fmt.Errorf("the file system of %s has %d MiB left, and packages are missing (%s): free some, %d MiB at least", directory, free, strings.Join(wanted, " "), packagesRoomMiB)
		}
	}
	return nil
}

// last returns the last lines of a text.
func last(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(len(all)-lines, 0):], "\n")
}
