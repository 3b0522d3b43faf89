package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maintenanceFile is in the storage folder while maintenance is on, so that neither an
// upgrade nor a restart ends it: whoever turned it on isn't done.
const maintenanceFile = "maintenance"

// SetMaintenance starts or ends maintenance: all requests get 503. It outlives reloads,
// and the daemon itself. If the latter can't be had, the error reports it, and the rest is
// done.
func (d *Daemon) SetMaintenance(on bool) error {
	d.maintaining.Lock()
	defer d.maintaining.Unlock()
	d.current.Load().routes.SetMaintenance(on)
	path := filepath.Join(d.storage, maintenanceFile)
	if !on {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("maintenance is off, but would be on after a restart: %w; remove the file", err)
		}
		return nil
	}
	err := os.MkdirAll(d.storage, 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte("While this file exists, mkd starts in maintenance. mkd maintenance off removes it.\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("maintenance is on, but a restart would end it: %w", err)
	}
	return nil
}

// resumeMaintenance turns maintenance on if it was on before.
func (d *Daemon) resumeMaintenance() {
	if _, err := os.Stat(filepath.Join(d.storage, maintenanceFile)); err != nil {
		return
	}
	d.current.Load().routes.SetMaintenance(true)
	d.logs.Main.Sugar().Warn("maintenance is on, as before: all requests get 503; mkd maintenance off ends it")
}
