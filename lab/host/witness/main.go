// Witness takes the gateway's place in a container and says what it sees there: on standard output as it starts,
// and to whoever asks its port. With "launch" it is also the program that starts it.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clawft/infra/host/launch"
)

// Report is what the program sees.
type Report struct {
	Args, Environment []string
	// Status is of /proc/self/status: ids, capabilities, whether it may get privileges.
	Status map[string]string
	// Writable are those of the directories that it can write to.
	Writable []string
	Config   string
	Stdin    string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "launch" {
		fmt.Fprintln(os.Stderr, launch.Run(os.Args[2:]))
		os.Exit(1)
	}
	// As the real one: SIGTERM does nothing.
	signal.Ignore(syscall.SIGTERM)
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, syscall.SIGINT)

	text, err := json.Marshal(look())
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", text)
	fmt.Fprintln(os.Stderr, "witness on standard error")
	misbehave()

	go func() {
		err := http.ListenAndServe(":"+os.Getenv("PORT"), http.HandlerFunc(answer)) //nolint:gosec // a test
		panic(err)
	}()
	<-interrupt
	fmt.Println("witness interrupted")
}

// misbehave does what a test has asked for in the environment.
func misbehave() {
	if count, err := strconv.Atoi(os.Getenv("LINES")); err == nil {
		for n := range count {
			fmt.Printf("line %d\n", n)
		}
	}
	if code, err := strconv.Atoi(os.Getenv("EXIT")); err == nil {
		os.Exit(code)
	}
	if os.Getenv("EAT") != "" {
		var all [][]byte
		for {
			block := make([]byte, 1<<20)
			for n := 0; n < len(block); n += 4096 {
				block[n] = 1
			}
			all = append(all, block)
			_ = all
		}
	}
}

// answer says what is asked for: "/" the report, "/?to=ADDRESS" whether there is a way, "/?name=HOST" its address.
func answer(w http.ResponseWriter, r *http.Request) {
	if to := r.URL.Query().Get("to"); to != "" {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			fmt.Fprint(w, "closed")
			return
		}
		conn.Close()
		fmt.Fprint(w, "open")
		return
	}
	if name := r.URL.Query().Get("name"); name != "" {
		found, err := net.DefaultResolver.LookupHost(r.Context(), name)
		fmt.Fprint(w, found, err) //nolint:gosec // the test alone reads it
		return
	}
	json.NewEncoder(w).Encode(look()) //nolint:errcheck // a test
}

func look() Report {
	r := Report{Args: os.Args, Environment: os.Environ(), Status: map[string]string{}}
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "Uid", "Gid", "Groups", "CapEff", "CapBnd", "CapPrm", "NoNewPrivs", "Seccomp":
			r.Status[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	for _, directory := range []string{"/", "/tmp", "/etc/clawft", "/run/clawft", "/home/weft", "/home/weft/.clawft", "/usr/local/bin"} {
		file, err := os.CreateTemp(directory, "witness")
		if err == nil {
			file.Close()
			os.Remove(file.Name())
			r.Writable = append(r.Writable, directory)
		}
	}
	config, _ := os.ReadFile("/etc/clawft/config.json")
	r.Config = string(config)
	r.Stdin, _ = os.Readlink("/proc/self/fd/0")
	return r
}
