package catalogue

import (
	"fmt"
	"strconv"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// putInForce is what the audit calls a Put.
const putInForce = "catalogue put in force"

// At is the catalogue that was in force at an instant; accountdb.ErrNotFound if
// none was.
func At(tx *accountdb.Tx, instant cardea.Millis) (*cardea.Catalogue, error) {
	hash, err := tx.Audited(putInForce, instant)
	if err != nil {
		return nil, err
	}
	text, err := tx.Meta(metaEver + hash)
	if err != nil {
		return nil, err
	}
	cat, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("catalogue at %s: %w", strconv.FormatInt(int64(instant), 10), err)
	}
	past, err := purposes(tx)
	cat.Former = former(past, cat)
	return cat, err
}
