package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/torture/house"
	"github.com/cardea-id/cardea/store/accountdb"
)

// verify checks the chain of every account against its head, and that it has as
// many denials as were acknowledged.
func (k *killer) verify(ctx context.Context, dir string) error {
	db, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer db.Close()
	denied := map[cardea.Channel]int{}
	err = db.View(ctx, func(tx *accountdb.Tx) error {
		accounts, err := tx.Accounts()
		if err != nil {
			return err
		}
		for _, id := range accounts {
			entries, err := chain(tx, id)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.Act == cardea.ActDeny && e.Key == house.Withdrawn {
					denied[e.Channel]++
				}
			}
			k.chains++
		}
		return nil
	})
	k.lost += max(0, k.agent.acknowledged-denied[cardea.ChannelDevice]) + max(0, k.pages-denied[cardea.ChannelPortal])
	return err
}

func open(ctx context.Context, dir string) (*accountdb.DB, error) {
	text, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		return nil, err
	}
	master, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(master) != len(accountdb.Key{}) {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return accountdb.Open(ctx, filepath.Join(dir, "cloud.db"), accountdb.Key(master))
}

// chain reads the ledger of an account and verifies it.
func chain(tx *accountdb.Tx, id cardea.AccountID) ([]cardea.Entry, error) {
	account, err := tx.Account(id)
	if err != nil {
		return nil, err
	}
	entries, err := tx.Entries(id, 0)
	if err != nil {
		return nil, err
	}
	if head, err := cardea.VerifyChain(cardea.Position{}, entries); err != nil || head != account.Head {
		return nil, fmt.Errorf("the chain ends at %v, the head is %v: %w", head, account.Head, err)
	}
	return entries, nil
}
