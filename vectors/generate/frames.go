package main

import (
	"fmt"
	"slices"
)

// frameVectors are the beginnings of packets, and what they lead to.
func frameVectors() file {
	f := file{
		Description: "Beginnings of packets, to be judged before anything is decrypted or allocated: which size the packet has in the state that the connection is in.",
		Protocol:    version,
	}
	add := func(state, name, comment, expect string, size, limit int, prefix []byte) {
		f.Tests = append(f.Tests, test{Name: state + ": " + name, Comment: comment, Operation: "frame", Expect: expect,
			State: state, Size: size, Limit: limit, Packet: prefix})
	}
	states := []struct {
		name string
		due  []byte
	}{
		{"server-hello", []byte{typeSYN, typeRSTOR}},
		{"server-ack", []byte{typeACK}},
		{"server-message", []byte{typeMSG}},
		{"client-syn-ack", []byte{typeSYNACK}},
		{"client-ack-ack", []byte{typeACKACK}},
		{"client-rstor-ack", []byte{typeRSTORACK, typeREQREHS}},
		{"client-message", []byte{typeMSG}},
	}
	sizes := map[byte]int{typeSYN: 550, typeSYNACK: 310, typeACK: 118, typeACKACK: 6, typeREQREHS: 6}
	const limit = 1 << 20
	for _, s := range states {
		for n := range 6 {
			add(s.name, fmt.Sprintf("%d bytes", n), "", "incomplete", 0, limit, header(0)[:n])
		}
		add(s.name, "no magic", "", "malformed", 0, limit, []byte("GET / HTTP/1.1\r\n"))
		add(s.name, "no magic in byte 4", "", "malformed", 0, limit, []byte("MGK\xAA\xCB"))
		for typ := range byte(10) {
			name := fmt.Sprintf("type %02x", typ)
			switch size := sizes[typ]; {
			case !slices.Contains(s.due, typ):
				add(s.name, name, "No length may be believed in this state, or no such packet.", "malformed", 0, limit, header(typ))
			case size > 0:
				add(s.name, name, "", "ok", size, limit, header(typ))
			default:
				add(s.name, name+" without its length", "", "incomplete", 0, limit, append(header(typ), 0, 0, 0))
			}
		}
		add(s.name, "type e4", "MSG-ERR is never sent.", "malformed", 0, limit, header(0xE4))
	}
	length := func(state string, typ byte, n uint32, expect string, size, limit int, comment string) {
		add(state, fmt.Sprintf("type %02x of %d bytes, limit %d", typ, n, limit), comment, expect, size, limit, append(header(typ), uint32Bytes(n)...))
	}
	for _, state := range []string{"server-message", "client-message"} {
		for _, n := range []uint32{1, 15, 16, 17, 4016, 4017, limit - 1, limit} {
			length(state, typeMSG, n, "ok", 74+int(n+15)&^15, limit, "")
		}
		for _, n := range []uint32{limit + 1, 1 << 31, 0xFFFFFFF0, 0xFFFFFFFF} {
			length(state, typeMSG, n, "too-long", 0, limit, "Compared with the limit before it is rounded up, which would wrap.")
		}
		length(state, typeMSG, 1000, "ok", 74+1008, 1000, "")
		length(state, typeMSG, 1001, "too-long", 0, 1000, "")
	}
	length("server-message", typeMSG, 0, "malformed", 0, limit, "A client's message has at least one byte.")
	length("client-message", typeMSG, 0, "ok", 74, limit, "A response may be empty.")
	for state, typ := range map[string]byte{"server-hello": typeRSTOR, "client-rstor-ack": typeRSTORACK} {
		length(state, typ, 32, "ok", 106, limit, "")
		length(state, typ, 31, "malformed", 0, limit, "")
		length(state, typ, 33, "too-long", 0, limit, "")
		length(state, typ, 0xFFFFFFFF, "too-long", 0, limit, "")
	}
	slices.SortStableFunc(f.Tests, func(a, b test) int { return slices.Index(stateNames, a.State) - slices.Index(stateNames, b.State) })
	return f
}

var stateNames = []string{"server-hello", "server-ack", "server-message", "client-syn-ack", "client-ack-ack", "client-rstor-ack", "client-message"}
