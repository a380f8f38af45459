package page

import "time"

// Beat is what Run does at each Pace.
func (ps *Pages) Beat(boot time.Duration) { ps.beat(boot) }
