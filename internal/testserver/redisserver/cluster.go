package redisserver

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// slots is how many slots a Cluster has.
const slots = 16384

// Cluster starts a Cluster of n masters, which share the slots evenly. It returns when
// each of them serves.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		bus := freePort(t)
		nodes[i] = Start(t, "cluster-enabled yes", "cluster-require-full-coverage no", "cluster-node-timeout 5000", "cluster-port "+bus)
		nodes[i].must("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/n), fmt.Sprint((i+1)*slots/n-1))
		nodes[i].must("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		if i > 0 {
			host, port, _ := net.SplitHostPort(nodes[i].Addr)
			nodes[0].must("CLUSTER", "MEET", host, port, bus)
		}
	}
	for _, node := range nodes {
		for end := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
			lines, err := node.lines("CLUSTER", "INFO")
			info := strings.Join(lines, "\n")
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", slots)) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the Cluster isn't complete: %v\n%s", err, info)
			}
		}
	}
	return nodes
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func (s *Server) must(args ...string) {
	s.t.Helper()
	if _, err := s.Do(args...); err != nil {
		s.t.Fatal(err)
	}
}
