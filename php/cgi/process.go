package cgi

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"

	"mkd/php/internal/process"
)

// cgiProcess is a php-cgi.
type cgiProcess struct {
	*process.Process
	lingered atomic.Bool // it was killed because it went on without a client
}

// startProcess starts a php-cgi that accepts connections from the listener.
func (s *Server) startProcess() (*cgiProcess, error) {
	var args []string
	if s.codeCache != "" {
		args = []string{"-d", fileCache + "=" + s.codeCache}
	}
	cmd := exec.Command(s.opt.Command, append(args, arguments(s.opt.Ini)...)...)
	cmd.Dir = s.opt.Dir
	cmd.Env = append(process.Environment(s.identity, s.opt.ClearEnv, s.opt.Env),
		"PHP_FCGI_CHILDREN=0", "PHP_FCGI_MAX_REQUESTS="+strconv.FormatInt(process.Jitter(int64(s.opt.MaxRequests)), 10)) // 0: no limit
	cmd.Stdin = s.listener // FCGI_LISTENSOCK_FILENO
	started, err := s.spawner.Start(cmd, process.NewOutput("php-cgi", s.log, nil))
	if err != nil {
		return nil, fmt.Errorf("starting php-cgi: %w", err)
	}
	return &cgiProcess{Process: started}, nil
}

func arguments(ini map[string]string) (args []string) {
	for _, name := range slices.Sorted(maps.Keys(ini)) {
		args = append(args, "-d", name+"="+ini[name])
	}
	return args
}
