package listener

import (
	"crypto"
	"net/http"
	"strconv"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/keys"
	"mkd/proxy/request"
)

// keyRing are the keys of a Megaki listener.
type keyRing struct {
	serving, retired []crypto.Decrypter
	names            map[megaki.KeyID]string
}

// name returns what backends and logs call a key, "" for no key. A session may have
// begun with a key that the configuration doesn't have any more.
func (r *keyRing) name(id megaki.KeyID) string {
	if name, ok := r.names[id]; ok || id == (megaki.KeyID{}) {
		return name
	}
	return id.Short()
}

// loadKeys reads the private keys of a listener.
func loadKeys(m *config.Megaki) (*keyRing, error) {
	list, err := keys.Load(m)
	if err != nil {
		return nil, err
	}
	ring := &keyRing{names: make(map[megaki.KeyID]string)}
	for i := range list {
		k := &list[i]
		ring.names[k.ID] = k.Label()
		switch {
		case k.Private == nil: // it is offline
		case k.Retired:
			ring.retired = append(ring.retired, k.Private)
		default:
			ring.serving = append(ring.serving, k.Private)
		}
	}
	return ring, nil
}

// serveKeyList responds with the signed list of keys.
func (l *megakiListener) serveKeyList(w request.Response, r *request.Request) error {
	r.Record.Backend = "key_list"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return request.RespondText(w, http.StatusMethodNotAllowed, "use GET\n")
	}
	list, err := config.ReadFile(l.cfg.KeyList, megaki.MaxKeyList)
	if err != nil {
		l.daemon.Logs.Peers(l.name).Error("the list of keys can't be read; make it with mkd key sign", "file", l.cfg.KeyList, "error", err)
		return request.RespondText(w, http.StatusInternalServerError, "no list\n")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(list)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(list)
	return err
}
