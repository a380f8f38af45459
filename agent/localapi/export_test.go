package localapi

// ParseUnit lets tests feed cgroup files of machines that are not there.
var ParseUnit = parseUnit
