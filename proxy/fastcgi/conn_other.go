//go:build !unix

package fastcgi

// quiet reports whether an idle connection can be used. Without a way to look
// at it none can.
func (c *conn) quiet() bool { return false }
