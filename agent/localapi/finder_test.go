package localapi_test

import "sync"

// A finder is somebody who looks for the device.
type finder struct {
	mu      sync.Mutex
	now     bool
	changed chan struct{}
}

func (f *finder) Identifying() (bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.now, f.changed
}

func (f *finder) show(now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = now
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}
