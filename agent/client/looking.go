package client

import "context"

// A Whoami is what the kernel tells the agent about a caller, and what the
// agent makes of that. It is told to every caller, about itself.
type Whoami struct {
	PID  int32  `json:"pid"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Unit string `json:"unit,omitempty"` // of systemd, if the kernel can tell

	Program      string   `json:"program,omitempty"` // absent: no file is for this caller
	Rule         *Rule    `json:"rule,omitempty"`    // that matched
	Entitlements []string `json:"entitlements,omitempty"`
	Purposes     []string `json:"purposes,omitempty"`
	Audiences    []string `json:"audiences,omitempty"`
	Preferences  []string `json:"preferences,omitempty"`

	// Remedy says what to do where no rule matched, and File what could stand in
	// a new file of the programs' folder.
	Remedy string `json:"remedy,omitempty"`
	File   string `json:"file,omitempty"`
}

// A Rule is who a program's file is for; what is empty does not matter to it.
type Rule struct {
	File  string `json:"file"`
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	Unit  string `json:"unit,omitempty"`
}

// The states of a Finding.
const (
	FindOK     = "ok"
	FindWaits  = "waits"  // degraded, and ends by itself
	FindAct    = "act"    // degraded until a person does what Remedy says
	FindHidden = "hidden" // not for this caller
)

// A Finding is how one thing is that the agent depends on.
type Finding struct {
	Check  string `json:"check"` // a stable word: "clock", "flush"
	State  string `json:"state"`
	Found  string `json:"found"` // in words
	Remedy string `json:"remedy,omitempty"`
	// Figures are what was measured or counted; each name ends in its unit.
	Figures map[string]int64 `json:"figures,omitempty"`
}

// A Checkup is all findings.
type Checkup struct {
	Findings []Finding `json:"findings"`
}

// NeedsSomebody reports whether a person has to do something.
func (c Checkup) NeedsSomebody() bool {
	for _, f := range c.Findings {
		if f.State == FindAct {
			return true
		}
	}
	return false
}

// Whoami is what the agent takes the caller for. It has no error for a caller
// that no rule is for.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return get[Whoami](ctx, c, "/v1/whoami")
}

// Check looks at everything the agent depends on. It writes a little to the
// device's disk, to measure how long that takes.
func (c *Client) Check(ctx context.Context) (Checkup, error) {
	return get[Checkup](ctx, c, "/v1/check")
}
