package accountdb_test

import (
	"testing"

	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// BenchmarkAppend is decisions of many accounts side by side, each durable before
// it is answered: one after the other on SQLite, in parallel on a server. The
// server of the tests does not flush; see postgrestest.
func BenchmarkAppend(b *testing.B) {
	db := accountdbtest.Open(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		account := accountdbtest.Account(b, db)
		for pb.Next() {
			err := db.Update(b.Context(), func(tx *accountdb.Tx) error {
				_, err := tx.Append(account.ID, denial("recommendations/use"))
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}
