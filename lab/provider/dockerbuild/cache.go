package dockerbuild

import "errors"

// cacheFrom are the caches that the build reads. problem is called with each
// one that cannot be.
func (a *imageArgs) cacheFrom(problem func(index int, err error)) []*entry {
	var entries []*entry
	for index, cache := range a.CacheFrom {
		if value(cache.Disabled) {
			continue
		}
		alternatives, err := alternatives(cache)
		if err == nil && len(alternatives) > 1 {
			err = errors.New("cacheFrom should only specify one cache type")
		}
		if err != nil {
			problem(index, err)
			continue
		}
		entries = append(entries, alternatives...)
	}
	return entries
}

// cacheTo are the caches that the build writes. problem is called with each one
// that cannot be.
func (a *imageArgs) cacheTo(problem func(index int, err error)) []*entry {
	var entries []*entry
	for index, cache := range a.CacheTo {
		if value(cache.Disabled) {
			continue
		}
		if cache.Local != nil {
			// The plugin takes this one and does not pass it on.
			local := *cache.Local
			local.Mode, cache.Local = nil, &local
		}
		alternatives, err := alternatives(cache)
		if err == nil && len(alternatives) > 1 {
			err = errors.New("cacheTo should only specify one cache type")
		}
		if err != nil {
			problem(index, err)
			continue
		}
		entries = append(entries, alternatives...)
	}
	return entries
}
