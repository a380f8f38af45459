package desk

// MaxStreamsOfOne is how many streams one owner may have.
const MaxStreamsOfOne = maxStreamsOfOne
