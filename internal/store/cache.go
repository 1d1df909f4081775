package store

import "sync"

// cache keeps what was read of a small table. The zero value is empty and ready.
type cache[K comparable, V any] struct {
	mu    sync.RWMutex
	m     map[K]V
	clean int // counts clear
}

// get returns k's value, from memory or by load. What load read before a clear is not
// kept: it may be what the clear was about.
func (c *cache[K, V]) get(k K, load func() (V, error)) (V, error) {
	c.mu.RLock()
	v, ok := c.m[k]
	clean := c.clean
	c.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clean == clean {
		if c.m == nil {
			c.m = map[K]V{}
		}
		c.m[k] = v
	}
	return v, nil
}

// clear forgets everything.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m = nil
	c.clean++
}
