package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
)

// identity is the variable of a release's environment that names it in a scenario.
const identity = "RELEASE"

// invariants are what is known about the machine apart from what is on it.
type invariants struct {
	off bool
	// data is what gateways have written into the data of a place: who was started on it.
	data map[string][]string
	// verified are the releases that a deployment has kept, and pending the boot in which one
	// was last tried, both by identity.
	verified map[string]bool
	pending  map[string]int
	accepted map[string]bool
	// brought are the images that were pulled.
	brought map[string]bool
	// lasting are the data directories that a power cut does not take.
	lasting map[string]bool
	records map[string]deploy.Record
	// documents are those that were decoded, by their text.
	documents map[string]*document
	seen      int
	struck    map[Kind]int

	said        []string
	inTheWay    []string
	second      *release.Release
	wanted      *release.Release
	deployments []*Deployment
}

func newInvariants() invariants {
	return invariants{
		data: map[string][]string{}, verified: map[string]bool{}, pending: map[string]int{}, accepted: map[string]bool{},
		brought: map[string]bool{}, lasting: map[string]bool{}, records: map[string]deploy.Record{}, documents: map[string]*document{}, struck: map[Kind]int{},
	}
}

// seenAs is a way to see the disk: as it is, or as a power cut would leave it.
type seenAs struct {
	name    string
	entries view
	content func(*node) []byte
}

var views = []seenAs{
	{"now", now, func(n *node) []byte { return n.content }},
	{"after a power cut that takes all that was not synced", synced, func(n *node) []byte { return n.durable }},
	{"after a power cut that takes what files contain", now, func(n *node) []byte { return n.durable }},
}

// document is a file that was decoded: as a record or a release, whichever it is.
type document struct {
	Record  deploy.Record
	Release release.Release
	err     error
}

// decode reads a document; nil when there is none.
func (w *World) decode(path string, as seenAs) *document {
	n := w.disk.find(path, as.entries)
	if n == nil {
		return nil
	}
	content := as.content(n)
	if found := w.documents[string(content)]; found != nil {
		return found
	}
	found := &document{}
	if strings.HasSuffix(path, "/record.json") {
		found.err = json.Unmarshal(content, &found.Record)
	} else {
		found.err = json.Unmarshal(content, &found.Release)
	}
	w.documents[string(content)] = found
	return found
}

// record is what a place says, as the disk is seen.
func (w *World) record(name string, as seenAs) (deploy.Record, error) {
	if found := w.decode(deploy.StateDirectory+"/"+name+"/record.json", as); found != nil {
		return found.Record, found.err
	}
	return deploy.Record{}, nil
}

// release is one of a place, as the disk is seen.
func (w *World) release(name, id string, as seenAs) (release.Release, bool) {
	if found := w.decode(deploy.StateDirectory+"/"+name+"/releases/"+id+"/release.json", as); found != nil {
		return found.Release, found.err == nil
	}
	return release.Release{}, false
}

// check looks at the disk whenever it changed.
func (w *World) check() {
	if w.seen == w.disk.version || w.violation != "" {
		return
	}
	w.seen = w.disk.version
	for _, as := range views {
		state := w.disk.find(deploy.StateDirectory, as.entries)
		if state == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(as.entries(state))) {
			w.checkPlace(name, as)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.lasting)) {
		for _, as := range views {
			if w.disk.find(deploy.StateDirectory+"/"+name+"/data", as.entries) == nil {
				w.violate("the data of %s is gone %s", name, as.name)
			}
		}
	}
}

func (w *World) checkPlace(name string, as seenAs) {
	directory := deploy.StateDirectory + "/" + name
	record, err := w.record(name, as)
	if err != nil {
		w.violate("the record of %s is damaged %s: %v", name, as.name, err)
		return
	}
	needed := []string{record.Current, record.Previous}
	if record.Pending != nil {
		needed = append(needed, record.Pending.Back)
	}
	for _, id := range needed {
		if _, ok := w.release(name, id, as); id != "" && !ok {
			w.violate("the release %s, which the record of %s names, is not complete %s", id, name, as.name)
		}
	}
	data := w.disk.find(directory+"/data", as.entries)
	if record.Current != "" && data == nil {
		w.violate("%s runs a release and has no data %s", name, as.name)
	}
	switch as.name {
	case views[0].name:
		w.transition(name, w.records[name], record)
		w.records[name] = record
	case views[1].name:
		if data != nil {
			w.lasting[name] = true
		}
	}
}

// identityOf names a release of a place.
func (w *World) identityOf(name, id string) string {
	r, _ := w.release(name, id, views[0])
	return r.Env[identity]
}

// transition looks at a record that was replaced.
func (w *World) transition(name string, before, after deploy.Record) {
	who := w.identityOf(name, after.Current)
	switch {
	case after.Pending != nil:
		if before.Pending == nil {
			w.pending[who] = w.boot
		}
		if back := w.identityOf(name, after.Pending.Back); after.Pending.Back != "" && !w.verified[back] {
			w.violate("%s is the way back, which was never verified", back)
		}
	case before.Pending != nil && before.Generation == after.Generation:
		w.kept(name, who, after)
	case after.Current != "" && !w.verified[who]:
		w.violate("%s is to run %s, which was never verified", name, who)
	}
}

// kept looks at a gateway that a deployment just verified.
func (w *World) kept(name, who string, record deploy.Record) {
	w.verified[who] = true
	c := w.running(name)
	r, _ := w.release(name, record.Current, views[0])
	switch {
	case c == nil && time.Since(w.engine.ended) < time.Second:
		// It ended after it was looked at for the last time.
	case c == nil:
		w.violate("%s was kept, and no gateway runs", who)
	case c.spec.Release.Env[identity] != who:
		w.violate("%s was kept, and %s runs", who, c.spec.Release.Env[identity])
	case c.healthy() != nil || c.behaviour.Version != r.Version:
		w.violate("%s was kept, and is not healthy", who)
	case time.Since(c.started) < time.Duration(r.Watch)*time.Second:
		w.violate("%s was kept, and not watched", who)
	case len(w.gate.holds) > 0:
		w.violate("%s was kept, and requests are held all the while", who)
	case !w.units.get(deploy.Unit(name)).enabled:
		w.violate("%s was kept, and does not start at boot", who)
	case w.struck[ProxyDies]+w.struck[ProxyGone] == 0 && !w.reached(c):
		w.violate("%s was kept, and the proxy does not reach it", who)
	}
}

// reached tells whether the proxy has a way to a container.
func (w *World) reached(c *container) bool {
	for _, to := range w.gate.routes {
		if strings.HasPrefix(to, c.address.String()+":") {
			return true
		}
	}
	return false
}

// running is the gateway's container of a place.
func (w *World) running(name string) *container {
	for _, id := range slices.Sorted(maps.Keys(w.engine.containers)) {
		if c := w.engine.containers[id]; c.info.Running && !c.preflight() && c.spec.Gateway == name {
			return c
		}
	}
	return nil
}

// started looks at a container that starts.
func (w *World) started(c *container) {
	who := c.spec.Release.Env[identity]
	if !w.accepted[c.info.Image] {
		w.violate("%s starts, and nobody has accepted its signature", who)
	}
	if c.preflight() {
		if strings.HasSuffix(c.spec.Data, "/data") {
			w.violate("the preflight has the data")
		}
		return
	}
	name := c.spec.Gateway
	for _, other := range w.engine.containers {
		if other != c && other.info.Running && other.spec.Data == c.spec.Data {
			w.violate("two gateways have the data of %s", name)
		}
	}
	record, _ := w.record(name, views[0])
	boot, tried := w.pending[who]
	if !w.verified[who] && (!tried || boot != w.boot) {
		w.violate("%s starts, which was not verified before the machine booted", who)
	}
	w.data[name] = append(w.data[name], who)
	if record.Pending == nil && w.verified[who] {
		for _, by := range w.data[name] {
			if !w.verified[by] {
				w.violate("%s starts on data that %s has left, which was not verified", who, by)
			}
		}
	}
}

// unused looks for a gateway that has the data of a place.
func (w *World) unused(name string) {
	if w.running(name) != nil {
		w.violate("the data of %s is copied while a gateway has it", name)
	}
}

// interrupted looks at a gateway that a process is about to stop.
func (w *World) interrupted(by *Process, u *unit) {
	name := strings.TrimSuffix(strings.TrimPrefix(u.name, "clawft@"), ".service")
	c := w.running(name)
	if c == nil || by.dead || w.struck[ProxyDies]+w.struck[ProxyGone]+w.struck[Fails]+w.struck[FailsAfterwards] > 0 {
		return
	}
	if !slices.Contains(slices.Collect(maps.Values(w.gate.holds)), by) {
		w.violate("%s is stopped, and requests are not held", c.spec.Release.Env[identity])
	}
}

func (w *World) pulled(image string) {
	w.brought[image] = true
	for _, record := range w.records {
		if slices.Contains(record.Images, image) {
			return
		}
	}
	w.violate("an image was pulled, and would be forgotten")
}

func (w *World) imageRemoved(image string) {
	if !w.brought[image] {
		w.violate("an image was removed that was somebody else's")
	}
	for name, record := range w.records {
		for _, id := range []string{record.Current, record.Previous} {
			if r, _ := w.release(name, id, views[0]); r.Image == image {
				w.violate("an image was removed that a release needs")
			}
		}
	}
}

// settled looks at a machine that has had all the time it needs.
func (w *World) settled() string {
	if w.off {
		return "the machine is off"
	}
	if len(w.gate.holds) > 0 {
		return "requests are held"
	}
	for _, name := range slices.Sorted(maps.Keys(w.records)) {
		if problem := w.settledPlace(name, w.records[name]); problem != "" {
			return problem
		}
	}
	for front := range w.gate.routes {
		if !slices.ContainsFunc(slices.Collect(maps.Values(w.records)), func(r deploy.Record) bool {
			return r.Owner.Gateway == front || r.Pending != nil || r.Current == "" && w.struck[ProxyDies]+w.struck[ProxyGone]+w.struck[Fails] > 0
		}) {
			return "the proxy has " + front + ", which is not there"
		}
	}
	for image := range w.engine.images {
		listed := false
		for _, record := range w.records {
			listed = listed || slices.Contains(record.Images, image)
		}
		if w.brought[image] && !listed {
			return "an image is here that nobody remembers"
		}
	}
	for _, d := range w.deployments {
		if !d.lost && d.Report.Result == release.Failed && (d.Report.Cause == "" || d.Report.Back == "") {
			return fmt.Sprintf("a deployment failed, and does not tell why or what became of the gateway: %+v", d.Report)
		}
	}
	return ""
}

func (w *World) settledPlace(name string, record deploy.Record) string {
	u, c := w.units.get(deploy.Unit(name)), w.running(name)
	who := w.identityOf(name, record.Current)
	// Of a first release that a power cut ended, the record stays until somebody deploys again.
	first := record.Pending != nil && record.Pending.Back == ""
	switch {
	case record.Pending != nil && !first:
		return fmt.Sprintf("%s is not verified and stays", who)
	case first || record.Current == "":
		// A unit that finds nothing to start is no harm; the next deployment sees to it.
		if c != nil || u.active || u.enabled && w.struck[PowerCut] == 0 {
			return "nothing is to run and something does"
		}
	case c == nil:
		return "no gateway runs"
	case c.spec.Release.Env[identity] != who:
		return fmt.Sprintf("%s is to run and %s does", who, c.spec.Release.Env[identity])
	case c.healthy() != nil || !u.active:
		return fmt.Sprintf("%s is not healthy", who)
	case !u.enabled:
		return fmt.Sprintf("%s does not start at boot", who)
	case w.gate.routes[record.Owner.Gateway] == "" || !strings.HasPrefix(w.gate.routes[record.Owner.Gateway], c.address.String()+":"):
		return fmt.Sprintf("the proxy does not reach %s", who)
	}
	return ""
}

// tidy looks at what is left after a deployment that went well.
func (w *World) tidy() {
	var needed []string
	for name, record := range w.records {
		var kept []string
		for _, id := range []string{record.Current, record.Previous} {
			if id != "" {
				kept = append(kept, id)
				r, _ := w.release(name, id, views[0])
				needed = append(needed, r.Image)
			}
		}
		releases := w.disk.find(deploy.StateDirectory+"/"+name+"/releases", now)
		if releases == nil {
			continue
		}
		for id := range releases.entries {
			if !slices.Contains(kept, id) {
				w.violate("the release %s is left of %s", id, name)
			}
		}
		for _, left := range []string{"preflight", "back.json", "record.json.new", "back.json.new"} {
			if w.disk.find(deploy.StateDirectory+"/"+name+"/"+left, now) != nil {
				w.violate("%s is left of %s", left, name)
			}
		}
	}
	for name := range w.records {
		for _, left := range []string{"deployment", "clawft-" + name + "-preflight.config.json"} {
			if w.disk.find(deploy.VolatileDirectory+"/"+name+"/"+left, now) != nil {
				w.violate("%s is left of %s", left, name)
			}
		}
	}
	for image := range w.engine.images {
		if w.brought[image] && !slices.Contains(needed, image) {
			w.violate("an image is left that nobody needs")
		}
	}
	for _, c := range w.engine.containers {
		if c.preflight() || !c.info.Running {
			w.violate("the container %s is left", c.spec.Name)
		}
	}
	if len(w.snapshots.taken) > 0 {
		w.violate("a snapshot is left: %v", w.snapshots.taken)
	}
	for network := range w.engine.networks {
		if name := strings.TrimPrefix(network, "clawft-"); w.records[name].Current == "" {
			w.violate("the network %s is left", network)
		}
	}
}
