package pipeline

import (
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Rollout says in which order hosts change. It counts for every change of a host
// that exists or is created: releases, secrets, scripts, keys, server types. Where
// one host fails, those that come later stay as they are.
type Rollout struct {
	// Hosts per wave, in the order of `hosts`. A wave begins when all hosts before
	// it are verified, and the last one is all that are left. The default is one
	// host, the canary, and then all others.
	Waves []int `json:"waves" default:"[1]"`
	// Most hosts of a wave that change at the same time; 0 is all of them.
	MaxParallel int `json:"maxParallel" default:"0"`
}

func (o Rollout) check(r *report, path string) {
	for i, size := range o.Waves {
		if size < 1 {
			r.wrong(elementPath(path+".waves", i), strconv.Itoa(size), "at least one host")
		}
	}
	if o.MaxParallel < 0 {
		r.wrong(path+".maxParallel", strconv.Itoa(o.MaxParallel), "a number of hosts, or 0 for all of a wave")
	}
}

// waits lists which of the hosts before it a host waits for: the wave before its
// own, which has waited for all before it, and within its wave the one that it
// takes the place of.
func (o Rollout) waits(host int) []int {
	begin, before := 0, 0
	for _, size := range o.Waves {
		if host < begin+size {
			break
		}
		before, begin = begin, begin+size
	}
	var waits []int
	if o.MaxParallel > 0 && host-o.MaxParallel >= begin {
		return append(waits, host-o.MaxParallel)
	}
	for other := before; other < begin; other++ {
		waits = append(waits, other)
	}
	return waits
}

// rollout holds what is verified of the hosts so far, in their order.
type rollout struct{ verified []pulumi.Resource }

// before is what the next host waits for.
func (r *rollout) before(order Rollout) []pulumi.Resource {
	var after []pulumi.Resource
	for _, host := range order.waits(len(r.verified)) {
		after = append(after, r.verified[host])
	}
	return after
}

func (r *rollout) add(verified pulumi.Resource) { r.verified = append(r.verified, verified) }
