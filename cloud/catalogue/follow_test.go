package catalogue_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// What one process puts in force the other goes by in its next transaction, and
// never by an older one again.
func TestFollow(t *testing.T) {
	a, b := accountdbtest.Two(t)
	here, there := open(t, a, small), open(t, b, small)
	same := func() bool {
		_, one := here.Current()
		_, other := there.Current()
		return one == other
	}
	if !same() {
		t.Error("two processes began with two catalogues")
	}
	next := strings.Replace(strings.Replace(small, "retention: none", "retention: for ever", 1), "version: 1", "version: 2", 1)
	if err := here.Put(t.Context(), a, []byte(next), "brand test"); err != nil {
		t.Fatal(err)
	}
	if same() {
		t.Error("followed without a word")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := b.Update(t.Context(), there.Follow); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if !same() {
		t.Error("not followed")
	}
	if cat, _ := there.Current(); len(cat.Former) != 1 {
		t.Errorf("%d former versions, want the one it followed", len(cat.Former))
	}
}

// The first start of two processes at once ends with one catalogue.
func TestOpenTwice(t *testing.T) {
	a, b := accountdbtest.Two(t)
	var here, there *catalogue.Holder
	var all sync.WaitGroup
	all.Go(func() { here = open(t, a, small) })
	all.Go(func() { there = open(t, b, small) })
	all.Wait()
	_, one := here.Current()
	if _, other := there.Current(); one != other {
		t.Error("two catalogues")
	}
}
