package accountdb

import (
	"fmt"

	"github.com/cardea-id/cardea"
)

// fixed scans a BLOB into an array of exactly its size.
type fixed struct{ dst []byte }

// Scan implements sql.Scanner.
func (f fixed) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(f.dst) {
		return fmt.Errorf("column holds %T, want %d bytes", src, len(f.dst))
	}
	copy(f.dst, b)
	return nil
}

func id[K any](dst *cardea.ID[K]) fixed { return fixed{dst[:]} }
func hash(dst *cardea.Hash) fixed       { return fixed{dst[:]} }

func scanID[T cardea.ID[K], K any](s scanner) (T, error) {
	var v cardea.ID[K]
	err := s.Scan(id(&v))
	return T(v), err
}

func scanHash(s scanner) (h cardea.Hash, err error) {
	err = s.Scan(hash(&h))
	return h, err
}
