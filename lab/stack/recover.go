package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Recover makes a stack usable whose last run was killed: it ends an engine
// that is still at work, removes the lock it left and forgets operations that
// it had begun. The caller holds the lab's lock, so whatever is found is a
// leftover. It returns the state's resources, for the caller to compare with
// what exists.
func (s *Stack) Recover(ctx context.Context) ([]apitype.ResourceV3, error) {
	if err := s.endLeftoverEngine(); err != nil {
		return nil, err
	}
	locks, err := filepath.Glob(filepath.Join(s.options.Dir, "state", ".pulumi", "locks", "*", "*", "*", "*.json"))
	if err != nil {
		return nil, fmt.Errorf("looking for stack locks: %w", err)
	}
	for _, lock := range locks {
		if err := os.Remove(lock); err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("removing a stack lock: %w", err)
		}
	}
	exported, err := s.Export(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the stack's state: %w", err)
	}
	if len(exported.Deployment) == 0 {
		return nil, nil
	}
	var deployment apitype.DeploymentV3
	if err := json.Unmarshal(exported.Deployment, &deployment); err != nil {
		return nil, fmt.Errorf("decoding the stack's state: %w", err)
	}
	if len(deployment.PendingOperations) == 0 {
		return deployment.Resources, nil
	}
	deployment.PendingOperations = nil
	exported.Deployment, err = json.Marshal(deployment)
	if err != nil {
		return nil, fmt.Errorf("encoding the stack's state: %w", err)
	}
	if err := s.Import(ctx, exported); err != nil {
		return nil, fmt.Errorf("writing the stack's state: %w", err)
	}
	return deployment.Resources, nil
}

// endLeftoverEngine ends the pulumi process of a run whose lab was killed. It is
// known by the home directory in its environment, which is this lab's alone.
func (s *Stack) endLeftoverEngine() error {
	mark := []byte("PULUMI_HOME=" + filepath.Join(s.options.home(), "home") + "\x00")
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return fmt.Errorf("looking for a leftover engine: %w", err)
	}
	for _, path := range processes {
		environment, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append(environment, 0), mark) {
			continue // ended meanwhile, or another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := endProcess(pid); err != nil {
			return err
		}
	}
	return nil
}

func endProcess(pid int) error {
	// Its providers are gone with the lab that served them, so there is nothing
	// that it could finish in good order.
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending a leftover engine (process %d): %w", pid, err)
	}
	for range 50 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
