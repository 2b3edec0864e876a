package bench

import (
	"slices"
	"time"
)

// part is what a run spends time on.
type part string

const (
	programPart   part = "program"
	serverPart    part = "server"
	imagePart     part = "image"
	sshPart       part = "ssh"
	pullPart      part = "pull"
	preflightPart part = "preflight"
	swapPart      part = "swap"
	watchPart     part = "watch"
	deployPart    part = "deploy"
	githubPart    part = "github"
	sourcePart    part = "source"
	enginePart    part = "engine"
	labPart       part = "lab"
)

// precedence decides which part a moment counts for in which several are at
// work: the deployment waits for what comes before it, and nothing waits for
// GitHub. While the engine runs everything that is nothing else is its own work,
// and outside of it the lab's.
var precedence = []part{
	programPart, serverPart, imagePart, sshPart,
	pullPart, preflightPart, swapPart, watchPart, deployPart, githubPart,
	sourcePart, enginePart, labPart,
}

// span is a stretch of time in which a part was at work.
type span struct {
	part     part
	from, to time.Time
}

// split divides the time of the whole among the parts. Every moment counts
// once, so the shares add up to the whole's length. Parts that were not at work
// are absent.
func split(whole span, spans []span) map[part]time.Duration {
	limits := []time.Time{whole.from, whole.to}
	for _, s := range spans {
		for _, limit := range []time.Time{s.from, s.to} {
			if limit.After(whole.from) && limit.Before(whole.to) {
				limits = append(limits, limit)
			}
		}
	}
	slices.SortFunc(limits, time.Time.Compare)
	shares := map[part]time.Duration{}
	for i, from := range limits[:len(limits)-1] {
		if to := limits[i+1]; to.After(from) {
			shares[atWork(from, to, whole.part, spans)] += to.Sub(from)
		}
	}
	return shares
}

// busy is how long each part was at work, alone or beside others.
func busy(spans []span) map[part]time.Duration {
	times := map[part]time.Duration{}
	for _, part := range precedence {
		var end time.Time
		for _, s := range slices.SortedFunc(slices.Values(spans), func(a, b span) int { return a.from.Compare(b.from) }) {
			if s.part != part || !s.to.After(end) {
				continue
			}
			if s.from.After(end) {
				end = s.from
			}
			times[part] += s.to.Sub(end)
			end = s.to
		}
	}
	return times
}

// atWork is the part that a stretch counts for, in which none begins or ends.
func atWork(from, to time.Time, otherwise part, spans []span) part {
	for _, candidate := range precedence {
		if slices.ContainsFunc(spans, func(s span) bool {
			return s.part == candidate && !s.from.After(from) && !s.to.Before(to)
		}) {
			return candidate
		}
	}
	return otherwise
}
