// Command weft-health is the health check of the gateway's image: it asks the
// gateway in the same container for its health, prints ok and exits 0, or says
// what is wrong and exits 1. It keeps its own time limit and needs no curl.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// limit is shorter than the image's HEALTHCHECK timeout, so that the engine sees
// the reason instead of a killed probe.
const limit = 3 * time.Second

func main() {
	if err := probe("http://127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "8080") + "/api/health"); err != nil {
		fmt.Println("unhealthy:", err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func probe(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading answer: %w", err)
	}
	var health struct{ Status string }
	if err := json.Unmarshal(body, &health); err != nil {
		return fmt.Errorf("answer %d is no health document: %w", response.StatusCode, err)
	}
	if response.StatusCode != http.StatusOK || health.Status != "ok" {
		return fmt.Errorf("answer %d with status %q, want 200 with ok", response.StatusCode, health.Status)
	}
	return nil
}
