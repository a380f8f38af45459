package certificate

// LookEvery is how soon new files are noticed.
const LookEvery = lookEvery
