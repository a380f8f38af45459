package checkup

// What no machine at hand shows can be asked of these.
var (
	Flushed = flushed
	KindOf  = kindOf
)
