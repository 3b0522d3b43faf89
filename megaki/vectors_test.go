package megaki

import (
	"encoding/hex"
	"encoding/json"
)

// flow is testdata/v1-flow.json: a recording of the reference's client and
// server, with their keys and secrets.
type flow struct {
	ServerPrivate    string   `json:"server_private_key_pem"`
	ServerEncrypted  string   `json:"server_private_key_encrypted_pem"`
	ServerPassphrase string   `json:"server_private_key_passphrase"`
	ServerPublic     string   `json:"server_public_key_pem"`
	ServerKeyFile    hexBytes `json:"server_key_file"`
	Handshake        struct {
		Packets         []recorded
		ClientPrivate   string   `json:"client_private_key_pem"`
		EphemeralKey    hexBytes `json:"ephemeral_key"`
		ServerSymmetric hexBytes `json:"server_symmetric"`
		Token           hexBytes
		MasterKey       hexBytes `json:"master_key"`
	}
	Messages   []recordedMessage
	Resumption struct {
		SessionData   hexBytes `json:"session_data"`
		Packets       []recorded
		ClientAugment hexBytes `json:"client_augment"`
		MasterKey     hexBytes `json:"master_key"`
		Message       recordedMessage
	}
	Unknown struct {
		SessionData hexBytes `json:"session_data"`
		Packets     []recorded
	} `json:"resumption_of_unknown_token"`
}

type recorded struct {
	Dir string
	Hex hexBytes
}

type recordedMessage struct {
	Request  json.RawMessage
	Packets  []recorded
	Response json.RawMessage
}

type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(p []byte) error {
	var s string
	if err := json.Unmarshal(p, &s); err != nil {
		return err
	}
	b, err := hex.DecodeString(s)
	*h = b
	return err
}
