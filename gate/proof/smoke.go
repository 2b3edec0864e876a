package proof

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// gatewayUser is who owns the data directory on every host, and so who the
	// image has to run as.
	gatewayUser = "10001"
	// smokeTimeout bounds a smoke test beyond the wait for the gateway's health:
	// pulling and loading the image, starting and stopping the container.
	smokeTimeout = 10 * time.Minute
	// killed is the exit code of a process that was killed, SIGKILL being 9.
	killed = 128 + 9
)

// Smoke proves that an image starts: with a minimal config, confined as on a
// host, it becomes healthy with the expected version as its own user, and stops
// when it is told to. It runs in the Docker engine of this machine, which has to
// be of one of the image's platforms.
type Smoke struct {
	Image
	// Version is what the gateway has to report.
	Version string `json:"version"`
	// HealthTimeout is how long it may take to become healthy, in seconds.
	HealthTimeout int `json:"healthTimeout"`
}

// Run starts the image and removes everything again, however it ends.
func (s *Smoke) Run(ctx context.Context) (found string, err error) {
	wait := time.Duration(s.HealthTimeout) * time.Second
	ctx, cancel := context.WithTimeout(ctx, smokeTimeout+wait)
	defer cancel()
	clean := context.WithoutCancel(ctx)

	platform, err := enginePlatform(ctx)
	if err != nil {
		return "", err
	}
	image, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	content, there := image.For(platform)
	if !there {
		return "", fmt.Errorf("the Docker engine here runs %s, and the image has only %s; "+
			"run this on another machine, add %s to clawft:image.platforms, or set clawft:image.smokeTest to false, "+
			"and the first start is the hosts' preflight", platform, image.Names(), platform)
	}
	about, err := content.ConfigFile()
	if err != nil {
		return "", fmt.Errorf("reading the image's config: %w", err)
	}
	if err := checkConfig(about.Config); err != nil {
		return "", err
	}

	// Lower case is all that the engine takes in an image's name.
	id := strings.ToLower(rand.Text())
	tag := "clawft-smoke:" + id
	defer func() { err = errors.Join(err, remove(clean, "image", "rm", tag)) }()
	imageID, err := load(ctx, content, tag)
	if err != nil {
		return "", err
	}

	gateway := &container{name: "clawft-smoke-" + id}
	defer func() { err = errors.Join(err, remove(clean, "rm", "--force", "--volumes", gateway.name)) }()
	if err := gateway.create(ctx, imageID); err != nil {
		return "", err
	}
	observed, err := s.observe(ctx, gateway, about.Config, wait)
	if err != nil {
		return "", gateway.withLog(clean, err)
	}
	return platform + " " + observed, nil
}

// observe starts the gateway and watches it from start to stop.
func (s *Smoke) observe(ctx context.Context, gateway *container, config v1.Config, wait time.Duration) (string, error) {
	started := time.Now()
	if err := gateway.start(ctx); err != nil {
		return "", err
	}
	if err := gateway.awaitHealth(ctx, s.Version, wait); err != nil {
		return "", err
	}
	healthy := time.Since(started)
	if err := checkUsers(ctx, gateway); err != nil {
		return "", err
	}
	if err := gateway.awaitProbe(ctx); err != nil {
		return "", err
	}
	signal := cmp.Or(config.StopSignal, "SIGTERM")
	took, ended, err := gateway.stop(ctx)
	switch {
	case err != nil:
		return "", err
	case ended.ExitCode == killed:
		return "", fmt.Errorf("the gateway does not stop on the image's STOPSIGNAL, %s: it had to be killed after %d s", signal, stopSeconds)
	case ended.ExitCode != 0:
		return "", fmt.Errorf("the gateway stopped on %s with exit code %d instead of 0", signal, ended.ExitCode)
	}
	return fmt.Sprintf("healthy after %.1f s with version %s as user %s, stopped on %s after %.1f s",
		healthy.Seconds(), s.Version, gatewayUser, signal, took.Seconds()), nil
}

// checkConfig reports what the image lacks, all of it at once.
func checkConfig(config v1.Config) error {
	var problems []error
	user, _, _ := strings.Cut(config.User, ":")
	if user != gatewayUser {
		problems = append(problems, fmt.Errorf("the image's USER is %q; want %s, who owns the data on the hosts", config.User, gatewayUser))
	}
	if probe := config.Healthcheck; probe == nil || len(probe.Test) == 0 || probe.Test[0] == "NONE" {
		problems = append(problems, errors.New("the image has no HEALTHCHECK; without one, Docker does not know whether the gateway answers"))
	}
	return errors.Join(problems...)
}

// checkUsers makes sure that nothing in the container runs as somebody else.
func checkUsers(ctx context.Context, gateway *container) error {
	// There the engine's own word for it, the image's USER, has to do.
	if mapped, err := mapsUsers(ctx); err != nil || mapped {
		return err
	}
	users, err := gateway.users(ctx)
	if err != nil {
		return err
	}
	if !slices.Equal(users, []string{gatewayUser}) {
		return fmt.Errorf("the gateway runs as user %s; want %s alone", strings.Join(users, " and "), gatewayUser)
	}
	return nil
}
