package choices

// DecisionOf reads the form of a facet.
var DecisionOf = decisionOf
