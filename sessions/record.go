package sessions

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"mkd/megaki"
)

const (
	keySize    = 32
	resumeSize = 8
	// recordSize is the size of a record without pending keys and MACs: expiry,
	// server key, client, current key, and two counts.
	recordSize = 8 + keySize + 1 + 16 + keySize + 2
	// maxRecord is the size of the largest record.
	maxRecord = recordSize + megaki.MaxPending*keySize + megaki.MaxResumes*resumeSize
)

var errRecord = errors.New("the record is malformed")

// appendRecord appends a record. Its revision is left out, and its keys are
// written without the MACs that were seen under them.
func appendRecord(p []byte, r *megaki.Record) []byte {
	p = binary.BigEndian.AppendUint64(p, uint64(r.Expires.UnixMilli()))
	p = append(p, r.ServerKey[:]...)
	bits := byte(0xFF)
	if r.Client.IsValid() {
		bits = byte(r.Client.Bits())
		if r.Client.Addr().Is4() {
			bits += 96
		}
	}
	address := r.Client.Addr().As16() // zeros if there is none
	p = append(append(p, bits), address[:]...)
	p = append(p, r.Current.Key[:]...)
	p = append(p, byte(len(r.Pending)), byte(len(r.Resumes)))
	for i := range r.Pending {
		p = append(p, r.Pending[i].Key[:]...)
	}
	for i := range r.Resumes {
		p = append(p, r.Resumes[i][:]...)
	}
	return p
}

// parseRecord reads what appendRecord wrote.
func parseRecord(p []byte) (*megaki.Record, error) {
	if len(p) < recordSize {
		return nil, errRecord
	}
	r := &megaki.Record{Expires: time.UnixMilli(int64(binary.BigEndian.Uint64(p)))}
	copy(r.ServerKey[:], p[8:])
	p = p[8+keySize:]
	var err error
	if r.Client, err = parseClient(p[0], [16]byte(p[1:17])); err != nil {
		return nil, err
	}
	p = p[17:]
	copy(r.Current.Key[:], p)
	pending, resumes := int(p[keySize]), int(p[keySize+1])
	p = p[keySize+2:]
	if pending > megaki.MaxPending || resumes > megaki.MaxResumes || len(p) != pending*keySize+resumes*resumeSize {
		return nil, errRecord
	}
	for range pending {
		r.Pending = append(r.Pending, megaki.SessionKey{Key: [keySize]byte(p)})
		p = p[keySize:]
	}
	for range resumes {
		r.Resumes = append(r.Resumes, [resumeSize]byte(p))
		p = p[resumeSize:]
	}
	return r, nil
}

func parseClient(bits byte, address [16]byte) (netip.Prefix, error) {
	a := netip.AddrFrom16(address)
	switch {
	case bits == 0xFF:
		return netip.Prefix{}, nil
	case bits > 128, a.Is4In6() && bits < 96:
		return netip.Prefix{}, errRecord
	case a.Is4In6():
		return netip.PrefixFrom(a.Unmap(), int(bits)-96), nil
	}
	return netip.PrefixFrom(a, int(bits)), nil
}
