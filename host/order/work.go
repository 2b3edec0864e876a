package order

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/clawft/infra/host/release"
)

// Host changes what gateways run.
type Host interface {
	Deploy(ctx context.Context, id string, r release.Release) release.Report
	Rollback(ctx context.Context, id, gateway string) release.Report
	Recover(ctx context.Context, id string) (release.Report, error)
}

var idPattern = regexp.MustCompile(`^[0-9A-Z]{8}T[0-9]{6}Z-[0-9A-Z]{6}$`)

// find is the desk of an order.
func find(directory, id string) (desk, error) {
	if !idPattern.MatchString(id) {
		return "", fmt.Errorf("%q is not an order's name", id)
	}
	return desk(filepath.Join(directory, id)), nil
}

// Progress returns what takes the lines that an order says while it is carried out, for whoever asked.
func Progress(directory, id string) (func(line string), error) {
	desk, err := find(directory, id)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(desk.progress(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("telling the progress: %w", err)
	}
	return func(line string) { _, _ = fmt.Fprintln(file, line) }, nil
}

// Work carries out an order. It is the main process of the order's unit.
func Work(ctx context.Context, host Host, directory, id string) (release.Report, error) {
	desk, err := find(directory, id)
	if err != nil {
		return release.Report{}, err
	}
	order, err := desk.take()
	if err != nil {
		return release.Report{}, err
	}
	var report release.Report
	if order.Release != nil {
		report = host.Deploy(ctx, id, *order.Release)
	} else {
		report = host.Rollback(ctx, id, order.Rollback)
	}
	return report, desk.tell(report)
}

// Settle comes after an order, however that ended: one that did not end by itself is undone. It returns nil
// where there is nothing to do.
func Settle(ctx context.Context, host Host, directory, id string) (*release.Report, error) {
	desk, err := find(directory, id)
	if err != nil {
		return nil, err
	}
	if _, err := desk.told(); err == nil {
		return nil, nil
	}
	_ = os.Remove(desk.order())
	report, err := host.Recover(ctx, id)
	if err != nil {
		return nil, err
	}
	// Whoever asked may be gone, and the desk with them.
	if err := desk.tell(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &report, err
	}
	return &report, nil
}
