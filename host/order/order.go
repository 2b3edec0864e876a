package order

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clawft/infra/host/release"
)

// Directory has a directory for each order that is under way. It is on a tmpfs: an order holds secrets.
const Directory = "/run/clawft-deploy"

// Order is what is asked: a release to deploy, or the name of a gateway that is to go back.
type Order struct {
	Release  *release.Release `json:"release,omitempty"`
	Rollback string           `json:"rollback,omitempty"`
}

// Unit is the one that carries out an order.
func Unit(id string) string { return "clawft-deploy@" + id + ".service" }

// desk is where an order is handed over, and its progress and outcome are told.
type desk string

func (d desk) order() string    { return filepath.Join(string(d), "order.json") }
func (d desk) progress() string { return filepath.Join(string(d), "progress") }
func (d desk) report() string   { return filepath.Join(string(d), "report.json") }

// take reads the order, which is there once: a unit that is started again finds none.
func (d desk) take() (Order, error) {
	var order Order
	content, err := os.ReadFile(d.order())
	if err != nil {
		return order, fmt.Errorf("reading the order: %w", err)
	}
	if err := os.Remove(d.order()); err != nil {
		return order, fmt.Errorf("taking the order: %w", err)
	}
	if err := json.Unmarshal(content, &order); err != nil {
		return order, fmt.Errorf("reading the order: %w", err)
	}
	if (order.Release == nil) == (order.Rollback == "") {
		return order, errors.New("reading the order: it is neither a release nor a way back")
	}
	return order, nil
}

// tell puts the report where the one who asked finds it, in one step.
func (d desk) tell(report release.Report) error {
	content, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	beside := d.report() + ".new"
	if err := os.WriteFile(beside, content, 0o600); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := os.Rename(beside, d.report()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// told reads the report.
func (d desk) told() (release.Report, error) {
	var report release.Report
	content, err := os.ReadFile(d.report())
	if err != nil {
		return report, fmt.Errorf("reading the report: %w", err)
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return report, fmt.Errorf("reading the report: %w", err)
	}
	return report, nil
}
