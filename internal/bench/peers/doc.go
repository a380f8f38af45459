// Package peers asks two engines of policies the question an agent answers: may
// data for this key be used so, now? It is a module of its own, so that what the
// engines bring is no part of ours; make bench runs it.
package peers
