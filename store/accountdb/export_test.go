package accountdb

// EngineSetting reads one of the engine's settings of this connection.
func (tx *Tx) EngineSetting(name string) (string, error) {
	var value string
	err := tx.row(tx.db.engine.setting(name)).Scan(&value)
	return value, err
}
