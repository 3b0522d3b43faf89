package backend

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"mkd/proxy/roundtrip"
)

// socketAdvice returns what to do about a socket of PHP-FPM that mkd may not connect
// to.
func socketAdvice() string {
	name := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(name); err == nil {
		name = cmp.Or(u.Username, name)
	}
	return fmt.Sprintf("mkd runs as %s: set listen.owner, listen.group and listen.mode of the PHP-FPM pool so that this user may connect", name)
}

// explainSocket adds advice to the error of a socket that mkd may not connect to.
func explainSocket(err error) error {
	var failed *roundtrip.Error
	if errors.As(err, &failed) && errors.Is(err, fs.ErrPermission) && errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w; %s", err, socketAdvice())
	}
	return err
}
