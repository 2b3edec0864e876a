package simulation

import "time"

// Behaviour is what an image's gateway does.
type Behaviour struct {
	// Version is what it reports.
	Version string
	// Starts is how long it takes until it is healthy; less than 0 is never.
	Starts time.Duration
	// Ends is how long it lives; 0 is until it is stopped. Code is what it exits with.
	Ends time.Duration
	Code int
	// Sick is when it is not healthy any more; 0 is never.
	Sick time.Duration
	// Later is what it reports once it is Sick; "" is that it is not healthy.
	Later string
	// OnData says that it behaves so only where there is data: a preflight does not see it.
	OnData bool
	// OutOfMemory says that it ends for that.
	OutOfMemory bool
	// Platform is what the image says it is built for, Program what its program is; "" is the machine's.
	Platform string
	Program  string
}

// registry has images by their digests.
type registry struct {
	behaviours map[string]Behaviour
	dead       bool
	// slow has a pull take for ever.
	slow bool
	// refuses has it refuse every login.
	refuses bool
}
