package wire

import (
	"strings"

	"github.com/cardea-id/cardea"
)

// Topics have four levels and 57 bytes at most, and nothing personal in them: a
// device id is the hash of a key. The second level is the protocol's version.
const topicPrefix = "cardea/1/"

// DownTopic is where a device listens.
func DownTopic(device cardea.DeviceID) string { return topicPrefix + string(device) + "/down" }

// UpTopic is where a device reports.
func UpTopic(device cardea.DeviceID) string { return topicPrefix + string(device) + "/up" }

// ParseUpTopic tells which device a report came from, as far as the broker is
// to be believed; ErrMalformed for any other topic.
func ParseUpTopic(topic string) (cardea.DeviceID, error) {
	rest, ok := strings.CutPrefix(topic, topicPrefix)
	device, up := strings.CutSuffix(rest, "/up")
	if !ok || !up {
		return "", malformed("not a topic of reports")
	}
	id, err := cardea.ParseDeviceID(device)
	if err != nil {
		return "", malformed("topic: %w", err)
	}
	return id, nil
}

// An audience is the external_aad of both layers: who a message is for and on
// which way it goes.
type audience struct {
	_      struct{} `cbor:",toarray"`
	Device cardea.DeviceID
	Topic  string
}

func downAudience(device cardea.DeviceID) []byte {
	return encode(audience{Device: device, Topic: DownTopic(device)})
}

func upAudience(device cardea.DeviceID) []byte {
	return encode(audience{Device: device, Topic: UpTopic(device)})
}
