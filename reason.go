package cardea

// A Reason says why something is or is not allowed. The list is closed; what a
// device does not know it treats as a denial.
type Reason string

// The reasons there are.
const (
	ReasonGranted   Reason = "granted"
	ReasonNotAsked  Reason = "not_asked" // nobody decided, or the purpose has no such use
	ReasonRefused   Reason = "refused"   // said no, and never yes before
	ReasonWithdrawn Reason = "withdrawn" // said yes, then no
	ReasonExpired   Reason = "expired"   // the yes has reached its end
	ReasonNotice    Reason = "notice"    // the yes was to another version of the purpose
	ReasonConflict  Reason = "conflict"  // a no and a yes did not know of each other
	ReasonStale     Reason = "stale"     // the cloud has not been heard for too long
	ReasonClock     Reason = "clock"     // the time is not known
	ReasonSignature Reason = "signature" // the last word can not be verified
	ReasonRollback  Reason = "rollback"  // the state is older than it should be
	ReasonForked    Reason = "forked"    // the device may be a copy, or has lost what was said on it: its owner must confirm it
	ReasonGuest     Reason = "guest"     // nobody is linked, or nobody is active
	ReasonGuardian  Reason = "guardian"  // a guardian's yes is missing or was taken back
	ReasonUnknown   Reason = "unknown"   // no such purpose, facet or link
	ReasonStore     Reason = "store"     // the device's state can not be read
	ReasonNoAgent   Reason = "no_agent"  // the agent does not answer; said by client libraries
)

// Reasons lists all of them.
var Reasons = []Reason{
	ReasonGranted, ReasonNotAsked, ReasonRefused, ReasonWithdrawn, ReasonExpired, ReasonNotice,
	ReasonConflict, ReasonStale, ReasonClock, ReasonSignature, ReasonRollback, ReasonForked,
	ReasonGuest, ReasonGuardian, ReasonUnknown, ReasonStore, ReasonNoAgent,
}

// A Rejected says why the cloud consumed an entry of a device log without
// folding it. A denial is never rejected.
type Rejected string

// The reasons for a rejection.
const (
	RejectedBase     Rejected = "base"     // the base is ahead of the ledger
	RejectedConfirm  Rejected = "confirm"  // needs the owner's word in a signed-in session
	RejectedNotice   Rejected = "notice"   // names no notice or version in force
	RejectedConflict Rejected = "conflict" // a preference somebody else changed meanwhile
	RejectedUnknown  Rejected = "unknown"  // no such key, preference or act
	RejectedValue    Rejected = "value"    // the value does not fit the preference
	RejectedTooBig   Rejected = "too_big"  // the statement would grow over its limit
)
